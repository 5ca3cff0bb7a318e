//! The modules.

use burn::module::{Module, ModuleMapper, Param, ParamGroup};
use burn::nn::conv::{
    Conv1d, Conv1dConfig, Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig,
};
use burn::nn::{
    BatchNorm, BatchNormConfig, Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear,
    LinearConfig, Lstm, LstmConfig, PaddingConfig2d,
};
use burn::tensor::activation::{gelu, log_softmax, relu, tanh};
use burn::tensor::{Device, Distribution, FloatDType, Int, Tensor, TensorData};
use zosam::model_file::Configuration;
use zosam::objective::seeded;

pub use super::gpt::Gpt;
use super::gpt::GptConfig;
use super::scenes::{CLASSES, STRIDE};
pub use super::scenes::{Detector, Segmenter};
use super::{Example, Float, plain_device};

const BATCH: usize = 6;

fn random<const D: usize>(number: u64, shape: [usize; D]) -> Tensor<D> {
    // Without autodiff, so that it goes with models on any of a device's checkpointing strategies.
    let device = plain_device();
    let normal = Distribution::Normal(0.0, 1.0);
    seeded(&device, 1000 + number, || {
        Tensor::random(shape, normal, &device)
    })
}

/// The mean square of each sample.
fn squares<const D: usize>(outputs: Tensor<D>) -> Tensor<1> {
    let samples = outputs.dims()[0];
    let squares = outputs.powi_scalar(2).reshape([samples as i64, -1]);
    squares.mean_dim(1).flatten(0, 1)
}

fn linear(inputs: usize, outputs: usize, device: &Device) -> Linear {
    LinearConfig::new(inputs, outputs).init(device)
}

const WORDS: usize = 7;

/// `x Wᵀ`.
#[derive(Module, Debug)]
pub struct Projection {
    weight: Param<Tensor<2>>,
}

/// An embedding whose weight is the output's, too, and a sparse layer between.
#[derive(Module, Debug)]
pub struct Language {
    embedding: Embedding,
    hidden: Linear,
    output: Projection,
}

impl Example for Language {
    type Batch = (Tensor<2, Int>, Tensor<2, Int>);

    fn init(device: &Device) -> Self {
        let embedding = EmbeddingConfig::new(WORDS, 6).init(device);
        Self {
            output: Projection {
                weight: embedding.weight.clone(),
            },
            hidden: linear(6, 6, device),
            embedding,
        }
    }

    fn batch(number: u64) -> Self::Batch {
        let words = |shift: usize| {
            let words = (0..BATCH * 3).map(|i| ((i * i + shift + number as usize) % WORDS) as i64);
            Tensor::from_data(
                TensorData::new(words.collect(), [BATCH, 3]),
                &plain_device(),
            )
        };
        (words(0), words(2))
    }

    fn losses(&self, (words, next): &Self::Batch) -> Tensor<1> {
        let hidden = tanh(self.hidden.forward(self.embedding.forward(words.clone())));
        let weight = self.output.weight.val().transpose().unsqueeze();
        let logits = log_softmax(hidden.matmul(weight), 2);
        let picked = logits.gather(2, next.clone().unsqueeze_dim(2));
        picked.neg().flatten::<2>(1, 2).mean_dim(1).flatten(0, 1)
    }
}

/// Two layers of this crate's with one sparse weight.
#[derive(Module, Debug)]
pub struct Pair {
    first: zosam::nn::Linear,
    second: zosam::nn::Linear,
    output: Linear,
}

impl Example for Pair {
    type Batch = Tensor<2>;

    fn init(device: &Device) -> Self {
        let first = zosam::nn::Linear::new(&LinearConfig::new(6, 6), device);
        let mut second = zosam::nn::Linear::new(&LinearConfig::new(6, 6), device);
        second.weight = first.weight.clone();
        Self {
            first,
            second,
            output: linear(6, 3, device),
        }
    }

    fn batch(number: u64) -> Self::Batch {
        random(number, [BATCH, 6])
    }

    fn losses(&self, inputs: &Self::Batch) -> Tensor<1> {
        let hidden = relu(self.first.forward(inputs.clone()));
        let hidden = tanh(self.second.forward(hidden));
        squares(self.output.forward(hidden))
    }
}

