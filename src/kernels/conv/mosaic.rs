//! A convolution from pieces to pieces: its padding is there already, and so is the next one's.

use std::ops::Range;

use rayon::prelude::*;

use super::super::bounds::Bounds;
use super::super::mosaic::{Edges, Mosaic};
use super::super::rows::{Entry, Row, Rows, Start, Tile, multiply_rows};
use super::super::scratch::{Shared, tasks_of};
use super::super::shape::{ConvShape, examples, length};
use super::super::simd::{Instructions, Job, Simd};
use super::build::{Tap, taps};
use super::epilogue::Epilogue;
use crate::error::{Error, Result, check};

/// Bytes that a tile should read of one block of input channels: two thirds of a first cache of 48
/// KiB. With 64 and 128 channels blocks were worth 10 to 25 % at densities of 0.14 and 0.07, and
/// nothing where all channels fit.
const FIRST_CACHE: usize = 32 << 10;

/// Live weights that a row should have in a block, at least: its sums are written and read again
/// between blocks.
const LEAST: usize = 24;

/// The most vectors of a tile: half of the registers. On AVX2 tiles of 8 were as fast as any, 4
/// slower by a fifth; on AVX-512 tiles of 16 are as fast as 8, and faster in blocks of channels.
/// Where rows come in pairs, each has half of the sums.
fn most(lanes: usize, paired: bool) -> usize {
    match (paired, lanes) {
        (true, _) => 6,
        (false, 16) => 16,
        (false, _) => 8,
    }
}

/// A convolution for inference whose images lie in pieces, see [`Mosaic`]: nothing is copied before
/// it or behind it, and what follows the product is done before a number is written. Live weights
/// with their values, 8 bytes each. On AVX-512 slices that begin at a multiple of 64 bytes are
/// computed in half the time.
///
/// A piece of the output comes from the same piece of the input and the pixels next to it. So
/// padding is at most one pixel, kernels reach at most one pixel further than their stride, and a
/// piece of the input has stride times the rows and columns of a piece of the output: kernels 1×1
/// and 3×3 with stride 1, and with stride 2 where sizes are even enough, among others.
///
/// ```
/// use zosam::kernels::{ConvShape, Epilogue, MosaicConv};
///
/// let shape = ConvShape::new([1, 1], [3, 3], [2, 2]).with_padding([1, 1]);
/// let (mut live, mut weight) = ([false; 9], [0.0; 9]);
/// (live[5], weight[5]) = (true, 10.0); // to the right of the middle
/// let conv = MosaicConv::new(shape, &weight, &live)?;
///
/// let [before, behind] = conv.mosaics();
/// let (mut input, mut output) = (vec![0.0; before.length()], vec![0.0; behind.length()]);
/// before.put(&[1.0, 2.0, 3.0, 4.0], &mut input)?;
/// conv.forward(&input, Epilogue::default(), &mut output)?;
/// let mut plane = [0.0; 4];
/// behind.take(&output, &mut plane)?;
/// assert_eq!(plane, [20.0, 0.0, 40.0, 0.0]);
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MosaicConv {
    shape: ConvShape,
    /// Of the input and of the output.
    mosaics: [Mosaic; 2],
    edges: Edges,
    instructions: Instructions,
    /// Blocks of input channels.
    blocks: usize,
    /// Row `r` owns the entries `starts[i]..starts[i + 1]` of block `b`, `i = b · outputs + r`.
    starts: Vec<usize>,
    entries: Vec<Entry>,
    /// Whether rows come in pairs, see [`Rows`].
    paired: bool,
}

impl MosaicConv {
    /// Whether a shape is one of those above, on this CPU's fastest instructions.
    pub fn takes(shape: &ConvShape) -> bool {
        mosaics(shape, Instructions::detect()).is_some()
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
        let mosaics = mosaics(&shape, instructions).ok_or_else(|| Error::Config {
            field: "shape",
            value: format!("{shape:?}"),
            valid: "padding of at most one pixel, kernels at most one pixel beyond their stride, pieces of the input \
                    that are stride times as large as the output's",
        })?;
        length("the weight", weight.len(), shape.weights())?;
        length("the mask", live.len(), shape.weights())?;
        let numbers = shape.channels[0] as f64 * mosaics[0].length() as f64;
        let fits = numbers < f64::from(u32::MAX);
        check("size of an image", numbers, fits, "below 2³² numbers")?;
        let mut rows = Rows::new();
        let count = live.iter().filter(|live| **live).count();
        let blocks = blocks(&shape, &mosaics, count);
        for block in 0..blocks {
            for output in 0..shape.channels[1] {
                for tap in taps(&shape, output).filter(|tap| live[tap.position]) {
                    if block_of(&shape, blocks, &tap) == block {
                        rows.push(offset(&shape, &mosaics[0], &tap), tap.position);
                    }
                }
                rows.end_row();
            }
        }
        let rows = rows.finish(shape.channels[1]);
        Ok(Self {
            entries: rows.gather(weight),
            paired: rows.paired,
            starts: rows.starts,
            edges: Edges::new(&mosaics[1]),
            shape,
            mosaics,
            instructions,
            blocks,
        })
    }

