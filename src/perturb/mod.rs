//! Where the gradient is measured.
//!
//! A sharpness-aware step differentiates the loss at `θ + ε` instead of at `θ`. A [`Perturbation`]
//! finds `ε`; perturbations differ in the passes that they spend on it. [Which one to
//! choose](crate::guide::choosing_a_perturbation) is in the guide.
//!
//! | | `ε` | passes of a step |
//! |---|---|---|
//! | [`Identity`] | 0 | 1 forward, 1 backward |
//! | [`SamConfig`] | `ρ g/‖g‖` | 2 forwards, 2 backwards |
//! | [`ZoSamConfig`], m = 1 | `±ρ u/‖u‖` | 2 forwards, 1 backward |
//! | [`ZoSamConfig`], otherwise | `ρ ĝ/‖ĝ‖` | 2m + 1 forwards (one-sided m + 2), 1 backward |
//! | [`AsamConfig`], [`FisherSamConfig`] | SAM's, in another metric | 2 forwards, 2 backwards |
//! | [`GsamConfig`], [`WsamConfig`], [`FriendlySamConfig`] | SAM's, with another descent or direction | 2 forwards, 2 backwards |
//! | [`EsamConfig`] | SAM's on some tensors and samples | 3 forwards, 2 backwards, partly |
//! | [`LookSamConfig`] | SAM's at every k-th step | 1 + 1/k of each |
//! | [`S2SamConfig`] | `ρ g/‖g‖` of the step before | 1 forward, 1 backward |
//! | [`MomentumSamConfig`] | `−ρ v/‖v‖`, ahead along the momentum | 1 forward, 1 backward |
//! | [`RandomSignConfig`] | `±ρ u/‖u‖`, the control | 1 forward, 1 backward |

mod asam;
mod ascent;
mod descent;
mod esam;
mod fisher_sam;
mod friendly_sam;
mod gsam;
mod identity;
mod look_sam;
mod memory;
mod momentum_sam;
mod period;
mod perturbation;
mod radius;
mod random_sign;
mod s2sam;
mod sam;
mod schedule;
mod setters;
mod sharpness;
mod site;
mod wsam;
mod zo_sam;

pub use asam::AsamConfig;
pub use ascent::{Ascent, PlainReason};
pub use descent::{Descent, Gradients};
pub use esam::EsamConfig;
pub use fisher_sam::FisherSamConfig;
pub use friendly_sam::FriendlySamConfig;
pub use gsam::{GsamConfig, RadiusByRate};
pub use identity::Identity;
pub use look_sam::{LookSamConfig, Projection};
pub use memory::Memory;
pub use momentum_sam::MomentumSamConfig;
pub use perturbation::Perturbation;
pub(crate) use radius::unusable;
pub use random_sign::RandomSignConfig;
pub use s2sam::S2SamConfig;
pub use sam::SamConfig;
pub use schedule::Schedule;
pub use sharpness::SharpnessConfig;
pub use site::{Scope, Site};
pub use wsam::WsamConfig;
pub use zo_sam::{Delta, Directions, Guide, Sides, ZeroOrderMemory, ZoSamConfig};
