//! What methods are made of.

mod apportion;
mod choices;
mod choose;
pub(super) mod distribution;
mod drop_grow;
mod exchange;
mod granularity;
mod memory;
pub(super) mod one_shot;
pub(super) mod participants;
mod recipe;
mod regrown;
mod schedule;
mod score;
pub(super) mod selection;
mod training;

pub use choices::{Draw, Exchange, Parts, Redistribution};
pub use distribution::Distribution;
pub use drop_grow::drop_and_grow;
pub use granularity::Granularity;
pub use memory::GradientMemory;
pub use one_shot::{Budget, one_shot};
pub use recipe::Recipe;
pub use regrown::Regrown;
pub use schedule::{Decay, UpdateSchedule};
pub use score::{
    GradientFlow, GradientMagnitude, Importance, Magnitude, MagnitudeBySign, Random, Saliency,
    Score,
};
pub use training::Training;
