//! Numbers that other implementations computed: PyTorch's through `make.py` and `make_models.py`,
//! which wrote the JSON files here, and those of the published sparse-training code.
#![cfg(all(feature = "flex", feature = "models"))]

mod analysis;
#[cfg(feature = "data")]
mod augment;
mod before_training;
#[cfg(feature = "images")]
mod corruptions;
mod deit;
mod drop_and_grow;
mod files;
mod gpt;
mod layers;
mod methods;
mod model_sizes;
mod models;
mod published;
mod read_model;
mod reference;
mod resnet;
mod sam;
#[cfg(feature = "data")]
mod scenes;
mod sharpness;
mod snip;