/// Convolutions in groups, of this crate's and burn's, the latter of one channel each.
#[derive(Module, Debug)]
pub struct Grouped {
    grouped: zosam::nn::Conv2d,
    depthwise: Conv2d,
    output: Linear,
}

impl Example for Grouped {
    type Batch = Tensor<4>;

    fn init(device: &Device) -> Self {
        let config = |channels, groups| {
            Conv2dConfig::new(channels, [3, 3])
                .with_groups(groups)
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        };
        Self {
            grouped: zosam::nn::Conv2d::new(&config([4, 6], 2), device),
            depthwise: config([6, 6], 6).init(device),
            output: linear(6, 3, device),
        }
    }

    fn batch(number: u64) -> Self::Batch {
        random(number, [BATCH, 4, 4, 4])
    }

    fn losses(&self, images: &Self::Batch) -> Tensor<1> {
        let hidden = relu(self.grouped.forward(images.clone()));
        let hidden = tanh(self.depthwise.forward(hidden));
        squares(
            self.output
                .forward(hidden.mean_dim(3).mean_dim(2).flatten::<2>(1, 3)),
        )
    }
}

/// A transposed convolution.
#[derive(Module, Debug)]
pub struct Upsampling {
    up: ConvTranspose2d,
    output: Linear,
}

impl Example for Upsampling {
    type Batch = Tensor<4>;

    fn init(device: &Device) -> Self {
        let up = ConvTranspose2dConfig::new([3, 4], [3, 3]).with_stride([2, 2]);
        Self {
            up: up.init(device),
            output: linear(4, 3, device),
        }
    }

    fn batch(number: u64) -> Self::Batch {
        random(number, [BATCH, 3, 3, 3])
    }

    fn losses(&self, images: &Self::Batch) -> Tensor<1> {
        let hidden = tanh(self.up.forward(images.clone()));
        squares(
            self.output
                .forward(hidden.mean_dim(3).mean_dim(2).flatten::<2>(1, 3)),
        )
    }
}

/// Gates, each of two linear layers.
#[derive(Module, Debug)]
pub struct Recurrent {
    lstm: Lstm,
    output: Linear,
}

impl Example for Recurrent {
    type Batch = Tensor<3>;

    fn init(device: &Device) -> Self {
        Self {
            lstm: LstmConfig::new(3, 4, true).init(device),
            output: linear(4, 2, device),
        }
    }

    fn batch(number: u64) -> Self::Batch {
        random(number, [BATCH, 4, 3])
    }

    fn losses(&self, inputs: &Self::Batch) -> Tensor<1> {
        let (_, state) = self.lstm.forward(inputs.clone(), None);
        squares(self.output.forward(state.hidden))
    }
}

/// A convolution over sequences, and a norm with running statistics.
#[derive(Module, Debug)]
pub struct Signals {
    conv: Conv1d,
    norm: BatchNorm,
    output: Linear,
}

impl Example for Signals {
    type Batch = Tensor<3>;

    fn init(device: &Device) -> Self {
        Self {
            conv: Conv1dConfig::new(2, 5, 3).with_stride(2).init(device),
            norm: BatchNormConfig::new(5).init(device),
            output: linear(5 * 4, 3, device),
        }
    }

    fn batch(number: u64) -> Self::Batch {
        random(number, [BATCH, 2, 9])
    }

    fn losses(&self, signals: &Self::Batch) -> Tensor<1> {
        let hidden = tanh(self.norm.forward(self.conv.forward(signals.clone())));
        squares(self.output.forward(hidden.flatten::<2>(1, 2)))
    }
}

/// The model of examples/language_model: causal attention, its linear layers this crate's, its embedding the output, too.
impl Example for Gpt {
    type Batch = Tensor<2, Int>;

    fn init(device: &Device) -> Self {
        let config = GptConfig {
            layers: 1,
            width: 8,
            heads: 2,
            context: 4,
            tied: true,
            dropout: 0.0,
        };
        config.init(device).expect("the sizes are valid")
    }

    fn batch(number: u64) -> Self::Batch {
        let bytes = (0..BATCH * 5).map(|i| ((i * i + number as usize) % 256) as i64);
        Tensor::from_data(
            TensorData::new(bytes.collect(), [BATCH, 5]),
            &plain_device(),
        )
    }

