//! Convolutions and linear layers, sparse or dense, whichever is faster.

use super::dense::DenseConv;
use super::layer::Layer;
use crate::error::Result;
use crate::kernels::{ConvShape, ConvStructure, Epilogue, PackedConv};

/// The density of live output channels from which on the dense product is faster, or sparse no longer much faster: measured on AVX2, one thread, by
/// `cargo test --release --lib measure_crossover -- --ignored --nocapture`.
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
        let weights = match is_dense && DenseConv::takes(&shape) {
            true => Weights::Dense(DenseConv::new(shape, weight, live)),
            false => Weights::Sparse(Box::new(ConvStructure::new(shape, live)?.packed(weight)?)),
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Prints times; proves nothing, so it runs on demand only.
    #[test]
    #[ignore = "a measurement"]
    fn measure_crossover() {
        let square = |channels, kernel, size, stride| {
            ConvShape::new(channels, [kernel; 2], [size; 2])
                .with_padding([kernel / 2; 2])
                .with_stride([stride; 2])
        };
        let tokens = |channels, count| ConvShape::new(channels, [1, 1], [1, count]);
        let shapes = [
            square([3, 64], 7, 224, 2),
            square([32, 32], 3, 32, 1),
            square([64, 64], 3, 16, 1),
            square([64, 64], 3, 56, 1),
            square([128, 128], 3, 8, 1),
            square([128, 128], 3, 56, 2),
            square([512, 512], 3, 7, 1),
            square([512, 512], 3, 2, 1),
            square([256, 64], 1, 56, 1),
            square([1024, 256], 1, 14, 1),
            square([512, 2048], 1, 7, 1),
            ConvShape::new([3, 384], [16, 16], [224, 224]).with_stride([16, 16]),
            tokens([384, 1152], 197),
            tokens([384, 1536], 197),
            tokens([1536, 384], 197),
            tokens([2048, 1000], 1),
        ];
        println!(
            "channels, kernel, input, stride: dense; sparse / dense at 1, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05"
        );
        for shape in shapes {
            let weight = vec![0.5; shape.weights()];
            let dense = DenseConv::new(shape, &weight, &vec![true; weight.len()]);
            let (input, mut output) = (vec![0.5; shape.inputs()], vec![0.0; shape.outputs()]);
            let none = Epilogue::default();
            let seconds = median(|| dense.forward(&input, none, &mut output).unwrap());
            let ConvShape {
                channels,
                kernel,
                input: size,
                stride,
                ..
            } = shape;
            print!(
                "{channels:?} {kernel:?} {size:?} {stride:?}: {:.3} ms;",
                1e3 * seconds
            );
            for density in [1.0, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05] {
                let live = |i: usize| (i * 7919 % 10_007) as f64 / 10_007.0 < density;
                let live: Vec<bool> = (0..weight.len()).map(live).collect();
                let sparse = ConvStructure::new(shape, &live).unwrap();
                let sparse = sparse.packed(&weight).unwrap();
                let sparse = median(|| sparse.forward(&input, none, &mut output).unwrap());
                print!(" {:.2}", sparse / seconds);
            }
            println!();
        }
    }

    fn median(mut work: impl FnMut()) -> f64 {
        let mut seconds: Vec<f64> = (0..15)
            .map(|_| {
                let start = Instant::now();
                work();
                start.elapsed().as_secs_f64()
            })
            .collect();
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    }
}
