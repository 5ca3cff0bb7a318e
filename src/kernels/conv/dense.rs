//! A convolution whose output channels are nearly all live, or wholly dead: a dense product with
//! those that live, of patches unless the kernel is 1×1.

use rayon::prelude::*;

use super::super::dense::{Matrix, product};
use super::super::scratch::{Scratch, fewest};
use super::super::shape::{ConvShape, length};
use super::epilogue::Epilogue;
use crate::error::{Result, check};

/// Output channels of a task. Fixed, so that results do not depend on the number of threads.
const TOGETHER: usize = 64;
/// Positions of which sums are made before they are finished, so that these are still in the second
/// cache.
const ACROSS: usize = 512;

/// A convolution for inference of which too few weights are dead to skip them one by one: output
/// channels that are wholly dead are left out, the others multiplied densely, 4 bytes a weight.
///
/// One group, no dilation. A dead weight of a channel that lives counts as a zero that is
/// multiplied.
///
/// ```
/// use zosam::kernels::{ConvShape, DenseConv, Epilogue};
///
/// let shape = ConvShape::new([1, 2], [1, 2], [2, 2]); // two outputs of two weights each
/// let conv = DenseConv::new(shape, &[0.0, 10.0, 0.0, 0.0], &[false, true, false, false])?;
/// let mut output = [f32::NAN; 4];
/// conv.forward(&[1.0, 2.0, 3.0, 4.0], Epilogue::default(), &mut output)?;
/// assert_eq!(output, [20.0, 40.0, 0.0, 0.0]);
/// assert_eq!(conv.bytes(), 2 * 4);
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct DenseConv {
    shape: ConvShape,
    /// Output channels with a live weight, in order.
    channels: Vec<usize>,
    weight: Vec<f32>,
    live: usize,
}

impl DenseConv {
    /// Whether a shape is one of those: one group, no dilation.
    pub(crate) fn takes(shape: &ConvShape) -> bool {
        shape.groups == 1 && shape.dilation == [1, 1]
    }

    /// Density of the output channels that have a live weight; 0 without any.
    pub(crate) fn density(shape: &ConvShape, live: &[bool]) -> f64 {
        let each = live.len() / shape.channels[1];
        let counts = live.chunks_exact(each).map(count);
        let counts: Vec<usize> = counts.filter(|count| *count > 0).collect();
        let weights = counts.len() * each;
        counts.iter().sum::<usize>() as f64 / weights.max(1) as f64
    }

    /// Takes dense weights, of which those that the mask calls dead are zero.
    ///
    /// # Errors
    /// A shape that is not valid or not one of those above, or weights or a mask of the wrong
    /// length.
    pub fn new(shape: ConvShape, weight: &[f32], live: &[bool]) -> Result<Self> {
        shape.check()?;
        check("groups", shape.groups as f64, shape.groups == 1, "1")?;
        let dilation = shape.dilation[0].max(shape.dilation[1]);
        check("dilation", dilation as f64, dilation == 1, "1")?;
        length("the weight", weight.len(), shape.weights())?;
        length("the mask", live.len(), shape.weights())?;
        let each = live.len() / shape.channels[1];
        let rows = live.chunks_exact(each).enumerate();
        let rows = rows.filter(|(_, live)| count(live) > 0);
        let channels: Vec<usize> = rows.map(|(channel, _)| channel).collect();
        let row = |channel: &usize| &weight[channel * each..(channel + 1) * each];
        Ok(Self {
            weight: channels.iter().flat_map(row).copied().collect(),
            live: count(live),
            channels,
            shape,
        })
    }

    /// As [`ConvStructure::forward`](super::ConvStructure::forward), with the values it holds.
    ///
    /// # Errors
    /// A slice of the wrong length.
    pub fn forward(&self, input: &[f32], epilogue: Epilogue, output: &mut [f32]) -> Result<()> {
        self.shape.images(input, epilogue, output.len())?;
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
        let ConvShape {
            kernel,
            stride,
            padding,
            ..
        } = self.shape;
        if (kernel, stride, padding) == ([1, 1], [1, 1], [0, 0]) {
            return self.multiply(image, epilogue, output);
        }
        let positions = output.len() / self.shape.channels[1];
        let each = self.shape.weights() / self.shape.channels[1];
        let (mut scratch, ranges) = Scratch::take([each * positions]);
        let [patches] = scratch.arrays(ranges);
        self.write_patches(image, patches);
        self.multiply(patches, epilogue, output)
    }

