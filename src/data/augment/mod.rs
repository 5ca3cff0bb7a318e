//! Random changes of images and targets, each from a seed of its own.
//!
//! On 8-bit images: crop and flip with padding, then the steps of [`Transform`]. On normalised ones: [`RandomErasing`]. On
//! batches: [`Mixup`] and smoothed targets.

mod affine;
mod color_jitter;
mod crop_flip;
mod enhance;
mod erasing;
mod mixup;
mod operation;
mod picture;
mod point;
mod rand_augment;
mod resize;
mod resized_crop;
mod targets;
mod transform;

pub use color_jitter::ColorJitter;
pub use crop_flip::{Augmentation, Draw};
pub use erasing::{ErasingMode, RandomErasing};
pub use mixup::{Mix, Mixup};
pub use operation::{AtLevel, OPERATIONS, Operation};
pub use picture::{Picture, Rectangle};
pub use rand_augment::RandAugment;
pub use resize::Filter;
pub use resized_crop::ResizedCrop;
pub use targets::{smooth_targets, soft_cross_entropy};
pub(in crate::data) use transform::unchecked;
pub use transform::{Transform, transformed};
