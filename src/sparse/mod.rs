//! Which weights live.
//!
//! A [`SparsityMethod`] chooses live weights:
//!
//! - once, before training: [`RandomStatic`], [`MagnitudeStatic`], [`Snip`], [`Grasp`],
//!   [`SynFlow`]; [`Keep`] keeps masks that are given;
//! - fewer and fewer: [`GradualMagnitude`], [`LotteryTicket`];
//! - again and again: [`Set`], [`Dsr`], [`RigL`], [`Mest`], [`Svite`], [`Snfs`], [`TopKast`].
//!
//! Methods see flat arrays on the host, never a module, a rank or an optimizer. So a method is a
//! few lines of ranking, is the same on every backend, and can rank all layers together as easily
//! as each on its own. [`Sparsity`] connects one to a model. [Which one to
//! choose](crate::guide::choosing_a_method) is in the guide.
//!
//! The parts recombine: a [`Distribution`] says how many weights each layer keeps, a [`Score`]
//! ranks them, an [`UpdateSchedule`] says when they change and how many. A method that exchanges
//! weights is a [`Recipe`], a choice of such [`Parts`]: SET and RigL differ by the score that grows
//! (and, as their codes do, by whether the optimizer steps when masks change).

mod apportion;
mod dense;
mod distribution;
mod drop_grow;
mod dsr;
mod evidence;
mod exchange;
mod given;
mod gmp;
mod granularity;
mod grasp;
mod history;
mod keep;
mod latent;
mod layer_rules;
mod lottery_ticket;
mod magnitude;
mod memory;
mod mest;
mod method;
mod one_shot;
mod participants;
mod progress;
mod random;
mod recipe;
mod report;
mod rigl;
mod schedule;
mod score;
mod selection;
mod set;
mod snfs;
mod snip;
mod sparsity;
mod svite;
mod synflow;
mod top_kast;
mod weights;
mod work;

pub use dense::Dense;
pub use distribution::Distribution;
pub use drop_grow::drop_and_grow;
pub use dsr::Dsr;
pub use evidence::{Classification, Evidence, Need};
pub use gmp::GradualMagnitude;
pub use granularity::Granularity;
pub use grasp::Grasp;
pub use keep::Keep;
pub use latent::Training;
pub use lottery_ticket::{LotteryTicket, Perturbed};
pub use magnitude::MagnitudeStatic;
pub use memory::GradientMemory;
pub use mest::{Mest, MestGrowth, MestPhase};
pub use method::{Method, Regrown, SparsityMethod, Weight};
pub use one_shot::{Budget, one_shot};
pub use random::RandomStatic;
pub use recipe::{Draw, Exchange, Parts, Recipe, Redistribution};
pub use report::{LayerReport, SparsityReport};
pub use rigl::RigL;
pub use schedule::{Decay, UpdateSchedule};
pub use score::{
    GradientFlow, GradientMagnitude, Importance, Magnitude, MagnitudeBySign, Random, Saliency,
    Score,
};
pub use set::Set;
pub use snfs::Snfs;
pub use snip::Snip;
pub use sparsity::{Growth, MaskUpdate, Sparsity, SparsityParts};
pub use svite::Svite;
pub use synflow::SynFlow;
pub use top_kast::TopKast;
pub(crate) use weights::UNTRAINABLE;
pub use work::Work;
