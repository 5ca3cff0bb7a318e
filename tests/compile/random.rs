//! Random small modules: stacks of layers of all kinds, branches, sizes and densities.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::pool::{AvgPool2dConfig, MaxPool2dConfig};
use burn::nn::{
    BatchNorm, BatchNormConfig, GroupNorm, GroupNormConfig, LayerNorm, LayerNormConfig, Linear,
    LinearConfig, PaddingConfig2d,
};
use burn::tensor::activation::{gelu, leaky_relu, relu, sigmoid, silu, softmax};
use burn::tensor::{Device, Tensor};
use proptest::prelude::*;

use crate::{agrees, trained};

/// Any of some kinds of layers; which one is decided by numbers that are taken as they come.
#[derive(Module, Debug)]
enum Layer {
    Conv(Conv2d),
    Transposed(ConvTranspose2d),
    Batch(BatchNorm),
    Group(GroupNorm),
    /// Of the columns of images.
    Rows(LayerNorm),
    Columns(Linear),
    Function(Function),
    Residual(Vec<Layer>),
    Beside(Vec<Layer>),
}

/// What has no parameters, by its number.
#[derive(Module, Debug)]
struct Function {
    kind: usize,
    size: usize,
}

#[derive(Module, Debug)]
struct Stack {
    layers: Vec<Layer>,
}

impl Stack {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        run(&self.layers, x)
    }
}

fn run(layers: &[Layer], x: Tensor<4>) -> Tensor<4> {
    let mut x = x;
    for layer in layers {
        x = match layer {
            Layer::Conv(conv) => conv.forward(x),
            Layer::Transposed(conv) => conv.forward(x),
            Layer::Batch(norm) => norm.forward(x),
            Layer::Group(norm) => norm.forward(x),
            Layer::Rows(norm) => norm.forward(x),
            Layer::Columns(linear) => linear.forward(x),
            Layer::Function(function) => function.forward(x),
            Layer::Residual(layers) => x.clone() + run(layers, x),
            Layer::Beside(layers) => Tensor::cat(vec![x.clone(), run(layers, x)], 1),
        };
    }
    x
}

impl Function {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, channels, height, width] = x.dims();
        let size = self.size.min(height).min(width);
        match self.kind {
            0 => relu(x),
            1 => gelu(x),
            2 => silu(x),
            3 => leaky_relu(x, 0.1),
            4 => MaxPool2dConfig::new([size, size])
                .with_strides([2, 1])
                .init()
                .forward(x),
            5 => AvgPool2dConfig::new([size, size])
                .with_strides([1, 2])
                .init()
                .forward(x),
            6 => x.clone() * sigmoid(x.mean_dim(3).mean_dim(2)),
            7 => x.swap_dims(2, 3),
            8 => softmax(x, 1 + self.size % 3) * 3.0,
            9 => x.slice([0..i32::MAX, 0..channels.div_ceil(2) as i32]),
            10 => x.flatten::<3>(1, 2).mean_dim(1).unsqueeze_dim::<4>(1) * 2.0 - 0.1,
            _ => x.clone() / (x.abs() + 1.0),
        }
    }
}

/// Where all of a row's numbers are nearly the same, a norm with a small ε makes large numbers of their rounding.
const EPSILON: f64 = 0.1;

/// Numbers that choices are made by.
struct Choices(Vec<usize>);

impl Choices {
    fn below(&mut self, most: usize) -> usize {
        self.0.pop().unwrap_or(0) % most
    }
}

