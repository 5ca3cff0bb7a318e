//! Transposed convolutions, whose weights are `[inputs, outputs, kernel…]`.

use burn::module::ParamGroup;
use burn::nn::conv::{ConvTranspose2d, ConvTranspose2dConfig};
use zosam::sparse::{Distribution as Layers, Granularity, Weight};
use zosam::{MagnitudeStatic, RandomStatic, RigL, Snfs, SparsityMethod};

use super::*;

fn layer() -> ConvTranspose2d {
    drawn(ConvTranspose2dConfig::new([6, 4], [3, 3]).init(&device()))
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
    let x = batch(1, 6 * 25).narrow(0, 0, 2).reshape([2, 6, 5, 5]);
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
    let layer = drawn(ConvTranspose2dConfig::new([40, 2], [1, 1]).init(&device()));
    let mut sparsity = Sparsity::new(RandomStatic::new(0.9));
    let loss = |layer: &ConvTranspose2d| layer.weight.val().powi_scalar(2).sum();
    let layer = sparsity.attach(layer, loss).unwrap();
    // 8 live weights for 2 outputs, not for 40.
    assert!(sparsity.report(&layer).warnings().is_empty());
}

/// A weight of a convolution, `[outputs, inputs, kernel…]`, as a transposed one has it.
fn transposed(weight: &Weight) -> Weight {
    let [outputs, inputs, kernel @ ..] = &weight.shape[..] else {
        unreachable!("a convolution has channels")
    };
    Weight {
        layer: weight.layer.replace("Conv", "ConvTranspose"),
        shape: [&[*inputs, *outputs], kernel].concat(),
        values: swapped(&weight.values, *outputs),
        gradient: swapped(&weight.gradient, *outputs),
        live: swapped(&weight.live, *outputs),
        ..weight.clone()
    }
}

/// The elements of a weight of 6 input channels with its first two axes swapped.
fn swapped<T: Copy>(elements: &[T], outputs: usize) -> Vec<T> {
    let (inputs, kernel) = (6, elements.len() / outputs / 6);
    let places = (0..inputs).flat_map(|i| (0..outputs).map(move |o| (i, o)));
    let places = places.flat_map(|(i, o)| (0..kernel).map(move |k| (o * inputs + i) * kernel + k));
    places.map(|place| elements[place]).collect()
}

/// In units of any kind, and in one to three dimensions: what is chosen of a transposed convolution is what is
/// chosen of a convolution with the same weights.
#[test]
fn methods_choose_as_in_convolutions() {
    let granularities = [
        Granularity::NOfM { live: 1, of: 2 },
        Granularity::Block {
            outputs: 2,
            inputs: 3,
        },
        Granularity::OutputChannel,
    ];
    let shapes = [vec![4, 6, 3], vec![4, 6, 2, 3], vec![4, 6, 1, 2, 2]];
    for (dimensions, shape) in shapes.into_iter().enumerate() {
        for granularity in granularities {
            let len: usize = shape.iter().product();
            // No two alike, so that no tie is broken by position.
            let number = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 1009.0 - 0.5;
            let convolution = Weight {
                path: "weight".to_string(),
                layer: format!("Conv{}d", dimensions + 1),
                shape: shape.clone(),
                values: (0..len).map(number).collect(),
                gradient: (0..len).map(|i| number(i + 500)).collect(),
                live: vec![true; len],
                granularity,
                ..Weight::default()
            };
            let fixed = matches!(granularity, Granularity::NOfM { .. });
            let methods: [Box<dyn SparsityMethod>; 2] = [
                Box::new(RigL::new(0.5).until(40).every(1)),
                Box::new(
                    Snfs::new(0.5)
                        .every(1)
                        .until(40)
                        .with_distribution(Layers::Uniform),
                ),
            ];
            for mut method in methods {
                if fixed && !method.plan().layer_densities {
                    continue;
                }
                let what = format!("{} {granularity} {shape:?}", method.plan().name);
                // Random first masks would depend on the order of positions.
                let choose = |weight: &Weight| {
                    let chosen = MagnitudeStatic::new(0.5).initial(std::slice::from_ref(weight), 1);
                    chosen.unwrap().remove(0)
                };
                let (mut first, mut other) = (convolution.clone(), transposed(&convolution));
                (first.live, other.live) = (choose(&first), choose(&other));
                assert_eq!(other.live, swapped(&first.live, 4), "{what}, first masks");
                let new = method.update(1, &[first], 1).unwrap().remove(0);
                let other = method.update(1, &[other], 1).unwrap().remove(0);
                assert_eq!(other, swapped(&new, 4), "{what}");
            }
        }
    }
}
