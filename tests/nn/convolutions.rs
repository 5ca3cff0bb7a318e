//! Convolutions of sequences on the kernels are burn's with dead weights at zero; what tests of other layers share with them.

use burn::module::{Module, Param};
use burn::nn::PaddingConfig1d;
use burn::nn::conv::{Conv1d as BurnConv1d, Conv1dConfig, ConvTranspose2dConfig};
use burn::tensor::{Distribution, Tensor};
use proptest::prelude::*;
use zosam::masks::{Execution, Masks};
use zosam::nn::{Conv1d, ConvTranspose2d};
use zosam::objective::seeded;
use zosam::tree;

use super::paths::{masked, paths};
use super::{assert_close, device, drawn, random};

/// Few, because each builds a structure and four graphs; what failed is not written to a file of the tree.
pub fn cases(count: u32) -> ProptestConfig {
    ProptestConfig {
        cases: count,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

pub fn densities() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(0.1), Just(0.5), Just(1.0)]
}

/// A model of which about a share of the weights lives, and masks that say so, also where it is none or all of them.
pub fn living<M: Module>(model: M, density: f64) -> (M, Masks) {
    let model = tree::replace(drawn(model), |_, value| {
        let uniform = Distribution::Uniform(0.0, 1.0);
        let draw = seeded(&device(), 11, || value.random_like(uniform));
        Some(value.mask_fill(draw.greater_equal_elem(density), 0.0))
    });
    let masks = Masks::from_nonzeros(&model);
    if !masks.is_dense() {
        return (model, masks);
    }
    let (model, sparsity) = masked(model, 0.0);
    (model, sparsity.masks().clone())
}

/// Output, and gradients of input and weight; then the bias's.
pub type Pass<const D: usize> = ([Tensor<D>; 3], Tensor<1>);

/// A layer's weight and bias, and what it makes of an input.
pub struct Layer<'a, const D: usize> {
    pub weight: &'a Param<Tensor<D>>,
    pub bias: &'a Option<Param<Tensor<1>>>,
    pub forward: &'a dyn Fn(Tensor<D>) -> Tensor<D>,
}

impl<const D: usize> Layer<'_, D> {
    pub fn pass(&self, x: &Tensor<D>) -> Pass<D> {
        let x = x.clone().detach().require_grad();
        let y = (self.forward)(x.clone());
        // A slope that differs from place to place.
        let slope = y.clone().detach().cos();
        let gradients = (y.clone() * slope).sum().backward();
        let bias = self.bias.as_ref().expect("a layer with a bias");
        let weight = self.weight.grad(&gradients).unwrap();
        (
            [y.inner(), x.grad(&gradients).unwrap(), weight],
            bias.grad(&gradients).unwrap(),
        )
    }
}

/// Holds a pass on the kernels, or of whatever path it took, against burn's, whose weight gradient covers dead weights, too.
pub fn assert_same<const D: usize>(found: Pass<D>, expected: Pass<D>, weight: &Param<Tensor<D>>) {
    let dead = weight.val().inner().equal_elem(0.0);
    let [y, of_x, of_weight] = expected.0;
    let expected_all = [y, of_x, of_weight.mask_fill(dead, 0.0)];
    let names = ["output", "input gradient", "weight gradient"];
    for ((name, found), expected) in names.into_iter().zip(found.0).zip(expected_all) {
        assert_close(name, found, expected);
    }
    assert_close("bias gradient", found.1, expected.1);
}

const ON_KERNELS: [[u64; 3]; 2] = [[0; 3], [1; 3]];

fn layer<'a>(model: &'a Conv1d, forward: &'a dyn Fn(Tensor<3>) -> Tensor<3>) -> Layer<'a, 3> {
    Layer {
        weight: &model.weight,
        bias: &model.bias,
        forward,
    }
}

/// A pass of a layer under masks, and burn's.
fn both(model: &Conv1d, masks: &Masks, how: Execution, x: &Tensor<3>) -> [Pass<3>; 2] {
    let burns: BurnConv1d = model.as_burn();
    let in_scope = |x| masks.run(how, || model.forward(x));
    [
        layer(model, &in_scope).pass(x),
        layer(model, &|x| burns.forward(x)).pass(x),
    ]
}

/// Padding that is equal on both sides.
fn paddings(kernel: usize, stride: usize) -> BoxedStrategy<PaddingConfig1d> {
    let explicit = (0usize..4).prop_map(|n| PaddingConfig1d::Explicit(n, n));
    match kernel % 2 == 1 && stride == 1 {
        true => prop_oneof![
            Just(PaddingConfig1d::Same),
            Just(PaddingConfig1d::Valid),
            explicit
        ]
        .boxed(),
        false => prop_oneof![Just(PaddingConfig1d::Valid), explicit].boxed(),
    }
}

