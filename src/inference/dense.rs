//! A convolution whose weights are nearly all live: a dense product, of patches unless its kernel is 1×1.

use std::borrow::Cow;

use rayon::prelude::*;

use crate::error::Result;
use crate::kernels::dense::{Matrix, product};
use crate::kernels::{ConvShape, Epilogue};

/// Output channels of a task. Fixed, so that results do not depend on the number of threads.
const TOGETHER: usize = 64;

/// Dense weights, 4 bytes each.
#[derive(Debug, Clone)]
pub(crate) struct DenseConv {
    shape: ConvShape,
    weight: Vec<f32>,
    live: usize,
}

impl DenseConv {
    /// One group, no dilation.
    pub fn takes(shape: &ConvShape) -> bool {
        shape.groups == 1 && shape.dilation == [1, 1]
    }

    pub fn new(shape: ConvShape, weight: Vec<f32>, live: usize) -> Self {
        Self {
            shape,
            weight,
            live,
        }
    }

    pub fn forward(&self, input: &[f32], epilogue: Epilogue, output: &mut [f32]) -> Result<()> {
        let images = input.chunks_exact(self.shape.inputs());
        let outputs = output.chunks_exact_mut(self.shape.outputs());
        for (index, (image, output)) in images.zip(outputs).enumerate() {
            let start = index * output.len();
            let residual = epilogue.residual;
            let epilogue = Epilogue {
                residual: residual.map(|residual| &residual[start..start + output.len()]),
                ..epilogue
            };
            self.image(image, epilogue, output)?;
        }
        Ok(())
    }

    fn image(&self, image: &[f32], epilogue: Epilogue, output: &mut [f32]) -> Result<()> {
        let patches = self.patches(image);
        let each = self.weight.len() / self.shape.channels[1];
        let positions = output.len() / self.shape.channels[1];
        let parts = output.par_chunks_mut(TOGETHER * positions);
        let parts = parts.zip(self.weight.par_chunks(TOGETHER * each));
        parts.enumerate().try_for_each(|(part, (output, weight))| {
            let first = part * TOGETHER;
            if let Some(residual) = epilogue.residual {
                let start = first * positions;
                output.copy_from_slice(&residual[start..start + output.len()]);
            }
            for (channel, output) in output.chunks_exact_mut(positions).enumerate() {
                let bias = epilogue.bias.map_or(0.0, |bias| bias[first + channel]);
                match epilogue.residual {
                    Some(_) => output.iter_mut().for_each(|output| *output += bias),
                    None => output.fill(bias),
                }
            }
            let weight = Matrix::rows(weight, [weight.len() / each, each]);
            let patches = Matrix::rows(&patches, [each, positions]);
            product(weight, patches, 1.0, true, output)?;
            if epilogue.relu {
                for output in output {
                    *output = if *output < 0.0 { 0.0 } else { *output };
                }
            }
            Ok(())
        })
    }

    /// What each weight of a channel is multiplied with, `[channels · height · width, positions]`.
    fn patches<'a>(&self, image: &'a [f32]) -> Cow<'a, [f32]> {
        let ConvShape {
            kernel,
            input,
            stride,
            padding,
            ..
        } = self.shape;
        if (kernel, stride, padding) == ([1, 1], [1, 1], [0, 0]) {
            return Cow::Borrowed(image);
        }
        let [rows, columns] = self.shape.output_size();
        let taps = kernel[0] * kernel[1];
        let mut patches = vec![0.0; self.shape.channels[0] * taps * rows * columns];
        let channels = patches.par_chunks_exact_mut(taps * rows * columns);
        let planes = image.par_chunks_exact(input[0] * input[1]);
        channels.zip(planes).for_each(|(patches, plane)| {
            for (tap, patch) in patches.chunks_exact_mut(rows * columns).enumerate() {
                let tap = [tap / kernel[1], tap % kernel[1]];
                for (row, line) in patch.chunks_exact_mut(columns).enumerate() {
                    let from = (row * stride[0] + tap[0]).wrapping_sub(padding[0]);
                    if from < input[0] {
                        let from = &plane[from * input[1]..(from + 1) * input[1]];
                        shifted(from, line, stride[1], tap[1], padding[1]);
                    }
                }
            }
        });
        Cow::Owned(patches)
    }

    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    pub fn live(&self) -> usize {
        self.live
    }

    pub fn bytes(&self) -> usize {
        size_of_val(&self.weight[..])
    }
}

/// `to[i] = from[i · stride + tap − padding]` where there is one; `to` is zero elsewhere already.
fn shifted(from: &[f32], to: &mut [f32], stride: usize, tap: usize, padding: usize) {
    let first = padding.saturating_sub(tap).div_ceil(stride);
    let Some(to) = to.get_mut(first..) else {
        return;
    };
    let from = from.get(first * stride + tap - padding..).unwrap_or(&[]);
    match stride {
        1 => {
            let count = from.len().min(to.len());
            to[..count].copy_from_slice(&from[..count]);
        }
        _ => {
            for (to, from) in to.iter_mut().zip(from.iter().step_by(stride)) {
                *to = *from;
            }
        }
    }
}
