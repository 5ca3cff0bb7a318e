//! Sparse networks for inference against burn's dense ones.
#![cfg(all(feature = "flex", feature = "models"))]

use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use zosam::models::{ResNet, ResNetConfig, ResNetVariant};
use zosam::{RandomStatic, Sparsity};

/// A sparse ResNet in validation mode that has seen a few batches, so that batch norm does something.
fn trained(variant: ResNetVariant, channels: usize, sparsity: f64) -> ResNet {
    let device = Device::flex().autodiff();
    device.seed(11);
    let config = ResNetConfig::resnet32(10).with_depth(14).with_width(8);
    let model = config
        .with_variant(variant)
        .with_channels(channels)
        .init(&device)
        .unwrap();
    let mut method = Sparsity::new(RandomStatic::new(sparsity));
    let model = method
        .attach(model, |_| Tensor::<1>::zeros([1], &device))
        .unwrap();
    for _ in 0..3 {
        let normal = Distribution::Normal(0.3, 1.5);
        model.forward(Tensor::random([8, channels, 16, 16], normal, &device));
    }
    model.valid()
}

fn images(count: usize, [channels, height, width]: [usize; 3]) -> Vec<f32> {
    let number = |i: usize| ((i * i * 7919) % 100_003) as f32 / 50_000.0 - 1.0;
    (0..count * channels * height * width).map(number).collect()
}

/// Both variants, one and three channels, even and odd sizes, from dense to nearly nothing.
#[test]
fn logits_are_the_models() {
    for variant in [ResNetVariant::He, ResNetVariant::Grasp] {
        for (shape, sparsity) in [
            ([3, 32, 32], 0.9),
            ([3, 16, 16], 0.5),
            ([1, 28, 28], 0.98),
            ([3, 21, 13], 0.8),
            ([3, 32, 32], 0.0),
        ] {
            let [channels, height, width] = shape;
            let model = trained(variant, channels, sparsity);
            let network = model.to_sparse_network([height, width]).unwrap();
            let images = images(6, shape);
            let data = TensorData::new(images.clone(), [6, channels, height, width]);
            let expected = model.forward(Tensor::from_data(data, &Device::flex()));
            let expected: Vec<f32> = expected.to_data().iter::<f32>().collect();
            let logits = network.logits(&images).unwrap();
            let scale = expected
                .iter()
                .fold(1f32, |most, logit| most.max(logit.abs()));
            for (logit, expected) in logits.iter().zip(&expected) {
                // Fourteen layers whose batch norm is a factor of the weights here and a step of its own there.
                let apart = (logit - expected).abs() / scale;
                assert!(apart < 1e-5, "{variant:?} {shape:?}: {logit}, {expected}");
            }
            // An image alone, and one thread, make no difference to the bit.
            let one = images.len() / 6;
            assert_eq!(network.logits(&images[..one]).unwrap(), logits[..10]);
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(1)
                .build()
                .unwrap();
            assert_eq!(pool.install(|| network.logits(&images)).unwrap(), logits);
        }
    }
}

/// Weights, biases and nothing else: 8 bytes for a live weight, and room for rows.
#[test]
fn memory_follows_the_live_weights() {
    let dense = trained(ResNetVariant::Grasp, 3, 0.0);
    let dense = dense.to_sparse_network([32, 32]).unwrap();
    let sparse = trained(ResNetVariant::Grasp, 3, 0.95);
    let sparse = sparse.to_sparse_network([32, 32]).unwrap();
    assert!(
        sparse.live() * 19 < dense.live(),
        "{} {}",
        sparse.live(),
        dense.live()
    );
    let overhead = 10_000;
    assert!(
        sparse.bytes() <= 8 * sparse.live() + overhead,
        "{}",
        sparse.bytes()
    );
}

#[test]
fn other_sizes_are_refused() {
    let model = trained(ResNetVariant::He, 3, 0.9);
    assert!(model.to_sparse_network([0, 32]).is_err());
    let network = model.to_sparse_network([32, 32]).unwrap();
    assert!(network.logits(&[0.0; 100]).is_err());
    assert!(network.logits(&[]).unwrap().is_empty());
}