/// Configurations, and how many numbers of a sequence at least give an output.
fn configs() -> impl Strategy<Value = (Conv1dConfig, usize)> {
    let sizes = (1usize..6, 1usize..4, 1usize..3);
    let channels = (1usize..4, 1usize..4, 1usize..3);
    (sizes, channels).prop_flat_map(|((kernel, stride, dilation), (ins, outs, groups))| {
        paddings(kernel, stride).prop_map(move |padding| {
            let least = dilation * (kernel - 1) + 1;
            let config = Conv1dConfig::new(ins * groups, outs * groups, kernel)
                .with_stride(stride)
                .with_dilation(dilation)
                .with_groups(groups)
                .with_padding(padding);
            (config, least)
        })
    })
}

/// Numbers behind `least` with which burn's gradient of the weight is right: burn 0.22.1's of several groups is not where a stride leaves inputs
/// over, see [`what_a_stride_leaves_over_changes_nothing`].
fn usable(config: &Conv1dConfig, more: usize) -> usize {
    let padding = match config.padding {
        PaddingConfig1d::Explicit(each, _) => each,
        PaddingConfig1d::Same | PaddingConfig1d::Valid => 0,
    };
    match config.groups {
        1 => more,
        _ => more + (config.stride - (more + 2 * padding) % config.stride) % config.stride,
    }
}

proptest! {
    #![proptest_config(cases(160))]

    #[test]
    fn sequences(
        (config, least) in configs(),
        // Fewer and more than the lanes of a vector.
        batch in prop_oneof![1usize..4, Just(17)],
        more in 0usize..40,
        density in densities(),
    ) {
        let (model, masks) = living(Conv1d::new(&config, &device()), density);
        let length = least + usable(&config, more);
        let x = random([batch, config.channels_in, length]);
        let [found, expected] = both(&model, &masks, Execution::Sparse, &x);
        assert_same(found, expected, &model.weight);
        prop_assert_eq!(paths(&masks), ON_KERNELS);
    }
}

/// The last number is read by no output, so that burn, too, has one gradient with and without it. With it burn's groups have
/// another: its `conv1d_weight_grad_groups` does not cut off what is over, as that of two dimensions does.
#[test]
fn what_a_stride_leaves_over_changes_nothing() {
    let config = Conv1dConfig::new(4, 6, 3).with_groups(2).with_stride(2);
    let (model, masks) = living(Conv1d::new(&config, &device()), 0.5);
    let x = random([3, 4, 12]);
    let [found, _] = both(&model, &masks, Execution::Sparse, &x);
    let [_, expected] = both(&model, &masks, Execution::Sparse, &x.narrow(2, 0, 11));
    let ([y, of_x, of_weight], of_bias) = found;
    let over = of_x.clone().narrow(2, 11, 1);
    assert_eq!(over.abs().max().into_scalar::<f32>(), 0.0);
    let found = ([y, of_x.narrow(2, 0, 11), of_weight], of_bias);
    assert_same(found, expected, &model.weight);
}

#[test]
fn uneven_padding_of_sequences_goes_the_dense_way() {
    for padding in [PaddingConfig1d::Same, PaddingConfig1d::Explicit(1, 0)] {
        let config = Conv1dConfig::new(2, 2, 2).with_padding(padding);
        let (model, masks) = living(Conv1d::new(&config, &device()), 0.5);
        let x = random([1, 2, 5]);
        let found = masks.run(Execution::Sparse, || model.forward(x.clone()));
        assert_eq!(found.into_data(), model.as_burn().forward(x).into_data());
        assert!(masks.execution_report().layers.is_empty());
    }
}

/// Above their crossover groups are computed by burn's arithmetic, masks in scope.
#[test]
fn groups_with_many_live_weights_are_dense() {
    let config = Conv1dConfig::new(4, 6, 3).with_groups(2).with_stride(2);
    let (model, masks) = living(Conv1d::new(&config, &device()), 0.8);
    let [found, expected] = both(&model, &masks, Execution::Auto, &random([3, 4, 13]));
    // burn's gradient covers dead weights.
    let dead = model.weight.val().inner().equal_elem(0.0);
    let [y, of_x, of_weight] = found.0;
    let found = ([y, of_x, of_weight.mask_fill(dead, 0.0)], found.1);
    assert_same(found, expected, &model.weight);
    assert_eq!(paths(&masks), [[1; 3], [0; 3]]);
}

/// What burn refuses is refused in burn's words.
#[test]
#[should_panic(expected = "Number of channels in input tensor and input channels of convolution")]
fn sequences_of_other_channels() {
    let (model, masks) = living(Conv1d::new(&Conv1dConfig::new(3, 2, 2), &device()), 0.5);
    masks.run(Execution::Sparse, || model.forward(random([1, 2, 5])));
}

#[test]
fn an_empty_batch_has_an_empty_output() {
    let (row, masks) = living(Conv1d::new(&Conv1dConfig::new(3, 2, 2), &device()), 0.5);
    let y = masks.run(Execution::Sparse, || row.forward(random([0, 3, 5])));
    assert_eq!(y.dims(), [0, 2, 4]);
    let up = ConvTranspose2dConfig::new([3, 2], [2, 2]);
    let (up, masks) = living(ConvTranspose2d::new(&up, &device()), 0.5);
    let y = masks.run(Execution::Sparse, || up.forward(random([0, 3, 5, 4])));
    assert_eq!(y.dims(), [0, 2, 6, 5]);
}