    /// `y = bounds(W ⋆ x + bias + residual)`, the last three if wanted, on `[N, channels, length]`
    /// with the lengths of the [mosaics](Self::mosaics); the residual lies as the output does. All
    /// of the output is written.
    ///
    /// # Errors
    /// A slice of the wrong length.
    pub fn forward(&self, input: &[f32], epilogue: Epilogue, output: &mut [f32]) -> Result<()> {
        let [inputs, outputs] = self.numbers();
        let images = examples("the input", input, inputs)?;
        length("the output", output.len(), images.saturating_mul(outputs))?;
        epilogue.check(self.shape.channels[1], output.len())?;
        let target = Shared::new(output);
        let [height, width] = self.shape.output_size();
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

    /// Numbers of an image in pieces, before and after.
    pub fn numbers(&self) -> [usize; 2] {
        [0, 1].map(|side: usize| self.shape.channels[side] * self.mosaics[side].length())
    }

    /// The dense weights, zero where dead.
    pub fn weight(&self) -> Vec<f32> {
        let mut weight = vec![0.0; self.shape.weights()];
        let outputs = self.shape.channels[1];
        for output in 0..outputs {
            // Live weights of a row are in the order of all weights, block by block.
            let block = |block: usize| {
                let at = block * outputs + output;
                &self.entries[self.starts[at]..self.starts[at + 1]]
            };
            let mut row = (0..self.blocks).flat_map(block).peekable();
            for tap in taps(&self.shape, output) {
                let at = offset(&self.shape, &self.mosaics[0], &tap);
                if let Some(entry) = row.next_if(|entry| entry.offset() == at) {
                    weight[tap.position] = entry.weight();
                }
            }
        }
        weight
    }

    /// How images lie in memory, before and after.
    pub fn mosaics(&self) -> [Mosaic; 2] {
        self.mosaics
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

/// How the images of a shape lie, before and after, if it is one that pieces can be computed with.
fn mosaics(shape: &ConvShape, instructions: Instructions) -> Option<[Mosaic; 2]> {
    shape.check().ok()?;
    let mosaic = |size| Mosaic::with_instructions(size, instructions).ok();
    let [before, behind] = [mosaic(shape.input)?, mosaic(shape.output_size())?];
    let fits = [0, 1].into_iter().all(|axis: usize| {
        let (stride, padding) = (shape.stride[axis], shape.padding[axis]);
        let span = shape.dilation[axis] * (shape.kernel[axis] - 1);
        let aligned = before.piece()[axis] == stride.saturating_mul(behind.piece()[axis]);
        aligned && padding <= 1 && span <= stride + padding
    });
    fits.then_some([before, behind])
}

/// From the place of a vector of outputs, times the stride, to what a weight reads.
fn offset(shape: &ConvShape, mosaic: &Mosaic, tap: &Tap) -> usize {
    let step = |axis: usize| 1 + tap.at[axis] * shape.dilation[axis] - shape.padding[axis];
    tap.channel * mosaic.length() + mosaic.vector([step(0), step(1)])
}

/// Blocks of input channels: as many as keep what a tile reads in the first cache, where rows are
/// long enough.
fn blocks(shape: &ConvShape, [before, behind]: &[Mosaic; 2], live: usize) -> usize {
    let lanes = before.vector([0, 1]);
    let reach = |axis: usize, count: usize| {
        (count - 1) * shape.stride[axis] + shape.dilation[axis] * (shape.kernel[axis] - 1) + 1
    };
    let tiles = tiles(behind.piece(), most(lanes, false));
    let vectors = tiles.map(|[(_, lines), (_, columns)]| reach(0, lines) * reach(1, columns));
    let channels = shape.channels[0] / shape.groups;
    let bytes = vectors.max().unwrap_or(0) * lanes * size_of::<f32>() * channels;
    let long = live / shape.channels[1] / LEAST;
    bytes.div_ceil(FIRST_CACHE).min(long).min(channels).max(1)
}

/// The block of what a weight reads.
fn block_of(shape: &ConvShape, blocks: usize, tap: &Tap) -> usize {
    let channels = shape.channels[0] / shape.groups;
    tap.channel % channels * blocks / channels
}

/// Some images and some output channels.
struct Multiply<'a> {
    conv: &'a MosaicConv,
    input: &'a [f32],
    epilogue: Epilogue<'a>,
    images: Range<usize>,
    rows: Range<usize>,
    target: Shared,
}

impl Job for Multiply<'_> {
    /// Tile by tile, all channels of each, block by block: what a tile reads stays in the first cache.
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let behind = self.conv.mosaics[1];
        let outputs = self.conv.numbers()[1];
        let most = most(S::LANES, self.conv.paired);
        for image in self.images.clone() {
            for [lines, columns] in tiles(behind.piece(), most) {
                // SAFETY: the caller vouches for the instructions; tiles lie in the pieces.
                unsafe { self.tile::<S>(image, lines, columns) };
            }
            for row in self.rows.clone() {
                let at = image * outputs + row * behind.length();
                // SAFETY: the plane is one of this task's.
                unsafe { self.conv.edges.border::<S>(self.target.pointer().add(at)) };
            }
        }
    }
}

