//! Convolutions and linear layers, sparse or dense, whichever is faster.

use super::dense::DenseConv;
use super::layer::Layer;
use crate::error::Result;
use crate::kernels::{ConvShape, ConvStructure, Epilogue, PackedConv};

/// The density from which on the dense product is faster or not much slower, on AVX2; `measure` below prints both.
fn crossover(shape: &ConvShape) -> f64 {
    let [rows, columns] = shape.output_size();
    let has_patches = shape.kernel != [1, 1];
    match (has_patches, shape.stride) {
        // Patches cost more than few outputs gain.
        (true, _) if shape.channels[1] <= 64 => f64::INFINITY,
        // Most lanes of a vector of positions would be idle; from 0.5 on, dense weights are smaller, too.
        _ if rows * columns < 16 => 0.4,
        (true, [1, 1]) => 0.7,
        _ => 0.4,
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
    Sparse(PackedConv),
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
        let count = live.iter().filter(|live| **live).count();
        let is_dense = count as f64 >= crossover(&shape) * live.len() as f64;
        let weights = match is_dense && DenseConv::takes(&shape) {
            true => Weights::Dense(DenseConv::new(shape, weight.to_vec(), count)),
            false => Weights::Sparse(ConvStructure::new(shape, live)?.packed(weight)?),
        };
        Ok(Self {
            weights,
            bias,
            relu,
        })
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
            Weights::Dense(conv) => conv.forward(input, epilogue, output),
        }
    }

    pub fn shape(&self) -> &ConvShape {
        match &self.weights {
            Weights::Sparse(conv) => conv.shape(),
            Weights::Dense(conv) => conv.shape(),
        }
    }
}

impl Layer for Conv {
    fn sizes(&self) -> [usize; 2] {
        [self.shape().inputs(), self.shape().outputs()]
    }

    fn run(&self, input: &[f32], output: &mut [f32]) -> Result<()> {
        self.run_onto(input, None, output)
    }

    fn live(&self) -> usize {
        match &self.weights {
            Weights::Sparse(conv) => conv.live(),
            Weights::Dense(conv) => conv.live(),
        }
    }

    fn bytes(&self) -> usize {
        let weights = match &self.weights {
            Weights::Sparse(conv) => conv.bytes(),
            Weights::Dense(conv) => conv.bytes(),
        };
        weights + size_of_val(&self.bias[..])
    }
}