    /// The output from what each weight of a channel is multiplied with.
    fn multiply(&self, patches: &[f32], epilogue: Epilogue, output: &mut [f32]) -> Result<()> {
        let each = self.shape.weights() / self.shape.channels[1];
        let positions = output.len() / self.shape.channels[1];
        let parts = output.par_chunks_mut(TOGETHER * positions).enumerate();
        let parts = parts.with_min_len(fewest(TOGETHER * each * positions));
        parts.try_for_each(|(part, output)| {
            let first = part * TOGETHER;
            let row = |channel| self.channels.partition_point(|live| *live < channel);
            let rows = row(first)..row(first + TOGETHER);
            let weight = &self.weight[rows.start * each..rows.end * each];
            let weight = Matrix::rows(weight, [rows.len(), each]);
            let across = ACROSS.min(positions);
            let (mut scratch, ranges) = Scratch::take([rows.len() * across]);
            let [sums] = scratch.arrays(ranges);
            for start in (0..positions).step_by(across) {
                let count = across.min(positions - start);
                let sums = &mut sums[..rows.len() * count];
                let patches = Matrix {
                    numbers: &patches[start..],
                    size: [each, count],
                    strides: [positions, 1],
                };
                product(weight, patches, 1.0, sums)?;
                let mut sums = sums.chunks_exact(count);
                let mut live = self.channels[rows.clone()].iter().peekable();
                for (index, output) in output.chunks_exact_mut(positions).enumerate() {
                    let channel = first + index;
                    let output = &mut output[start..start + count];
                    match live.next_if_eq(&&channel).and_then(|_| sums.next()) {
                        Some(sums) => output.copy_from_slice(sums),
                        None => output.fill(0.0),
                    }
                    finish(epilogue, channel, start, positions, output);
                }
            }
            Ok(())
        })
    }

    /// Patches `[channels · height · width, positions]`, to where all is zero.
    fn write_patches(&self, image: &[f32], patches: &mut [f32]) {
        let ConvShape {
            kernel,
            input,
            stride,
            padding,
            ..
        } = self.shape;
        let [rows, columns] = self.shape.output_size();
        let taps = kernel[0] * kernel[1];
        let channels = patches.par_chunks_exact_mut(taps * rows * columns);
        let planes = image.par_chunks_exact(input[0] * input[1]);
        let both = channels.zip(planes);
        let both = both.with_min_len(fewest(taps * rows * columns));
        both.for_each(|(patches, plane)| {
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
    }

    /// The dense weights, zero in channels that are wholly dead.
    pub fn weight(&self) -> Vec<f32> {
        let each = self.shape.weights() / self.shape.channels[1];
        let mut weight = vec![0.0; self.shape.weights()];
        for (row, channel) in self.weight.chunks_exact(each).zip(&self.channels) {
            weight[channel * each..(channel + 1) * each].copy_from_slice(row);
        }
        weight
    }

    /// The shape.
    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// Number of live weights.
    pub fn live(&self) -> usize {
        self.live
    }

    /// Bytes of weights.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.weight[..])
    }
}

fn count(live: &[bool]) -> usize {
    live.iter().filter(|live| **live).count()
}

/// What follows the sums of one channel, of `positions` in all, at the positions from `start` on.
fn finish(epilogue: Epilogue, channel: usize, start: usize, positions: usize, output: &mut [f32]) {
    let Epilogue {
        bias,
        residual,
        bounds,
    } = epilogue;
    let bias = bias.map_or(0.0, |bias| bias[channel]);
    match residual {
        Some(residual) => {
            let residual = &residual[channel * positions + start..];
            for (output, residual) in output.iter_mut().zip(residual) {
                *output = bounds.of(*output + bias + residual);
            }
        }
        None => {
            for output in output {
                *output = bounds.of(*output + bias);
            }
        }
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
