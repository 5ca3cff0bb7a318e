//! Transposed convolutions on the kernels are burn's with dead weights at zero.

use burn::nn::conv::{ConvTranspose2d as BurnConvTranspose2d, ConvTranspose2dConfig};
use burn::tensor::Tensor;
use proptest::prelude::*;
use zosam::masks::{Execution, Masks};
use zosam::nn::ConvTranspose2d;

use super::convolutions::{Layer, Pass, assert_same, cases, densities, living};
use super::paths::paths;
use super::{device, random};

/// A pass of a layer under masks, and burn's.
fn both(model: &ConvTranspose2d, masks: &Masks, how: Execution, x: &Tensor<4>) -> [Pass<4>; 2] {
    let burns: BurnConvTranspose2d = model.as_burn();
    let pass = |forward: &dyn Fn(Tensor<4>) -> Tensor<4>| {
        let (weight, bias) = (&model.weight, &model.bias);
        let layer = Layer {
            weight,
            bias,
            forward,
        };
        layer.pass(x)
    };
    [
        pass(&|x| masks.run(how, || model.forward(x))),
        pass(&|x| burns.forward(x)),
    ]
}

/// One axis: kernel, stride, dilation, padding, `padding_out` below the stride, and inputs that give an output.
fn axes() -> impl Strategy<Value = [usize; 6]> {
    let sizes = (
        1usize..5,
        1usize..4,
        1usize..3,
        0usize..3,
        0usize..3,
        1usize..8,
    );
    sizes.prop_filter_map(
        "an output",
        |(kernel, stride, dilation, padding, out, input)| {
            let all = (input - 1) * stride + dilation * (kernel - 1) + 1 + out;
            (out < stride && all > 2 * padding)
                .then_some([kernel, stride, dilation, padding, out, input])
        },
    )
}

fn config(
    channels: [usize; 2],
    groups: usize,
    [rows, columns]: [[usize; 6]; 2],
) -> ConvTranspose2dConfig {
    let both = |at: usize| [rows[at], columns[at]];
    ConvTranspose2dConfig::new(channels.map(|channels| channels * groups), both(0))
        .with_stride(both(1))
        .with_dilation(both(2))
        .with_padding(both(3))
        .with_padding_out(both(4))
        .with_groups(groups)
}

proptest! {
    #![proptest_config(cases(160))]

    #[test]
    fn images(
        rows in axes(),
        columns in axes(),
        (ins, outs, groups) in (1usize..4, 1usize..4, 1usize..3),
        // Fewer and more than the lanes of a vector.
        batch in prop_oneof![1usize..4, Just(17)],
        density in densities(),
    ) {
        let config = config([ins, outs], groups, [rows, columns]);
        let (model, masks) = living(ConvTranspose2d::new(&config, &device()), density);
        let x = random([batch, config.channels[0], rows[5], columns[5]]);
        let [found, expected] = both(&model, &masks, Execution::Sparse, &x);
        assert_same(found, expected, &model.weight);
        prop_assert_eq!(paths(&masks), [[0; 3], [1; 3]]);
    }
}

/// The convolution that goes the other way would have more outputs than there are inputs.
#[test]
fn a_padding_out_of_the_stride_goes_the_dense_way() {
    let config = ConvTranspose2dConfig::new([2, 3], [3, 3]).with_padding_out([1, 0]);
    let (model, masks) = living(ConvTranspose2d::new(&config, &device()), 0.5);
    let x = random([1, 2, 5, 5]);
    let found = masks.run(Execution::Sparse, || model.forward(x.clone()));
    assert_eq!(found.into_data(), model.as_burn().forward(x).into_data());
    assert!(masks.execution_report().layers.is_empty());
}

/// Above their crossover groups are computed by burn's arithmetic, masks in scope.
#[test]
fn groups_with_many_live_weights_are_dense() {
    let config = ConvTranspose2dConfig::new([4, 6], [3, 2])
        .with_groups(2)
        .with_stride([2, 3])
        .with_padding([1, 0])
        .with_padding_out([1, 2]);
    let (model, masks) = living(ConvTranspose2d::new(&config, &device()), 0.8);
    let [found, expected] = both(&model, &masks, Execution::Auto, &random([3, 4, 4, 5]));
    // burn's gradient covers dead weights.
    let dead = model.weight.val().inner().equal_elem(0.0);
    let [y, of_x, of_weight] = found.0;
    let found = ([y, of_x, of_weight.mask_fill(dead, 0.0)], found.1);
    assert_same(found, expected, &model.weight);
    assert_eq!(paths(&masks), [[1; 3], [0; 3]]);
}
