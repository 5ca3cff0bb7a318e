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
//! | room | what lives there |
//! |---|---|
//! | `method`, `plan`, `weight` | what a method does, what it is, and what it sees |
//! | `methods` | the published methods, one in each file |
//! | `parts` | what they are made of: distributions, scores, schedules, exchanges |
//! | `sparsity` | a method at work on a model: [`Sparsity`] and its reports |
//! | `evidence` | what is measured on a model before the first masks |
//!
//! The parts recombine: a [`Distribution`] says how many weights each layer keeps, a [`Score`]
//! ranks them, an [`UpdateSchedule`] says when they change and how many. A method that exchanges
//! weights is a [`Recipe`], a choice of such [`Parts`]: SET and RigL differ by the score that grows
//! (and, as their codes do, by whether the optimizer steps when masks change).

mod evidence;
mod method;
mod methods;
mod parts;
mod plan;
mod sparsity;
mod weight;

pub use evidence::{Classification, Evidence, Need};
pub use method::SparsityMethod;
pub use methods::{
    Dense, Dsr, GradualMagnitude, Grasp, Keep, LotteryTicket, MagnitudeStatic, Mest, MestGrowth,
    MestPhase, Method, Perturbed, RandomStatic, RigL, Set, Snfs, Snip, Svite, SynFlow, TopKast,
};
pub use parts::{
    Budget, Decay, Distribution, Draw, Exchange, GradientFlow, GradientMagnitude, GradientMemory,
    Granularity, Importance, Magnitude, MagnitudeBySign, Parts, Random, Recipe, Redistribution,
    Regrown, Saliency, Score, Training, UpdateSchedule, drop_and_grow, one_shot,
};
pub use plan::{GradientUse, Plan};
pub use sparsity::{
    Growth, LayerReport, MaskUpdate, Sparsity, SparsityParts, SparsityReport, Work,
};
pub use weight::Weight;
