//! Convolutions, transposed convolutions and linear layers, sparse or dense, whichever is faster.

use super::Kernel;
use crate::error::Result;
use crate::inference::report::Arithmetic;
use crate::inference::run::Sources;
use crate::kernels::{
    Bounds, ConvShape, DenseConv, Epilogue, Mosaic, MosaicConv, PackedConv, SingleLinear,
};

/// The density of live output channels from which on the dense product is faster, or sparse no
/// longer much faster: measured on AVX2, one thread, by
/// `RAYON_NUM_THREADS=1 cargo bench --bench crossover -- inference`.
///
/// What lies in pieces has to be taken out of them for a dense product, and its outputs mostly put
/// into them again. To move a number costs about as much as ten multiply-adds of live weights:
/// estimated from the profile of MobileNetV2's blocks (`PROFILE=1 sparse_inference serve`, AVX-512).
fn crossover(shape: &ConvShape, lies_in_pieces: bool) -> f64 {
    let [rows, columns] = shape.output_size();
    let has_patches = shape.kernel != [1, 1] && shape.stride[0] <= 2;
    match has_patches {
        // Most lanes of a vector of positions are idle. From 0.5 on, dense weights are smaller,
        // too.
        _ if rows * columns < 16 => 0.4,
        // Patches that overlap cost more to write than few outputs gain.
        true if shape.channels[1] <= 64 => f64::INFINITY,
        true => 0.75,
        false if lies_in_pieces => {
            let moved = shape.channels.map(|channels| 1.0 / channels as f64);
            0.35 + 10.0 * (moved[0] + moved[1])
        }
        false => 0.35,
    }
}

/// The density from which on a layer with one position is faster dense. Measured on AVX-512, one
/// thread, by `RAYON_NUM_THREADS=1 cargo bench --bench crossover -- single`.
fn single_crossover(shape: &ConvShape) -> f64 {
    match shape.weights() {
        // One vector of outputs: a dense step is hardly more than a sparse one.
        _ if shape.channels[1] <= 16 => 0.75,
        // Dense weights are no longer in the second cache.
        weights if weights > 1 << 19 => 0.48,
        _ => 0.28,
    }
}

/// Whether every output is one number that reads all inputs: a linear layer of one position, or a
/// convolution with a kernel of the image's size.
fn is_single(shape: &ConvShape) -> bool {
    shape.output_size() == [1, 1]
        && shape.kernel == shape.input
        && shape.padding == [0, 0]
        && shape.groups == 1
        && shape.inputs().max(shape.channels[1]) <= SingleLinear::MOST
}

/// `bounds(W ⋆ x + b + residual)`, the last two if wanted.
#[derive(Debug)]
pub(crate) struct Product {
    weights: Weights,
    bias: Vec<f32>,
    bounds: Bounds,
    /// Whether the weight of the graph is the transpose, `[inputs, outputs]`.
    is_linear: bool,
}

#[derive(Debug)]
pub(crate) enum Weights {
    Sparse(Box<PackedConv>),
    /// From pieces to pieces.
    Pieces(Box<MosaicConv>),
    Dense(DenseConv),
    /// Of one position.
    Single(Box<SingleLinear>),
}

impl Product {
    /// A convolution with weights `[outputs, channels / groups, height, width]`, of images that lie
    /// in pieces or do not.
    pub fn conv(
        shape: ConvShape,
        weight: &[f32],
        bias: Vec<f32>,
        bounds: Bounds,
        lies_in_pieces: bool,
    ) -> Result<Self> {
        shape.check()?;
        let live = live(weight);
        if is_single(&shape) {
            let [inputs, outputs] = [shape.inputs(), shape.channels[1]];
            let single = match DenseConv::density(&shape, &live) >= single_crossover(&shape) {
                true => SingleLinear::dense(inputs, outputs, weight)?,
                false => SingleLinear::sparse(inputs, outputs, weight)?,
            };
            return Ok(Self {
                weights: Weights::Single(Box::new(single)),
                bias,
                bounds,
                is_linear: false,
            });
        }
        // What lies in one row stays as it is: what lies between such layers is not in pieces.
        let pieces = shape.input[0] > 1 && MosaicConv::takes(&shape);
        // With a stride the dense product copies what it reads, and breaks a row of layers in
        // pieces: shortcuts of 1×1 took as long as eight sparse layers or more. Large products were
        // faster dense when planes lay in frames; where the line is now was not measured. Behind
        // larger strides are tokens, not layers in pieces.
        let halves = shape.stride != [1, 1] && shape.stride.iter().all(|stride| *stride <= 2);
        let stays = pieces && halves && shape.weights() < 512 * shape.channels[1];
        let is_dense =
            !stays && DenseConv::density(&shape, &live) >= crossover(&shape, lies_in_pieces);
        let weights = match is_dense && DenseConv::takes(&shape) {
            true => Weights::Dense(DenseConv::new(shape, weight, &live)?),
            false if pieces => Weights::Pieces(Box::new(MosaicConv::new(shape, weight, &live)?)),
            false => Weights::Sparse(Box::new(PackedConv::new(shape, weight, &live)?)),
        };
        Ok(Self {
            weights,
            bias,
            bounds,
            is_linear: false,
        })
    }