impl Multiply<'_> {
    /// Some rows and columns of all pieces.
    ///
    /// # Safety
    /// They lie in the output's pieces; the CPU has the instructions of `S`.
    #[inline(always)]
    unsafe fn tile<S: Simd>(
        &self,
        image: usize,
        (line, lines): (usize, usize),
        (column, columns): (usize, usize),
    ) {
        let MosaicConv {
            shape,
            mosaics: [before, behind],
            starts,
            entries,
            paired,
            blocks,
            ..
        } = self.conv;
        let [inputs, outputs] = self.conv.numbers();
        let stride = shape.stride;
        let from = image * inputs + before.vector([line * stride[0], column * stride[1]]);
        let at = image * outputs + behind.vector([line + 1, column + 1]);
        for block in 0..*blocks {
            let first = block * shape.channels[1];
            let is_last = block + 1 == *blocks;
            // SAFETY: a piece has the vectors at every offset of its pixels; no other task writes
            // these channels of these images; the residual has the output's length.
            unsafe {
                let tile = |step: usize| Tile {
                    from: self.input.as_ptr().add(from),
                    steps: [step * S::LANES, S::LANES],
                    pitches: [stride[0] * before.pitch(), behind.pitch()],
                    size: [lines, columns],
                    bounds: match is_last {
                        true => self.epilogue.bounds,
                        false => Bounds::default(),
                    },
                };
                let row = |row: usize| {
                    let at = at + row * behind.length();
                    let bias = self.epilogue.bias.map_or(0.0, |bias| bias[row]);
                    Row {
                        entries: &entries[starts[first + row]..starts[first + row + 1]],
                        start: match self.epilogue.residual {
                            _ if block > 0 => Start::Sums,
                            Some(residual) => Start::Onto(residual.as_ptr().add(at), bias),
                            None => Start::Bias(bias),
                        },
                        to: self.target.pointer().add(at),
                    }
                };
                // A step that the compiler knows keeps addresses out of registers.
                match stride[1] {
                    1 => multiply_rows::<S, true>(self.rows.clone(), *paired, tile(1), row),
                    step => multiply_rows::<S, true>(self.rows.clone(), *paired, tile(step), row),
                }
            }
        }
    }
}

/// Tiles of at most so many vectors that cover a piece, as equal as they come: (first, number) of
/// rows and of columns.
#[inline(always)]
fn tiles([rows, columns]: [usize; 2], most: usize) -> impl Iterator<Item = [(usize, usize); 2]> {
    // Nearly square: what a tile reads is small, and stays in the first cache.
    let across = columns.div_ceil((most / 2).min(4));
    let width = columns.div_ceil(across);
    let down = rows.div_ceil((most / width).min(4));
    let cut = |total: usize, parts: usize, part: usize| {
        let start = part * total / parts;
        (start, (part + 1) * total / parts - start)
    };
    (0..down * across).map(move |tile| {
        let [row, column] = [tile / across, tile % across];
        [cut(rows, down, row), cut(columns, across, column)]
    })
}
