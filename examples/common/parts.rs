//! What programs share whose data are not images.

#![allow(
    clippy::duplicate_mod,
    reason = "each example compiles its own copy of this folder"
)]

pub mod device;
pub mod method;
pub mod names;
pub mod rate;
pub mod sharpness;
pub mod sparse_args;
pub mod units;
pub mod warnings;
