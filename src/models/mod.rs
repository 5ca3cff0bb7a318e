//! Bundled networks.

mod deit;
mod resnet;

pub use deit::{Attention, Block, Deit, DeitConfig, DropPath, Mlp, PatchEmbedding};
pub use resnet::{BasicBlock, Downsample, ResNet, ResNet32, ResNetConfig, ResNetVariant};
