//! The compressed weights of a convolution and of its transpose.

use super::super::plane::{Axis, Plane};
use super::super::rows::Rows;
use super::super::shape::{ConvShape, length};
use super::super::simd::Instructions;
use crate::error::Result;

/// Where the live weights of a convolution are, prepared for the three products of training.
///
/// Memory: 8 bytes per live weight and direction, no values.
///
/// ```
/// use zosam::kernels::{ConvShape, ConvStructure, Epilogue};
///
/// // One 2 × 2 image, a 1 × 2 kernel of which the right weight is live.
/// let shape = ConvShape::new([1, 1], [1, 2], [2, 2]);
/// let conv = ConvStructure::new(shape, &[false, true])?;
/// let (input, weight) = ([1.0, 2.0, 3.0, 4.0], [f32::NAN, 10.0]);
/// let mut output = [0.0; 2];
/// conv.forward(&input, &weight, Epilogue::default(), &mut output)?;
/// assert_eq!(output, [20.0, 40.0]);
///
/// let mut gradient = [0.0; 2];
/// conv.weight_gradient(&input, &[1.0, 1.0], &mut gradient)?;
/// assert_eq!(gradient, [0.0, 6.0]); // 2 + 4; the dead weight's is zero
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConvStructure {
    pub(super) shape: ConvShape,
    pub(super) instructions: Instructions,
    pub(super) forward: Direction,
    pub(super) backward: Direction,
}

/// A product with the weights: from planes of one side to the planes of the other.
#[derive(Clone, Debug)]
pub(super) struct Direction {
    pub(super) plane: Plane,
    /// Channels on the source side.
    pub(super) channels: usize,
    /// Size of the target planes.
    pub(super) size: [usize; 2],
    /// One part forward; backward one per phase of the stride.
    pub(super) parts: Vec<Part>,
}

/// Rows of weights and the target positions that they compute.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) rows: Rows,
    pub(super) target: [Spread; 2],
}

/// Index `i` of a run is target position `start + step · i`, where there is one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread {
    pub(super) start: isize,
    pub(super) step: usize,
}

impl ConvStructure {
    /// Builds the structure of a mask in the order of the weights, `true` for live, on the fastest instructions.
    ///
    /// # Errors
    /// A shape that is not valid, or a mask of another length than the weights.
    pub fn new(shape: ConvShape, mask: &[bool]) -> Result<Self> {
        Self::with_instructions(shape, mask, Instructions::detect())
    }

    /// As [`new`](Self::new), on instructions of your choice.
    ///
    /// # Errors
    /// Also if the CPU lacks the instructions.
    pub fn with_instructions(
        shape: ConvShape,
        mask: &[bool],
        instructions: Instructions,
    ) -> Result<Self> {
        shape.check()?;
        instructions.check()?;
        length("the mask", mask.len(), shape.weights())?;
        let structure = Self {
            forward: forward(&shape, mask, instructions.lanes()),
            backward: backward(&shape, mask, instructions.lanes()),
            shape,
            instructions,
        };
        for direction in [&structure.forward, &structure.backward] {
            let plane = &direction.plane;
            let numbers = direction.channels as f64 * (plane.phases() * plane.length) as f64;
            let fits = numbers < f64::from(u32::MAX) && mask.len() < u32::MAX as usize;
            crate::error::check("size of an image", numbers, fits, "below 2³² numbers")?;
        }
        Ok(structure)
    }

    /// The shape.
    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// Number of live weights.
    pub fn live(&self) -> usize {
        self.forward.parts[0].rows.offsets.len()
    }

    /// The instructions that it runs on.
    pub fn instructions(&self) -> Instructions {
        self.instructions
    }
}

