//! The parts of a network.

use burn::tensor::Tensor;

use crate::error::Result;
use crate::kernels::{ConvShape, ConvStructure, Epilogue, PackedConv};
use crate::nn::{BatchNorm, Conv2d, Linear};

/// A convolution, its batch norm, and ReLU.
#[derive(Debug, Clone)]
pub(crate) struct Conv {
    conv: PackedConv,
    bias: Vec<f32>,
    relu: bool,
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

impl Conv {
    /// `γ (W ⋆ x − μ) / √(σ² + ε) + β` as one convolution with a bias. A square kernel with equal padding on all sides.
    pub fn folded(conv: &Conv2d, norm: &BatchNorm, input: [usize; 2], relu: bool) -> Result<Self> {
        let weight = conv.weight.val();
        let [outputs, channels, height, width] = weight.dims();
        let shape = ConvShape::new([channels, outputs], [height, width], input)
            .with_stride(conv.stride)
            .with_padding([height / 2, width / 2]);
        let mut weight = numbers(weight);
        let live: Vec<bool> = weight.iter().map(|weight| *weight != 0.0).collect();
        let (gamma, beta) = (numbers(norm.gamma.val()), numbers(norm.beta.val()));
        let mean = numbers(norm.running_mean.value_sync());
        let variance = numbers(norm.running_var.value_sync());
        let scale = |output: usize| {
            let deviation = (f64::from(variance[output]) + norm.epsilon).sqrt();
            f64::from(gamma[output]) / deviation
        };
        let each = weight.len() / outputs;
        for (output, weights) in weight.chunks_exact_mut(each).enumerate() {
            for weight in weights {
                *weight = (f64::from(*weight) * scale(output)) as f32;
            }
        }
        let bias = |output: usize| {
            (f64::from(beta[output]) - f64::from(mean[output]) * scale(output)) as f32
        };
        Ok(Self {
            conv: ConvStructure::new(shape, &live)?.packed(&weight)?,
            bias: (0..outputs).map(bias).collect(),
            relu,
        })
    }

    pub fn run(&self, input: &[f32], residual: Option<&[f32]>, output: &mut [f32]) -> Result<()> {
        let epilogue = Epilogue {
            bias: Some(&self.bias),
            residual,
            relu: self.relu,
        };
        self.conv.forward(input, epilogue, output)
    }

    pub fn inputs(&self) -> usize {
        self.conv.shape().inputs()
    }

    pub fn outputs(&self) -> usize {
        self.conv.shape().outputs()
    }

    /// Height and width of the output.
    pub fn size(&self) -> [usize; 2] {
        self.conv.shape().output_size()
    }

    pub fn live(&self) -> usize {
        self.conv.live()
    }

    pub fn bytes(&self) -> usize {
        self.conv.bytes() + size_of_val(&self.bias[..])
    }
}

/// What is added to the end of a block.
#[derive(Debug, Clone)]
pub(crate) enum Shortcut {
    /// The block's input.
    Same,
    /// Every other pixel of it, between channels of zeros.
    Subsampled {
        /// Channels, height and width of the input.
        input: [usize; 3],
        /// Channels of zeros before and after.
        zeros: [usize; 2],
    },
    /// A strided convolution of it.
    Conv(Box<Conv>),
}

/// Two convolutions and a way around them.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub first: Conv,
    pub second: Conv,
    pub shortcut: Shortcut,
}

impl Block {
    pub fn run(&self, input: &[f32], images: usize) -> Result<Vec<f32>> {
        let mut hidden = vec![0.0; images * self.first.outputs()];
        self.first.run(input, None, &mut hidden)?;
        let mut output = vec![0.0; images * self.second.outputs()];
        let around;
        let residual = match &self.shortcut {
            Shortcut::Same => input,
            Shortcut::Subsampled {
                input: shape,
                zeros,
            } => {
                around = subsampled(input, *shape, *zeros);
                &around
            }
            Shortcut::Conv(conv) => {
                let mut converted = vec![0.0; images * conv.outputs()];
                conv.run(input, None, &mut converted)?;
                around = converted;
                &around
            }
        };
        self.second.run(&hidden, Some(residual), &mut output)?;
        Ok(output)
    }

    pub fn convs(&self) -> impl Iterator<Item = &Conv> {
        let around = match &self.shortcut {
            Shortcut::Conv(conv) => Some(conv.as_ref()),
            _ => None,
        };
        [&self.first, &self.second].into_iter().chain(around)
    }
}

fn subsampled(input: &[f32], [channels, height, width]: [usize; 3], zeros: [usize; 2]) -> Vec<f32> {
    let plane = height.div_ceil(2) * width.div_ceil(2);
    let mut output = Vec::new();
    for image in input.chunks_exact(channels * height * width) {
        output.resize(output.len() + zeros[0] * plane, 0.0);
        for lines in image.chunks_exact(height * width) {
            let lines = lines.chunks_exact(width).step_by(2);
            output.extend(lines.flat_map(|line| line.iter().step_by(2)));
        }
        output.resize(output.len() + zeros[1] * plane, 0.0);
    }
    output
}

/// The mean of each channel, and a linear layer: so small that its weights are dense.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// Numbers in a channel.
    plane: usize,
    /// `[features, classes]`.
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Head {
    /// Of planes of a height and width.
    pub fn new(linear: &Linear, size: [usize; 2]) -> Self {
        let weight = linear.weight.val();
        let [_, classes] = weight.dims();
        let bias = linear.bias.as_ref().map(|bias| numbers(bias.val()));
        Self {
            plane: size[0] * size[1],
            weight: numbers(weight),
            bias: bias.unwrap_or(vec![0.0; classes]),
        }
    }

    pub fn classes(&self) -> usize {
        self.bias.len()
    }

    pub fn run(&self, hidden: &[f32], logits: &mut [f32]) {
        let features = self.weight.len() / self.classes() * self.plane;
        let images = hidden.chunks_exact(features);
        for (image, logits) in images.zip(logits.chunks_exact_mut(self.classes())) {
            logits.copy_from_slice(&self.bias);
            let weights = self.weight.chunks_exact(self.classes());
            for (plane, weights) in image.chunks_exact(self.plane).zip(weights) {
                let mean = plane.iter().sum::<f32>() / self.plane as f32;
                for (logit, weight) in logits.iter_mut().zip(weights) {
                    *logit += mean * weight;
                }
            }
        }
    }

    pub fn live(&self) -> usize {
        self.weight.iter().filter(|weight| **weight != 0.0).count()
    }

    pub fn bytes(&self) -> usize {
        size_of_val(&self.weight[..]) + size_of_val(&self.bias[..])
    }
}
