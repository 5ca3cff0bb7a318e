//! How networks are put together: each layer takes the shape of what the one before puts out.

use std::sync::Arc;

use burn::nn;

use super::SparseNetwork;
use super::attention::{Attention, FirstTokens, Gelu, Tokens};
use super::conv::Conv;
use super::filters::{Filters, factors, numbers};
use super::frame::{IntoFrames, OutOfFrames, Planes};
use super::layer::{Layer, Sequence};
use super::norm::{LayerNorm, NormRelu};
use super::pool::{MaxPool, Mean, Subsample};
use super::residual::Residual;
use crate::error::{Error, Result};
use crate::kernels::Frame;
use crate::nn::BatchNorm;

/// Layers so far.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    /// Channels, height and width of the output.
    shape: [usize; 3],
    /// How its planes lie, if in frames.
    frame: Option<Frame>,
    layers: Sequence,
}

impl Network {
    /// Of images of a number of channels, height and width; a first layer checks them.
    pub fn new(shape: [usize; 3]) -> Self {
        let image = shape.into_iter().fold(1, usize::saturating_mul);
        let layers = Vec::new();
        Self {
            shape,
            frame: None,
            layers: Sequence { image, layers },
        }
    }

    /// An empty one for the output of this.
    pub fn branch(&self) -> Self {
        let image = self.layers.sizes()[1];
        let layers = Vec::new();
        Self {
            shape: self.shape,
            frame: self.frame,
            layers: Sequence { image, layers },
        }
    }

    pub fn finish(self) -> SparseNetwork {
        let layers = self.lying(None).layers;
        SparseNetwork::layers(layers)
    }

    /// The same images in frames, or without.
    fn lying(mut self, frame: Option<Frame>) -> Self {
        let shape = self.shape;
        let planes = |frame| Planes { frame, shape };
        let layer: Arc<dyn Layer> = match (self.frame, frame) {
            (None, Some(frame)) => Arc::new(IntoFrames(planes(frame))),
            (Some(frame), None) => Arc::new(OutOfFrames(planes(frame))),
            // Planes of one size have one frame.
            (None, None) | (Some(_), Some(_)) => return self,
        };
        self.layers.layers.push(layer);
        self.frame = frame;
        self
    }

    /// A layer of planes without frames.
    fn then(self, layer: impl Layer + 'static, shape: [usize; 3]) -> Self {
        self.lying(None).then_lying(layer, shape)
    }

    /// A layer of planes as they lie.
    fn then_lying(mut self, layer: impl Layer + 'static, shape: [usize; 3]) -> Self {
        self.layers.layers.push(Arc::new(layer));
        self.shape = shape;
        self
    }

    fn plane(&self) -> usize {
        self.shape[1] * self.shape[2]
    }

    /// A convolution or a linear layer.
    pub fn conv(self, filters: Filters) -> Result<Self> {
        let conv = filters.packed(self.shape)?;
        let shape = output(&conv);
        Ok(self.lying(conv.frame()).then_lying(conv, shape))
    }

    /// `last(body(x)) + around(x)`, then the ReLU of `last`.
    pub fn residual(self, body: Self, last: Filters, around: Self) -> Result<Self> {
        let last = last.packed(body.shape)?;
        let shape = output(&last);
        if around.shape != shape {
            return Err(Error::Mismatch {
                what: "the shortcut",
                reason: format!("{:?}, and {shape:?} to be added to", around.shape),
            });
        }
        let frame = last.frame();
        let residual = Residual {
            body: body.lying(frame).layers,
            last,
            around: around.lying(frame).layers,
        };
        let mut network = self.then_lying(residual, shape);
        network.frame = frame;
        Ok(network)
    }

    /// Batch norm and ReLU on their own.
    pub fn norm_relu(self, norm: &BatchNorm) -> Self {
        let factors = factors(norm).into_iter();
        let layer = NormRelu {
            factors: factors
                .map(|(scale, shift)| (scale as f32, shift as f32))
                .collect(),
            plane: self.plane(),
        };
        let shape = self.shape;
        self.then(layer, shape)
    }

    /// Max pooling; images of no pixels are for the next layer to refuse.
    pub fn max_pool(self, window: usize, stride: usize, padding: usize) -> Self {
        let input = self.shape;
        let layer = MaxPool {
            input,
            window,
            stride,
            padding,
        };
        let [rows, columns] = layer.output();
        self.then(layer, [input[0], rows, columns])
    }

    /// The mean of each channel.
    pub fn mean(self) -> Self {
        let (channels, plane) = (self.shape[0], self.plane());
        self.then(Mean { channels, plane }, [channels, 1, 1])
    }

    /// Every other pixel, between so many channels of zeros.
    pub fn subsample(self, zeros: [usize; 2]) -> Self {
        let input = self.shape;
        let [channels, height, width] = input;
        let channels = zeros[0] + channels + zeros[1];
        let shape = [channels, height.div_ceil(2), width.div_ceil(2)];
        self.then(Subsample { input, zeros }, shape)
    }

    /// Patches to tokens in one row, special ones `[special, width]` first, with positions `[special + patches, width]`.
    pub fn tokens(self, special: &[f32], positions: &[f32]) -> Self {
        let width = self.shape[0];
        let count = special.len() / width;
        let (first, rest) = positions.split_at(special.len());
        let special: Vec<f32> = special.iter().zip(first).map(|(a, b)| a + b).collect();
        let layer = Tokens {
            special: columns(&special, width),
            positions: columns(rest, width),
            width,
        };
        let tokens = count + self.plane();
        self.then(layer, [width, 1, tokens])
    }

    /// The first tokens alone.
    pub fn first_tokens(self, kept: usize) -> Self {
        let [width, _, tokens] = self.shape;
        let layer = FirstTokens {
            width,
            tokens,
            kept,
        };
        self.then(layer, [width, 1, kept])
    }

    pub fn layer_norm(self, norm: &nn::LayerNorm, epsilon: f64) -> Self {
        let gamma = numbers(norm.gamma.val());
        let beta = norm.beta.as_ref().map(|beta| numbers(beta.val()));
        let beta = beta.unwrap_or(vec![0.0; gamma.len()]);
        let layer = LayerNorm {
            factors: gamma.into_iter().zip(beta).collect(),
            epsilon: epsilon as f32,
            plane: self.plane(),
        };
        let shape = self.shape;
        self.then(layer, shape)
    }

    /// Queries, keys and values of some heads to what they attend to.
    pub fn attention(self, heads: usize) -> Self {
        let [triple, _, tokens] = self.shape;
        let layer = Attention {
            width: triple / 3,
            heads,
            tokens,
        };
        self.then(layer, [triple / 3, 1, tokens])
    }

    pub fn gelu(self) -> Self {
        let (size, shape) = (self.shape[0] * self.plane(), self.shape);
        self.then(Gelu { size }, shape)
    }
}

/// Channels, height and width behind a convolution.
fn output(conv: &Conv) -> [usize; 3] {
    let [rows, columns] = conv.shape().output_size();
    [conv.shape().channels[1], rows, columns]
}

/// The transpose of rows of some width.
fn columns(rows: &[f32], width: usize) -> Vec<f32> {
    let column = |at: usize| rows.iter().skip(at).step_by(width).copied();
    (0..width).flat_map(column).collect()
}