    fn losses(&self, windows: &Self::Batch) -> Tensor<1> {
        Gpt::losses(self, windows.clone())
    }
}

/// Height and width of the scenes.
const SCENE: usize = 4;

/// The U-Net of examples/scenes.
impl Example for Segmenter {
    type Batch = (Tensor<4>, Tensor<3, Int>);

    fn init(device: &Device) -> Self {
        Segmenter::new(2, 2, device)
    }

    fn batch(number: u64) -> Self::Batch {
        let count = BATCH * SCENE * SCENE;
        let classes = (0..count).map(|i| ((i * i + number as usize) % (CLASSES + 1)) as i64);
        let classes = TensorData::new(classes.collect(), [BATCH, SCENE, SCENE]);
        let images = random(number, [BATCH, 1, SCENE, SCENE]);
        (images, Tensor::from_data(classes, &plain_device()))
    }

    fn losses(&self, (images, masks): &Self::Batch) -> Tensor<1> {
        Segmenter::losses(self, images.clone(), masks.clone())
    }
}

/// The centre-point detector of examples/scenes.
impl Example for Detector {
    type Batch = (Tensor<4>, Tensor<4>);

    fn init(device: &Device) -> Self {
        Detector::new(2, 3, device)
    }

    /// A centre in each scene, and heat below 1 elsewhere.
    fn batch(number: u64) -> Self::Batch {
        let side = SCENE / STRIDE;
        let cells = side * side;
        let values = (0..BATCH * (CLASSES + 5) * cells).map(|i| {
            let (channel, cell) = (i / cells % (CLASSES + 5), i % cells);
            let is_here = cell == number as usize % cells;
            match channel {
                channel if channel < CLASSES => {
                    if is_here && channel == 1 {
                        1.0
                    } else {
                        0.1
                    }
                }
                channel if channel < CLASSES + 4 => 1.5,
                _ => f32::from(is_here),
            }
        });
        let shape = [BATCH, CLASSES + 5, side, side];
        let targets = TensorData::new(values.collect(), shape);
        let images = random(number, [BATCH, 1, SCENE, SCENE]);
        (images, Tensor::from_data(targets, &plain_device()))
    }

    fn losses(&self, (images, targets): &Self::Batch) -> Tensor<1> {
        Detector::losses(self, images.clone(), targets.clone())
    }
}

/// A norm without running statistics, layers in a list, and one that may be missing.
#[derive(Module, Debug)]
pub struct Normed {
    layers: Vec<Linear>,
    norm: LayerNorm,
    missing: Option<Linear>,
}

impl Example for Normed {
    type Batch = Tensor<2>;

    fn init(device: &Device) -> Self {
        Self {
            layers: vec![linear(5, 6, device), linear(6, 6, device)],
            norm: LayerNormConfig::new(6).init(device),
            missing: None,
        }
    }

    fn batch(number: u64) -> Self::Batch {
        random(number, [BATCH, 5])
    }

    fn losses(&self, inputs: &Self::Batch) -> Tensor<1> {
        let layers = self.layers.iter();
        let hidden = layers.fold(inputs.clone(), |hidden, layer| gelu(layer.forward(hidden)));
        let target = hidden.clone().slice_fill([0..1, 0..1], 1.0).detach();
        squares(self.norm.forward(hidden) - target)
    }
}

/// A branch that no loss depends on.
#[derive(Module, Debug)]
pub struct Unused {
    used: Linear,
    unused: Linear,
}

impl Example for Unused {
    type Batch = Tensor<2>;

    fn init(device: &Device) -> Self {
        Self {
            used: linear(6, 5, device),
            unused: linear(6, 5, device),
        }
    }

    fn batch(number: u64) -> Self::Batch {
        random(number, [BATCH, 6])
    }

    fn losses(&self, inputs: &Self::Batch) -> Tensor<1> {
        squares(self.used.forward(inputs.clone()))
    }
}

/// Two heads, of which each batch trains one.
#[derive(Module, Debug)]
pub struct Heads {
    trunk: Linear,
    heads: [Linear; 2],
}

impl Example for Heads {
    type Batch = (Tensor<2>, Tensor<1, Int>);

