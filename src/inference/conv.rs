//! Convolutions and linear layers, sparse or dense, whichever is faster.

use super::layer::Layer;
use crate::error::Result;
use crate::kernels::{
    ConvShape, ConvStructure, DenseConv, Epilogue, Frame, FramedConv, PackedConv,
};

/// The density of live output channels from which on the dense product is faster, or sparse no longer much faster: measured on AVX2, one thread, by
/// `RAYON_NUM_THREADS=1 cargo bench --bench crossover -- inference`.
fn crossover(shape: &ConvShape) -> f64 {
    let [rows, columns] = shape.output_size();
    let has_patches = shape.kernel != [1, 1] && shape.stride[0] <= 2;
    match has_patches {
        // Most lanes of a vector of positions are idle. From 0.5 on, dense weights are smaller, too.
        _ if rows * columns < 16 => 0.4,
        // Patches that overlap cost more to write than few outputs gain.
        true if shape.channels[1] <= 64 => f64::INFINITY,
        true => 0.75,
        false => 0.35,
    }
}

/// `relu(W ⋆ x + b + residual)`, the last two if wanted.
#[derive(Debug, Clone)]
pub(crate) struct Conv {
    weights: Weights,
    bias: Vec<f32>,
    relu: bool,
}

#[derive(Debug, Clone)]
enum Weights {
    Sparse(Box<PackedConv>),
    /// From frames to frames.
    Framed(FramedConv),
    Dense(DenseConv),
}

impl Conv {
    /// Weights `[outputs, channels / groups, height, width]` with those that are live.
    pub fn new(
        shape: ConvShape,
        weight: &[f32],
        live: &[bool],
        bias: Vec<f32>,
        relu: bool,
    ) -> Result<Self> {
        shape.check()?;
        let is_dense = DenseConv::density(&shape, live) >= crossover(&shape);
        // Tokens in one row stay as they are: what lies between their convolutions has no frames.
        let framed = shape.input[0] > 1 && FramedConv::takes(&shape);
        let weights = match is_dense && DenseConv::takes(&shape) {
            true => Weights::Dense(DenseConv::new(shape, weight, live)?),
            false if framed => Weights::Framed(FramedConv::new(shape, weight, live)?),
            false => Weights::Sparse(Box::new(ConvStructure::new(shape, live)?.packed(weight)?)),
        };
        Ok(Self {
            weights,
            bias,
            relu,
        })
    }

    /// How images before and after it lie, if in frames.
    pub fn frame(&self) -> Option<Frame> {
        match &self.weights {
            Weights::Framed(conv) => Some(conv.frame()),
            Weights::Sparse(_) | Weights::Dense(_) => None,
        }
    }

    /// With a residual of the output's size.
    pub fn run_onto(
        &self,
        input: &[f32],
        residual: Option<&[f32]>,
        output: &mut [f32],
    ) -> Result<()> {
        let epilogue = Epilogue {
            bias: Some(&self.bias),
            residual,
            relu: self.relu,
        };
        match &self.weights {
            Weights::Sparse(conv) => conv.forward(input, epilogue, output),
            Weights::Framed(conv) => conv.forward(input, epilogue, output),
            Weights::Dense(conv) => conv.forward(input, epilogue, output),
        }
    }

    pub fn shape(&self) -> &ConvShape {
        match &self.weights {
            Weights::Sparse(conv) => conv.shape(),
            Weights::Framed(conv) => conv.shape(),
            Weights::Dense(conv) => conv.shape(),
        }
    }
}

impl Layer for Conv {
    fn sizes(&self) -> [usize; 2] {
        match &self.weights {
            Weights::Framed(conv) => conv.numbers(),
            Weights::Sparse(_) | Weights::Dense(_) => {
                [self.shape().inputs(), self.shape().outputs()]
            }
        }
    }

    fn run(&self, input: &[f32], output: &mut [f32]) -> Result<()> {
        self.run_onto(input, None, output)
    }

    fn live(&self) -> usize {
        match &self.weights {
            Weights::Sparse(conv) => conv.live(),
            Weights::Framed(conv) => conv.live(),
            Weights::Dense(conv) => conv.live(),
        }
    }

    fn bytes(&self) -> usize {
        let weights = match &self.weights {
            Weights::Sparse(conv) => conv.bytes(),
            Weights::Framed(conv) => conv.bytes(),
            Weights::Dense(conv) => conv.bytes(),
        };
        weights + size_of_val(&self.bias[..])
    }
}