/// Outputs from inputs: a row per output channel.
fn forward(shape: &ConvShape, mask: &[bool], lanes: usize) -> Direction {
    let size = shape.output_size();
    let axis = |axis: usize| {
        let (stride, dilation) = (shape.stride[axis], shape.dilation[axis]);
        let mut phases: Vec<usize> = Vec::new();
        for tap in (0..shape.kernel[axis]).map(|tap| tap * dilation % stride) {
            if !phases.contains(&tap) {
                phases.push(tap);
            }
        }
        Axis {
            inputs: shape.input[axis],
            padding: shape.padding[axis],
            stride,
            outputs: size[axis],
            reach: (shape.kernel[axis] - 1) * dilation / stride,
            phases,
        }
    };
    let plane = Plane::new(axis(0), axis(1), lanes);
    let per_channel = plane.phases() * plane.length;
    let mut rows = Rows::new();
    for output in 0..shape.channels[1] {
        for tap in taps(shape, output) {
            if mask[tap.position] {
                let [row, column] = [0, 1].map(|axis| tap.at[axis] * shape.dilation[axis]);
                rows.push(
                    tap.channel * per_channel + plane.offset(row, column),
                    tap.position,
                );
            }
        }
        rows.end_row();
    }
    let target = [Spread { start: 0, step: 1 }; 2];
    Direction {
        plane,
        channels: shape.channels[0],
        size,
        parts: vec![Part { rows, target }],
    }
}

/// Input gradients from output gradients: a row per input channel.
///
/// Input `y` gets `w[k] · g[(y + padding − k · dilation) / stride]` where that is whole. Inputs of one phase,
/// `y + padding = stride · t + phase`, see the weights with `k · dilation = stride · shift + phase`, at `g[t − shift]`:
/// within a phase it is a convolution of stride one again.
fn backward(shape: &ConvShape, mask: &[bool], lanes: usize) -> Direction {
    let outputs = shape.output_size();
    // The first t with an input, and the zeros before g that the largest shift reads.
    let first = [0, 1].map(|axis| shape.padding[axis] / shape.stride[axis]);
    let reach = [0, 1].map(|axis| {
        let shift = (shape.kernel[axis] - 1) * shape.dilation[axis] / shape.stride[axis];
        shift.max(first[axis])
    });
    let axis = |axis: usize| Axis {
        inputs: outputs[axis],
        padding: reach[axis] - first[axis],
        stride: 1,
        outputs: match shape.input[axis] {
            0 => 0,
            inputs => (inputs - 1 + shape.padding[axis]) / shape.stride[axis] - first[axis] + 1,
        },
        reach: reach[axis],
        phases: vec![0],
    };
    let plane = Plane::new(axis(0), axis(1), lanes);
    let phases = (0..shape.stride[0]).flat_map(|row| (0..shape.stride[1]).map(move |c| [row, c]));
    let parts = phases.map(|phase| Part {
        rows: transposed(shape, mask, &plane, phase, reach),
        target: [0, 1].map(|axis| {
            let (stride, first) = (shape.stride[axis], first[axis]);
            Spread {
                start: (stride * first + phase[axis]) as isize - shape.padding[axis] as isize,
                step: stride,
            }
        }),
    });
    Direction {
        channels: shape.channels[1],
        size: shape.input,
        parts: parts.collect(),
        plane,
    }
}

/// The weights of one phase, by input channel.
fn transposed(
    shape: &ConvShape,
    mask: &[bool],
    plane: &Plane,
    phase: [usize; 2],
    reach: [usize; 2],
) -> Rows {
    let mut by_channel = vec![Vec::new(); shape.channels[0]];
    for output in 0..shape.channels[1] {
        for tap in taps(shape, output) {
            let at = [0, 1].map(|axis| tap.at[axis] * shape.dilation[axis]);
            let in_phase = (0..2).all(|axis| at[axis] % shape.stride[axis] == phase[axis]);
            if in_phase && mask[tap.position] {
                let [row, column] = [0, 1].map(|axis| reach[axis] - at[axis] / shape.stride[axis]);
                let offset = output * plane.length + row * plane.pitch + column;
                by_channel[tap.channel].push((offset, tap.position));
            }
        }
    }
    let mut rows = Rows::new();
    for channel in by_channel {
        for (offset, position) in channel {
            rows.push(offset, position);
        }
        rows.end_row();
    }
    rows
}

/// A weight of an output channel: the input channel, the place in the kernel, and the index in the dense weights.
struct Tap {
    channel: usize,
    at: [usize; 2],
    position: usize,
}

/// All weights of an output channel, in their order.
fn taps(shape: &ConvShape, output: usize) -> impl Iterator<Item = Tap> {
    let [rows, columns] = shape.kernel;
    let [inputs, outputs] = shape.channels.map(|channels| channels / shape.groups);
    let first = output / outputs * inputs;
    (0..inputs * rows * columns).map(move |index| Tap {
        channel: first + index / (rows * columns),
        at: [index / columns % rows, index % columns],
        position: output * inputs * rows * columns + index,
    })
}
