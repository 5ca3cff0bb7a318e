//! Trains a sparse ResNet-32 with ZO-SAM, or another convolutional network.
//!
//! Without arguments: Fashion-MNIST (a sample that is part of the repository), 90 % sparse RigL, ZO-SAM.
//!
//! ```text
//! cargo run --release --example resnet32
//! cargo run --release --example resnet32 -- train --dataset cifar10 --data DIR --out runs/first
//! cargo run --release --example resnet32 -- train --network vgg --dataset cifar10 --data DIR
//! cargo run --release --example resnet32 -- predict runs/first/model.safetensors cat.jpg
//! cargo run --release --example resnet32 -- --help
//! ```

#[path = "../common/mod.rs"]
mod common;
mod networks;

fn main() -> std::process::ExitCode {
    common::main::<networks::ResNets>()
}
