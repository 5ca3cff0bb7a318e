//! A network of your own, 90 % sparse, trained by RigL and ZO-SAM:
//!
//! ```text
//! cargo run --release --example quickstart
//! ```

use burn::module::Module;
use burn::nn::conv::Conv2dConfig;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{LinearConfig, PaddingConfig2d};
use burn::optim::AdamWConfig;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use zosam::analysis::Evaluation;
use zosam::data::{Loader, LoaderConfig, mnist};
use zosam::nn::{Conv2d, Linear};
use zosam::{RigL, Sparsity, ZoSamConfig};

/// Any module will do. With the layers of `zosam::nn` dead weights cost nothing.
#[derive(Module, Debug)]
struct Net {
    first: Conv2d,
    second: Conv2d,
    third: Conv2d,
    classifier: Linear,
}

impl Net {
    fn new(device: &Device) -> Self {
        let conv = |channels| {
            let config = Conv2dConfig::new(channels, [3, 3]).with_stride([2, 2]);
            let padding = PaddingConfig2d::Explicit(1, 1, 1, 1);
            Conv2d::new(&config.with_padding(padding), device)
        };
        Self {
            first: conv([1, 32]),
            second: conv([32, 64]),
            third: conv([64, 64]),
            classifier: Linear::new(&LinearConfig::new(64 * 4 * 4, 10), device),
        }
    }

    /// `[batch, 1, 28, 28]` to `[batch, 10]`.
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let hidden = relu(self.second.forward(relu(self.first.forward(images))));
        let hidden = relu(self.third.forward(hidden));
        self.classifier.forward(hidden.flatten(1, 3))
    }
}

fn main() -> Result<(), zosam::Error> {
    zosam::keep_freed_memory();
    let device = Device::flex().autodiff();
    device.seed(0);

    // 6,000 and 1,000 images of Fashion-MNIST that are part of the repository.
    let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/fashion-mnist");
    let (train, test) = mnist(assets)?;
    let plain = LoaderConfig {
        batch_size: 50,
        normalization: Some(train.channel_statistics()),
        ..LoaderConfig::evaluation()
    };
    let test = Loader::new(test, plain.clone())?;
    let shuffled = LoaderConfig {
        shuffle: true,
        ..plain
    };
    let train = Loader::new(train, shuffled)?;

    let epochs = 8;
    let steps = epochs * train.len() as u64;
    let mut sparsity = Sparsity::new(RigL::new(0.9).over(steps).every(20));
    let mut optim = ZoSamConfig::new().init(AdamWConfig::new().init())?;
    let mut net = sparsity.attach_on(Net::new(&device), &())?;
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);
    for epoch in 0..epochs {
        for batch in train.epoch(epoch, 0) {
            let (images, labels) = batch?.to_tensors(&device);
            let loss =
                |net: &Net| cross_entropy.forward(net.forward(images.clone()), labels.clone());
            (net, _) = optim.step_with(2e-3, net, &mut sparsity, loss)?;
        }
        let trained = net.valid();
        let logits = |images| sparsity.run(|| trained.forward(images));
        let accuracy = Evaluation::of(&test, &Device::flex(), logits)?.accuracy();
        println!("epoch {}: {:.1} % right", epoch + 1, 100.0 * accuracy);
    }
    println!("{}", sparsity.report(&net));
    Ok(())
}
