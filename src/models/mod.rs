//! Bundled networks: those that the sparse-training papers report on.
//!
//! | network | source | images | parameters |
//! |---|---|---|---|
//! | [`ResNet`] | He et al., section 4.2; GraSP's twice as wide | CIFAR | ResNet-32: 0.46 M, twice as wide 1.86 M |
//! | [`Vgg`] | VGG with batch norm and one linear layer, as in GraSP | CIFAR | VGG-19: 20.0 M |
//! | [`WideResNet`] | Zagoruyko and Komodakis | CIFAR | WRN-28-10: 36.5 M |
//! | [`ImageNetResNet`] | He et al., section 4.1, as in torchvision | ImageNet, or CIFAR by [`Stem::Cifar`] | ResNet-50: 25.6 M |
//! | [`Deit`] | Touvron et al., as in timm | any size of whole patches | Tiny 5.7 M, Small 22.1 M, Base 86.6 M |
//!
//! Each has a configuration whose `init` makes random weights or an error, and the methods
//! `forward` (logits), `loss` (cross-entropy and logits) and `forward_tangent` (for exact products
//! with the Hessian). As any module, they are compiled for inference by
//! [`SparseNetwork::compile`](crate::inference::SparseNetwork), and their multiply-adds counted by
//! `compile::Uses`.

mod deit;
mod imagenet_resnet;
mod parts;
mod resnet;
mod vgg;
mod wide_resnet;

pub use deit::{Attention, Block, Deit, DeitConfig, DropPath, Mlp, PatchEmbedding};
pub use imagenet_resnet::{BlockKind, ImageNetResNet, ImageNetResNetConfig, ResidualBlock, Stem};
pub use resnet::{BasicBlock, Downsample, ResNet, ResNet32, ResNetConfig, ResNetVariant};
pub use vgg::{ConvNorm, Vgg, VggConfig};
pub use wide_resnet::{PreActivationBlock, WideResNet, WideResNetConfig};