    fn init(device: &Device) -> Self {
        Self {
            trunk: linear(5, 6, device),
            heads: [linear(6, 3, device), linear(6, 4, device)],
        }
    }

    fn batch(number: u64) -> Self::Batch {
        let head = Tensor::from_ints([(number % 2) as i64; BATCH], &plain_device());
        (random(number, [BATCH, 5]), head)
    }

    fn losses(&self, (inputs, head): &Self::Batch) -> Tensor<1> {
        let head = head.clone().slice(0..1).into_scalar::<i64>();
        let hidden = tanh(self.trunk.forward(inputs.clone()));
        squares(self.heads[head as usize].forward(hidden))
    }
}

fn two_layers(device: &Device) -> [Linear; 2] {
    [linear(6, 5, device), linear(5, 4, device)]
}

fn through(layers: [&Linear; 2], inputs: &Tensor<2>) -> Tensor<1> {
    squares(layers[1].forward(tanh(layers[0].forward(inputs.clone()))))
}

/// A layer that is frozen from the start has no mask.
#[derive(Module, Debug)]
pub struct Frozen {
    first: Linear,
    second: Linear,
}

impl Example for Frozen {
    type Batch = Tensor<2>;

    fn init(device: &Device) -> Self {
        let [first, second] = two_layers(device);
        let first = first.no_grad();
        Self { first, second }
    }

    fn batch(number: u64) -> Self::Batch {
        random(number, [BATCH, 6])
    }

    fn losses(&self, inputs: &Self::Batch) -> Tensor<1> {
        through([&self.first, &self.second], inputs)
    }
}

/// A layer that is frozen when it has a mask keeps it.
#[derive(Module, Debug)]
pub struct FrozenLater {
    first: Linear,
    second: Linear,
}

impl Example for FrozenLater {
    type Batch = Tensor<2>;

    fn init(device: &Device) -> Self {
        let [first, second] = two_layers(device);
        Self { first, second }
    }

    fn batch(number: u64) -> Self::Batch {
        random(number, [BATCH, 6])
    }

    fn losses(&self, inputs: &Self::Batch) -> Tensor<1> {
        through([&self.first, &self.second], inputs)
    }

    fn attached(self) -> Self {
        self.freeze_group(ParamGroup::from_predicate("first"))
    }
}

/// Layers of a float type.
#[derive(Module, Debug)]
pub struct Typed {
    first: Linear,
    norm: BatchNorm,
    second: Linear,
}

impl Typed {
    fn init(device: &Device, dtype: FloatDType) -> Self {
        let [first, second] = two_layers(device);
        let norm = BatchNormConfig::new(5).init(device);
        let typed = Self {
            first,
            norm,
            second,
        };
        typed.map(&mut Cast(dtype))
    }

    fn losses(&self, inputs: &Tensor<2>) -> Tensor<1> {
        let hidden = self.norm.forward(self.first.forward(inputs.clone()));
        squares(self.second.forward(tanh(hidden)))
    }
}

struct Cast(FloatDType);

impl ModuleMapper for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let strategy = tensor.gradient_checkpointing_strategy();
        let trainable = tensor.is_require_grad();
        let mut cast = Tensor::<D>::from_inner(tensor.inner().cast(self.0));
        if let Some(strategy) = strategy {
            cast = cast.with_gradient_checkpointing_strategy(strategy);
        }
        Param::from_mapped_value(id, cast.set_require_grad(trainable), mapper)
    }
}

macro_rules! typed {
    ($name:ident, $dtype:expr, $float:expr) => {
        #[derive(Module, Debug)]
        pub struct $name {
            layers: Typed,
        }

        impl Example for $name {
            type Batch = Tensor<2>;

            const FLOAT: Float = $float;

            fn init(device: &Device) -> Self {
                Self {
                    layers: Typed::init(device, $dtype),
                }
            }

            fn batch(number: u64) -> Self::Batch {
                random(number, [BATCH, 6]).cast($dtype)
            }

            fn losses(&self, inputs: &Self::Batch) -> Tensor<1> {
                self.layers.losses(inputs)
            }
        }
    };
}

typed!(Double, FloatDType::F64, Float::Wider);
typed!(Half, FloatDType::BF16, Float::Narrower);
