//! Parameter trees: the only module that walks a burn [`Module`].
//!
//! A burn module is a tree whose leaves are tensors of various ranks, some trainable, some frozen,
//! some running statistics. Everything above this module wants something simpler: a list of flat
//! vectors, one per trainable parameter, and a way to write such a list back. [`ParamVector`] is
//! that list; [`leaves`], [`values`], [`replace`] and [`twin`] are the ways in and out. Ranks and
//! visitors stay here.
//!
//! "Trainable" means that the parameter requires a gradient. Running statistics of normalisation
//! layers are presented by burn as float parameters that do not, so they are never perturbed,
//! masked or stepped. A parameter that a module uses in several places (a tied weight: one id, met
//! several times) is one parameter, and all its places get the same tensor.

mod axes;
mod buffers;
mod convert;
mod counter;
mod direction;
mod double;
mod joined;
mod key;
mod leaf;
mod loadable;
mod place;
mod product;
mod replace;
mod tied;
pub(crate) mod turn;
mod vector;
mod walk;

pub(crate) use axes::Axes;
pub use buffers::{adopt_buffers, twin};
pub(crate) use buffers::{blend, restore};
pub(crate) use convert::{absolute, cast, direction, narrowed, widened};
pub use direction::draw;
pub(crate) use direction::draw_like;
pub(crate) use double::Doubles;
pub(crate) use joined::{Joined, Layout};
pub(crate) use key::path_hash;
pub use key::{DirectionDistribution, DirectionKey};
pub use leaf::{Leaf, leaves, named_tensors, values};
pub(crate) use leaf::{float_leaves, float_values, initialise, trained};
pub(crate) use loadable::loadable;
#[cfg(feature = "train")]
pub(crate) use place::is_distributed;
pub(crate) use place::{moved, near};
pub(crate) use product::read;
pub(crate) use replace::perturbed_from;
pub use replace::{gradients, perturbed, replace, retied, to_gradients};
pub use vector::ParamVector;

use burn::module::Module;
use burn::tensor::Device;

/// The device on which a module's parameters live, or `None` for a module without tensors.
pub fn device<M: Module>(model: &M) -> Option<Device> {
    model.devices().into_iter().next()
}

/// Whether a device computes on the host's memory, so that reading and writing tensors is free.
///
/// Only the CPU backends that this crate's own features enabled are recognised; any other device
/// is treated as an accelerator, which is always correct and only ever slower.
pub(crate) fn on_host(device: &Device) -> bool {
    hosts().contains(device)
}

/// The CPU backends of this crate's features.
#[allow(
    deprecated,
    reason = "burn-ndarray is deprecated but still a backend of burn"
)]
fn hosts() -> Vec<Device> {
    Vec::from([
        #[cfg(feature = "flex")]
        Device::flex(),
        #[cfg(feature = "ndarray")]
        Device::ndarray(),
    ])
}
