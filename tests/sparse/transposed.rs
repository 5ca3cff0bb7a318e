//! Transposed convolutions, whose weights are `[inputs, outputs, kernel…]`.

use burn::module::ParamGroup;
use burn::nn::conv::{ConvTranspose2d, ConvTranspose2dConfig};
use zosam::sparse::Granularity;
use zosam::{MagnitudeStatic, RandomStatic};

use super::*;

fn layer() -> ConvTranspose2d {
    seeded(&device(), 1, || {
        let layer = ConvTranspose2dConfig::new([6, 4], [3, 3]).init(&device());
        tree::values(&layer);
        layer
    })
}

/// Masks by magnitude, and which of the 6 inputs and 4 outputs are in use.
fn in_use(sparsity: f64, granularity: Granularity) -> (ConvTranspose2d, [Vec<bool>; 2]) {
    let weight = ParamGroup::from_path("weight");
    let mut sparsity =
        Sparsity::new(MagnitudeStatic::new(sparsity)).with_granularity(weight, granularity);
    let loss = |layer: &ConvTranspose2d| layer.weight.val().powi_scalar(2).sum();
    let layer = sparsity.attach(layer(), loss).unwrap();
    let sums = |axis: usize| -> Vec<bool> {
        let weight = layer.weight.val().abs();
        let sums = weight.sum_dim(1 - axis).sum_dim(2).sum_dim(3);
        sums.to_data().iter::<f32>().map(|sum| sum > 0.0).collect()
    };
    let used = [sums(0), sums(1)];
    (layer, used)
}

#[test]
fn output_channels_are_outputs() {
    let (layer, [inputs, outputs]) = in_use(0.5, Granularity::OutputChannel);
    assert_eq!(inputs.iter().filter(|used| **used).count(), 6);
    assert_eq!(outputs.iter().filter(|used| **used).count(), 2);
    // And so says the layer: the other two outputs are their biases.
    let x = Tensor::<4>::random([2, 6, 5, 5], Distribution::Default, &device());
    let bias = layer.bias.as_ref().unwrap().val().reshape([1, 4, 1, 1]);
    let y = (layer.forward(x) - bias)
        .abs()
        .sum_dim(0)
        .sum_dim(2)
        .sum_dim(3);
    let active: Vec<bool> = y.to_data().iter::<f32>().map(|sum| sum > 0.0).collect();
    assert_eq!(active, outputs);
}

#[test]
fn groups_of_n_of_m_are_inputs() {
    let (layer, _) = in_use(0.5, Granularity::NOfM { live: 1, of: 2 });
    let values: Vec<f32> = layer.weight.val().to_data().iter::<f32>().collect();
    let at = |input: usize, output: usize, k: usize| values[(input * 4 + output) * 9 + k] != 0.0;
    for (output, k) in (0..4).flat_map(|output| (0..9).map(move |k| (output, k))) {
        for input in [0, 2, 4] {
            assert!(at(input, output, k) != at(input + 1, output, k));
        }
    }
    // Four outputs, six inputs: groups of three fit inputs only.
    in_use(2.0 / 3.0, Granularity::NOfM { live: 1, of: 3 });
}

#[test]
fn reports_count_outputs() {
    let layer = ConvTranspose2dConfig::new([40, 2], [1, 1]).init(&device());
    let mut sparsity = Sparsity::new(RandomStatic::new(0.9));
    let loss = |layer: &ConvTranspose2d| layer.weight.val().powi_scalar(2).sum();
    let layer = sparsity.attach(layer, loss).unwrap();
    // 8 live weights for 2 outputs, not for 40.
    assert!(sparsity.report(&layer).warnings().is_empty());
}
