//! burn's own trainer with ZO-SAM and RigL, on a sample of Fashion-MNIST that is part of the repository:
//!
//! ```text
//! cargo run --release --features train --example burn_train -- runs/learner
//! cargo run --release --features train --example burn_train -- runs/learner 2   # goes on after epoch 2
//! ```

use anyhow::{Context, Result};
use burn::data::dataloader::{DataLoaderBuilder, batcher::Batcher};
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{SgdConfig, momentum::MomentumConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{
    ClassificationOutput, ExecutionStrategy, InferenceStep, Learner, SupervisedTraining,
};
use zosam::checkpoint::fingerprint;
use zosam::data::{ImageItem, Images, mnist};
use zosam::models::{ResNet, ResNetConfig};
use zosam::train::{LossStep, SparseModel};
use zosam::{RigL, Sparsity, ZoSamConfig};

const EPOCHS: usize = 4;
const BATCH: usize = 32;

/// A user's model: what it has to offer is its loss.
#[derive(Module, Debug)]
struct Classifier {
    net: ResNet,
}

type Item = (Tensor<4>, Tensor<1, Int>);

impl Classifier {
    fn output(&self, (images, targets): Item) -> ClassificationOutput {
        let output = self.net.forward(images);
        let loss = CrossEntropyLossConfig::new().init(&output.device());
        let loss = loss.forward(output.clone(), targets.clone());
        ClassificationOutput::new(loss, output, targets)
    }
}

impl LossStep for Classifier {
    type Input = Item;
    type Output = ClassificationOutput;

    fn loss(&self, item: &Item) -> (Tensor<1>, ClassificationOutput) {
        let output = self.output(item.clone());
        (output.loss.clone(), output)
    }
}

impl InferenceStep for Classifier {
    type Input = Item;
    type Output = ClassificationOutput;

    fn step(&self, item: Item) -> ClassificationOutput {
        self.output(item)
    }
}

struct ToTensors;

impl Batcher<ImageItem, Item> for ToTensors {
    fn batch(&self, items: Vec<ImageItem>, device: &Device) -> Item {
        let [channels, height, width] = items[0].shape;
        let shape = [items.len(), channels, height, width];
        let pixels = items.iter().flat_map(|item| &item.pixels);
        let pixels: Vec<f32> = pixels
            .map(|pixel| f32::from(*pixel) / 255.0 - 0.5)
            .collect();
        let labels: Vec<i64> = items.iter().map(|item| item.label as i64).collect();
        let count = [labels.len()];
        (
            Tensor::from_data(TensorData::new(pixels, shape), device),
            Tensor::from_data(TensorData::new(labels, count), device),
        )
    }
}

fn main() -> Result<()> {
    zosam::keep_freed_memory();
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().context("name a folder for the run")?;
    let resumed: Option<usize> = arguments.next().map(|epoch| epoch.parse()).transpose()?;

    let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/fashion-mnist");
    let (train, test) = mnist(assets)?;
    let train = train.take(2000);
    let device = Device::flex().autodiff();
    device.seed(0);
    let net = ResNetConfig::resnet32(10)
        .with_depth(8)
        .with_channels(1)
        .init(&device)?;

    let steps = (EPOCHS * train.len().div_ceil(BATCH)) as u64;
    let mut sparsity = Sparsity::new(RigL::new(0.9).until(steps).every(20));
    let net = sparsity.attach_on(Classifier { net }, &())?;
    let model = SparseModel::new(net, sparsity, ZoSamConfig::new(), 0)?;

    let loader = |images: Images, device: &Device| {
        let builder = DataLoaderBuilder::new(ToTensors)
            .batch_size(BATCH)
            .shuffle(0);
        builder.set_device(device.clone()).build(images)
    };
    let training = SupervisedTraining::new(
        &folder,
        loader(train, &device),
        loader(test, &device.clone().without_autodiff()),
    )
    .metrics((AccuracyMetric::new(), LossMetric::new()))
    .with_default_checkpointers()
    .with_training_strategy(ExecutionStrategy::SingleDevice(device).into())
    .num_epochs(EPOCHS)
    .summary();
    let training = match resumed {
        Some(epoch) => training.checkpoint(epoch),
        None => training,
    };
    let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
    let optim = SgdConfig::new().with_momentum(Some(momentum)).init();
    let result = training.launch(Learner::new(model, optim, 0.05));
    println!("{}", result.model.report());
    println!("weights {}", fingerprint(result.model.inner()));
    Ok(())
}