/// Layers for images of a shape, and the shape that they make.
fn stack(
    choices: &mut Choices,
    shape: [usize; 3],
    count: usize,
    keeps: bool,
) -> (Stack, [usize; 3]) {
    let device = Device::flex();
    let (mut layers, mut shape) = (Vec::new(), shape);
    for _ in 0..count {
        let [channels, height, width] = shape;
        let kind = choices.below(if keeps { 6 } else { 14 });
        let layer = match kind {
            0 | 1 => {
                let groups = if channels % 2 == 0 {
                    1 + choices.below(2)
                } else {
                    1
                };
                let outputs = if keeps {
                    channels
                } else {
                    groups * (1 + choices.below(6))
                };
                let kernel = [1, 3][choices.below(2)];
                let padding = kernel / 2;
                let conv = Conv2dConfig::new([channels, outputs], [kernel, kernel]);
                let conv = conv.with_groups(groups).with_bias(choices.below(2) == 0);
                let padding = PaddingConfig2d::Explicit(padding, padding, padding, padding);
                shape = [outputs, height, width];
                Layer::Conv(conv.with_padding(padding).init(&device))
            }
            2 => Layer::Batch(BatchNormConfig::new(channels).init(&device)),
            3 => {
                let groups = if channels % 2 == 0 { 2 } else { 1 };
                Layer::Group(
                    GroupNormConfig::new(groups, channels)
                        .with_epsilon(EPSILON)
                        .init(&device),
                )
            }
            4 => Layer::Function(Function {
                kind: choices.below(4),
                size: 1,
            }),
            5 => Layer::Columns(LinearConfig::new(width, width).init(&device)),
            6 => {
                let kernel = [1 + choices.below(4), 1 + choices.below(4)];
                let stride = [1 + choices.below(3), 1 + choices.below(3)];
                let dilation = [1 + choices.below(2), 1 + choices.below(2)];
                let outputs = 1 + choices.below(8);
                let conv = Conv2dConfig::new([channels, outputs], kernel)
                    .with_stride(stride)
                    .with_dilation(dilation)
                    // Twice as much behind, which is no symmetric padding.
                    .with_padding(PaddingConfig2d::Explicit(3, 3, 3 + choices.below(2), 3));
                Layer::Conv(conv.init(&device))
            }
            7 => {
                let (kernel, stride) = (1 + choices.below(4), 1 + choices.below(2));
                let outputs = 1 + choices.below(6);
                let conv = ConvTranspose2dConfig::new([channels, outputs], [kernel, kernel]);
                let conv = conv
                    .with_stride([stride, stride])
                    .with_padding([choices.below(2); 2]);
                Layer::Transposed(conv.init(&device))
            }
            8 => Layer::Rows(
                LayerNormConfig::new(width)
                    .with_epsilon(EPSILON)
                    .init(&device),
            ),
            9 => Layer::Columns(LinearConfig::new(width, 1 + choices.below(9)).init(&device)),
            10 => {
                let count = 1 + choices.below(3);
                Layer::Residual(stack(choices, shape, count, true).0.layers)
            }
            11 => {
                let count = 1 + choices.below(3);
                Layer::Beside(stack(choices, shape, count, true).0.layers)
            }
            _ => {
                let (kind, size) = (choices.below(12), 1 + choices.below(3));
                Layer::Function(Function { kind, size })
            }
        };
        let one = Stack {
            layers: vec![layer],
        };
        // The layer itself knows best what it makes.
        let [channels, height, width] = shape_behind(&one, [channels, height, width]);
        if channels * height * width == 0 || channels * height * width > 4000 {
            continue;
        }
        shape = [channels, height, width];
        layers.extend(one.layers);
    }
    (Stack { layers }, shape)
}

/// The shape that a stack makes, or nothing if it takes no images of a shape.
fn shape_behind(stack: &Stack, [channels, height, width]: [usize; 3]) -> [usize; 3] {
    let x = Tensor::zeros([1, channels, height, width], &Device::flex());
    let run = std::panic::AssertUnwindSafe(|| stack.forward(x).dims());
    match std::panic::catch_unwind(run) {
        Ok([_, channels, height, width]) => [channels, height, width],
        Err(_) => [0; 3],
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_stack_of_layers(
        choices in prop::collection::vec(0usize..1000, 80),
        channels in 1usize..6,
        size in (1usize..12, 1usize..12),
        count in 1usize..9,
        density in prop::sample::select(vec![0.0, 0.1, 0.5, 0.9, 1.0]),
    ) {
        let shape = [channels, size.0, size.1];
        let (stack, _) = stack(&mut Choices(choices), shape, count, false);
        let model = trained(stack, density);
        let sample = [1, channels, size.0, size.1];
        agrees(&format!("{model:?}"), &model, sample, |m: &Stack, x| m.forward(x));
    }
}
