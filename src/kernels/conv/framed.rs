//! A convolution from frames to frames: its padding is there already, and so is the next one's.

use std::ops::Range;

use rayon::prelude::*;

use super::super::frame::Frame;
use super::super::rows::{Entry, Row, Rows, Start, Tile, multiply_rows, tiles};
use super::super::scratch::{Shared, tasks_of};
use super::super::shape::{ConvShape, examples, length};
use super::super::simd::{Instructions, Job, Simd};
use super::build::{Tap, taps};
use super::multiply::Epilogue;
use crate::error::{Error, Result, check};

/// A convolution for inference whose images lie in [`Frame`]s: nothing is copied before it or
/// behind it, and what follows the product is done before a number is written. Live weights with
/// their values, 8 bytes each.
///
/// Stride 1, outputs of the input's size, and no weight further than one pixel away from the
/// middle: kernels 1×1 and 3×3 with padding, among others.
///
/// ```
/// use zosam::kernels::{ConvShape, Epilogue, Frame, FramedConv};
///
/// let shape = ConvShape::new([1, 1], [3, 3], [2, 2]).with_padding([1, 1]);
/// let (mut live, mut weight) = ([false; 9], [0.0; 9]);
/// (live[5], weight[5]) = (true, 10.0); // to the right of the middle
/// let conv = FramedConv::new(shape, &weight, &live)?;
///
/// let frame = Frame::new([2, 2])?;
/// let (mut input, mut output) = (vec![0.0; frame.length()], vec![0.0; frame.length()]);
/// frame.put(&[1.0, 2.0, 3.0, 4.0], &mut input)?;
/// conv.forward(&input, Epilogue::default(), &mut output)?;
/// let mut plane = [0.0; 4];
/// frame.take(&output, &mut plane)?;
/// assert_eq!(plane, [20.0, 0.0, 40.0, 0.0]);
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FramedConv {
    shape: ConvShape,
    frame: Frame,
    instructions: Instructions,
    /// Row `r` owns the entries `starts[r]..starts[r + 1]`.
    starts: Vec<usize>,
    entries: Vec<Entry>,
    /// Whether rows come in pairs, see [`Rows`].
    paired: bool,
}

impl FramedConv {
    /// Whether a shape is one of those above.
    pub fn takes(shape: &ConvShape) -> bool {
        let reaches = |axis: usize| {
            let span = shape.dilation[axis] * (shape.kernel[axis] - 1);
            shape.padding[axis] <= 1 && span == 2 * shape.padding[axis]
        };
        let fits = shape.check().is_ok() && Frame::new(shape.input).is_ok();
        fits && shape.stride == [1, 1] && reaches(0) && reaches(1)
    }

    /// Takes the live values of dense weights for good, on the fastest instructions.
    ///
    /// # Errors
    /// A shape that is not one of those above, or weights or a mask of the wrong length.
    pub fn new(shape: ConvShape, weight: &[f32], live: &[bool]) -> Result<Self> {
        Self::with_instructions(shape, weight, live, Instructions::detect())
    }

    /// As [`new`](Self::new), on instructions of your choice.
    ///
    /// # Errors
    /// Also if the CPU lacks the instructions.
    pub fn with_instructions(
        shape: ConvShape,
        weight: &[f32],
        live: &[bool],
        instructions: Instructions,
    ) -> Result<Self> {
        shape.check()?;
        instructions.check()?;
        if !Self::takes(&shape) {
            return Err(Error::Config {
                field: "shape",
                value: format!("{shape:?}"),
                valid: "stride 1, outputs of the input's size, weights at most one pixel from the middle",
            });
        }
        length("the weight", weight.len(), shape.weights())?;
        length("the mask", live.len(), shape.weights())?;
        let frame = Frame::new(shape.input)?;
        let numbers = shape.channels[0] as f64 * frame.length() as f64;
        let fits = numbers < f64::from(u32::MAX);
        check("size of an image", numbers, fits, "below 2³² numbers")?;
        let mut rows = Rows::new();
        for output in 0..shape.channels[1] {
            for tap in taps(&shape, output).filter(|tap| live[tap.position]) {
                rows.push(offset(&shape, &frame, &tap), tap.position);
            }
            rows.end_row();
        }
        let rows = rows.finish(shape.channels[1]);
        Ok(Self {
            entries: rows.gather(weight),
            paired: rows.paired,
            starts: rows.starts,
            shape,
            frame,
            instructions,
        })
    }

