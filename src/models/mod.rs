//! Bundled networks.

mod resnet;

pub use resnet::{BasicBlock, Downsample, ResNet, ResNet32, ResNetConfig, ResNetVariant};
