//! Which weights live.
//!
//! A [`SparsityMethod`] chooses live weights: once, before training ([`RandomStatic`], [`Snip`]), or
//! again and again during it ([`RigL`]). Methods see flat arrays on the host, never a module, a rank
//! or an optimizer, so that a method is a few lines of ranking, is the same on every backend, and can
//! rank all layers together as easily as each on its own. [`Sparsity`] connects one to a model.
//!
//! The parts recombine: a [`Distribution`] says how many weights each layer keeps, a [`Score`] ranks
//! them, an [`UpdateSchedule`] says when they change and how many.

mod dense;
mod distribution;
mod drop_grow;
mod method;
mod one_shot;
mod random;
mod report;
mod rigl;
mod schedule;
mod score;
mod selection;
mod snip;
mod sparsity;
mod weights;

pub use dense::Dense;
pub use distribution::Distribution;
pub use drop_grow::drop_and_grow;
pub use method::{Method, SparsityMethod, Weight};
pub use one_shot::{Budget, one_shot};
pub use random::RandomStatic;
pub use report::{LayerReport, SparsityReport};
pub use rigl::RigL;
pub use schedule::{Decay, UpdateSchedule};
pub use score::{GradientMagnitude, Magnitude, Random, Saliency, Score};
pub use snip::Snip;
pub use sparsity::{Growth, MaskUpdate, Sparsity};
pub(crate) use weights::UNTRAINABLE;