    /// `y = relu(W ⋆ x + bias + residual)`, the last three if wanted, on `[N, channels, length]`
    /// with the frame's length; the residual, too, lies in frames. All of the output is written.
    ///
    /// # Errors
    /// A slice of the wrong length.
    pub fn forward(&self, input: &[f32], epilogue: Epilogue, output: &mut [f32]) -> Result<()> {
        let [inputs, outputs] = self.numbers();
        let images = examples("the input", input, inputs)?;
        length("the output", output.len(), images.saturating_mul(outputs))?;
        epilogue.check(self.shape.channels[1], output.len())?;
        let target = Shared::new(output);
        let [height, width] = self.shape.input;
        let rows = self.shape.channels[1];
        let work = images * self.live() * height * width;
        let tasks = tasks_of(work, images, rows);
        tasks.into_par_iter().for_each(|(images, rows)| {
            self.instructions.run(Multiply {
                conv: self,
                input,
                epilogue,
                images,
                rows,
                target,
            });
        });
        Ok(())
    }

    /// Numbers of an image with its frames, before and after.
    pub fn numbers(&self) -> [usize; 2] {
        self.shape.channels.map(|count| count * self.frame.length())
    }

    /// The dense weights, zero where dead; weights that read padding only as in
    /// [`PackedConv::weight`](super::PackedConv::weight).
    pub fn weight(&self) -> Vec<f32> {
        let mut weight = vec![0.0; self.shape.weights()];
        for output in 0..self.shape.channels[1] {
            // Live weights of a row are in the order of all weights.
            let row = &self.entries[self.starts[output]..self.starts[output + 1]];
            let mut row = row.iter().peekable();
            for tap in taps(&self.shape, output) {
                let at = offset(&self.shape, &self.frame, &tap);
                if let Some(entry) = row.next_if(|entry| entry.offset() == at) {
                    weight[tap.position] = entry.weight();
                }
            }
        }
        weight
    }

    /// How images lie in memory.
    pub fn frame(&self) -> Frame {
        self.frame
    }

    /// The shape.
    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// Number of live weights.
    pub fn live(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of weights and of what finds them.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.entries[..]) + size_of_val(&self.starts[..])
    }
}

/// From the place of a pixel in its plane to what a weight reads, shifted so that it is never
/// negative.
fn offset(shape: &ConvShape, frame: &Frame, tap: &Tap) -> usize {
    let step = |axis: usize| 1 + tap.at[axis] * shape.dilation[axis] - shape.padding[axis];
    tap.channel * frame.length() + step(0) * frame.pitch() + step(1)
}

/// Some images and some output channels.
struct Multiply<'a> {
    conv: &'a FramedConv,
    input: &'a [f32],
    epilogue: Epilogue<'a>,
    images: Range<usize>,
    rows: Range<usize>,
    target: Shared,
}

impl Job for Multiply<'_> {
    /// Tile by tile, all channels of each: what a tile reads stays in the first cache.
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let FramedConv {
            frame,
            starts,
            entries,
            paired,
            ..
        } = self.conv;
        let [inputs, outputs] = self.conv.numbers();
        for image in self.images.clone() {
            for (start, count) in tiles(frame.vectors(S::LANES)) {
                let at = image * outputs + frame.first() + start * S::LANES;
                // SAFETY: a frame's length covers every vector at every offset; no other task
                // writes these channels of these images; the residual has the output's length.
                unsafe {
                    let tile = Tile {
                        from: self.input.as_ptr().add(image * inputs + start * S::LANES),
                        steps: [S::LANES; 2],
                        count,
                        relu: self.epilogue.relu,
                    };
                    multiply_rows::<S>(self.rows.clone(), *paired, tile, |row| {
                        let at = at + row * frame.length();
                        let bias = self.epilogue.bias.map_or(0.0, |bias| bias[row]);
                        Row {
                            entries: &entries[starts[row]..starts[row + 1]],
                            start: match self.epilogue.residual {
                                Some(residual) => Start::Onto(residual.as_ptr().add(at), bias),
                                None => Start::Bias(bias),
                            },
                            to: self.target.pointer().add(at),
                        }
                    });
                }
            }
            for row in self.rows.clone() {
                // SAFETY: the plane is one of this task's.
                unsafe {
                    let at = image * outputs + row * frame.length();
                    frame.clear(self.target.pointer().add(at));
                }
            }
        }
    }
}