    /// The transpose of a convolution of this shape.
    pub fn transposed(
        shape: ConvShape,
        weight: &[f32],
        bias: Vec<f32>,
        bounds: Bounds,
    ) -> Result<Self> {
        let conv = PackedConv::transposed(shape, weight, &live(weight))?;
        Ok(Self {
            weights: Weights::Sparse(Box::new(conv)),
            bias,
            bounds,
            is_linear: false,
        })
    }

    /// A linear layer, weights `[inputs, outputs]`, at so many positions: a 1×1 convolution.
    pub fn linear(
        [inputs, outputs, positions]: [usize; 3],
        weight: &[f32],
        bias: Vec<f32>,
        bounds: Bounds,
    ) -> Result<Self> {
        let shape = ConvShape::new([inputs, outputs], [1, 1], [1, positions]);
        let weight = turned(weight, [inputs, outputs]);
        let product = Self::conv(shape, &weight, bias, bounds, false)?;
        Ok(Self {
            is_linear: true,
            ..product
        })
    }

    /// How images before and after it lie, if in pieces.
    pub fn mosaics(&self) -> Option<[Mosaic; 2]> {
        match &self.weights {
            Weights::Pieces(conv) => Some(conv.mosaics()),
            Weights::Sparse(_) | Weights::Dense(_) | Weights::Single(_) => None,
        }
    }
}

fn live(weight: &[f32]) -> Vec<bool> {
    weight.iter().map(|weight| *weight != 0.0).collect()
}

/// The transpose of rows and columns.
fn turned(matrix: &[f32], [rows, columns]: [usize; 2]) -> Vec<f32> {
    let axes = crate::kernels::strided::Axes::new(&[rows, columns], [&[columns, 1], &[1, rows]]);
    let mut turned = vec![0.0; matrix.len()];
    crate::kernels::strided::copy(&axes, matrix, &mut turned);
    turned
}

impl Kernel for Product {
    fn run(&self, from: &Sources<'_>, to: &mut [f32]) -> Result<()> {
        let epilogue = Epilogue {
            bias: Some(&self.bias),
            residual: (from.len() > 1).then(|| from.floats(1)),
            bounds: self.bounds,
        };
        let input = from.floats(0);
        match &self.weights {
            Weights::Sparse(conv) => conv.forward(input, epilogue, to),
            Weights::Pieces(conv) => conv.forward(input, epilogue, to),
            Weights::Dense(conv) => conv.forward(input, epilogue, to),
            Weights::Single(linear) => linear.forward(input, epilogue, to),
        }
    }

    fn live(&self) -> usize {
        match &self.weights {
            Weights::Sparse(conv) => conv.live(),
            Weights::Pieces(conv) => conv.live(),
            Weights::Dense(conv) => conv.live(),
            Weights::Single(linear) => linear.live(),
        }
    }

    fn bytes(&self) -> usize {
        let weights = match &self.weights {
            Weights::Sparse(conv) => conv.bytes(),
            Weights::Pieces(conv) => conv.bytes(),
            Weights::Dense(conv) => conv.bytes(),
            Weights::Single(linear) => linear.bytes(),
        };
        weights + size_of_val(&self.bias[..])
    }

    fn arithmetic(&self) -> Arithmetic {
        match &self.weights {
            Weights::Sparse(_) => Arithmetic::Sparse,
            Weights::Pieces(_) => Arithmetic::SparseInPieces,
            Weights::Dense(_) => Arithmetic::Dense,
            Weights::Single(linear) if linear.is_dense() => Arithmetic::Dense,
            Weights::Single(_) => Arithmetic::Sparse,
        }
    }

    fn weight(&self) -> Option<Vec<f32>> {
        let weight = match &self.weights {
            Weights::Sparse(conv) => conv.weight(),
            Weights::Pieces(conv) => conv.weight(),
            Weights::Dense(conv) => conv.weight(),
            Weights::Single(linear) => linear.weight(),
        };
        Some(match self.is_linear {
            true => {
                let outputs = self.bias.len();
                turned(&weight, [outputs, weight.len() / outputs.max(1)])
            }
            false => weight,
        })
    }
}
