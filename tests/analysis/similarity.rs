//! Representations of two networks.

use burn::module::Module;
use burn::nn::BatchNormConfig;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::{Device, Distribution, Int, Tensor};
use zosam::analysis::{class_activation, dead_channels, feature_maps, linear_cka};
use zosam::nn::{BatchNorm, Conv2d};
use zosam::objective::seeded;

fn random(seed: u64, shape: [usize; 2]) -> Tensor<2> {
    let device = Device::flex();
    let normal = Distribution::Normal(0.3, 1.0);
    seeded(&device, seed, || Tensor::random(shape, normal, &device))
}

/// `‖Yᵀ X‖² / (‖Xᵀ X‖ ‖Yᵀ Y‖)` from its definition, through the products of features.
fn by_features(x: Tensor<2>, y: Tensor<2>) -> f64 {
    let centred = |x: Tensor<2>| x.clone() - x.mean_dim(0);
    let (x, y) = (centred(x), centred(y));
    let square = |a: &Tensor<2>, b: &Tensor<2>| {
        let product = a.clone().transpose().matmul(b.clone());
        f64::from(product.powi_scalar(2).sum().into_scalar::<f32>())
    };
    square(&y, &x) / (square(&x, &x) * square(&y, &y)).sqrt()
}

#[test]
fn alignment_is_its_definition() {
    for seed in 0..5 {
        let (x, y) = (random(seed, [20, 7]), random(seed + 100, [20, 11]));
        let mixed = x.clone().matmul(random(seed + 200, [7, 11])) + y.clone();
        for y in [y, mixed] {
            let (found, expected) = (linear_cka(x.clone(), y.clone()), by_features(x.clone(), y));
            // The definition is computed in f32.
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
            assert!(found > 0.0 && found < 1.0);
        }
        assert!((linear_cka(x.clone(), x * 3.0 + 1.0) - 1.0).abs() < 1e-6);
    }
    assert!(linear_cka(random(0, [5, 3]), Tensor::ones([5, 2], &Device::flex())).is_nan());
}

#[test]
fn dead_channels_are_zero_everywhere() {
    let mut rows = vec![0.0f32; 2 * 4 * 3];
    // Channel 1 of the second sample and channel 3 of the first.
    (rows[12 + 3 + 2], rows[9]) = (0.5, -1.0);
    let tensor = Tensor::<1>::from_floats(rows.as_slice(), &Device::flex());
    assert_eq!(dead_channels(tensor.reshape([2, 4, 3])), 0.5);
}

#[test]
fn a_class_is_where_its_channels_are() {
    let device = Device::flex();
    let maps = Tensor::<3>::from_floats(
        [[[1.0, 0.0], [2.0, 0.0]], [[0.0, 3.0], [1.0, 0.0]]],
        &device,
    );
    let found = class_activation(maps, Tensor::from_floats([1.0, -1.0], &device));
    assert_eq!(
        found.into_data().iter::<f32>().collect::<Vec<_>>(),
        [1.0, 0.0, 1.0, 0.0]
    );
}

#[derive(Module, Debug)]
struct Block {
    conv: Conv2d,
    norm: BatchNorm,
}

/// Every layer's output as the layer gives it, in order and by its path; masks in scope change nothing.
#[test]
fn feature_maps_are_the_layers_outputs() {
    let device = Device::flex().autodiff();
    let block = Block {
        conv: Conv2d::new(&Conv2dConfig::new([2, 3], [3, 3]), &device),
        norm: BatchNorm::new(&BatchNormConfig::new(3), &device),
    };
    let block = block.valid();
    let x = Tensor::<1, Int>::arange(0..72, &Device::flex()).float();
    let x = x.reshape([1, 2, 6, 6]).sin();
    let (output, maps) = feature_maps(&block, |block| {
        let hidden = block.conv.forward(x.clone());
        block.norm.forward_relu(hidden).mean()
    });
    let layers: Vec<&str> = maps.iter().map(|map| map.layer.as_str()).collect();
    assert_eq!(layers, ["conv", "norm"]);
    let conv = block.conv.forward(x);
    assert_eq!(maps[0].values.to_data(), conv.to_data());
    let relu = block.norm.forward_relu(conv);
    assert_eq!(maps[1].values.to_data(), relu.to_data());
    assert_eq!(output.to_data(), relu.mean().to_data());
    // What ran in between was not asked for.
    let (_, none) = feature_maps(&block, |_| ());
    assert!(none.is_empty());
}
