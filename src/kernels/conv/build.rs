//! The compressed weights of a convolution and of its transpose.

use super::super::interleaved::Interleaved;
use super::super::plane::{Axis, Plane};
use super::super::rows::Rows;
use super::super::shape::ConvShape;
use super::direction::{Direction, Part, Spread, blocks, interleaves};

/// Outputs from inputs: output `i` reads input `stride · i + k · dilation − padding`.
pub(super) fn forward(shape: &ConvShape, mask: &[bool], lanes: usize) -> Direction {
    let live = live(mask);
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
    let shift = |axis: usize, at: usize| {
        (at * shape.dilation[axis]) as isize - shape.padding[axis] as isize
    };
    let shifts = [0, 1].map(|axis| -> Vec<_> {
        let kernel = 0..shape.kernel[axis];
        kernel.map(|at| shift(axis, at)).collect()
    });
    let shifts = shifts.each_ref().map(Vec::as_slice);
    let [channels, targets] = shape.channels;
    let interleaved = Interleaved::new(shape.input, size, shape.stride, shifts, channels);
    let plane = Plane::new(axis(0), axis(1), lanes);
    // A stride that skips inputs: packing a vector of images would pack those too.
    let skips = (0..2).any(|axis| shape.kernel[axis] < shape.stride[axis]);
    let interleaves = !skips && interleaves(size, shape.stride != [1, 1], targets, live);
    let blocks = match interleaves {
        true => blocks(&interleaved, size, [channels, targets], lanes, live),
        false => 1,
    };
    let mut segments = vec![Vec::new(); blocks * targets];
    for output in 0..targets {
        for tap in taps(shape, output).filter(|tap| mask[tap.position]) {
            let shifts = [0, 1].map(|axis| shift(axis, tap.at[axis]));
            let vector = tap.channel * interleaved.channel + interleaved.offset(shifts);
            segments[tap.channel * blocks / channels * targets + output].push(Weight {
                offset: forward_offset(shape, &plane, &tap),
                interleaved: vector * lanes,
                position: tap.position,
            });
        }
    }
    Direction {
        interleaves,
        plane,
        interleaved,
        channels,
        targets,
        blocks,
        size,
        step: [1, 1],
        parts: vec![Part {
            rows: rows(segments, targets),
            target: [Spread { start: 0, step: 1 }; 2],
            phase: [0, 0],
        }],
    }
}

/// Where a weight finds its source in the planes of [`forward`].
pub(super) fn forward_offset(shape: &ConvShape, plane: &Plane, tap: &Tap) -> usize {
    let [row, column] = [0, 1].map(|axis| tap.at[axis] * shape.dilation[axis]);
    tap.channel * plane.phases() * plane.length + plane.offset(row, column)
}

/// Where a weight finds its source in the planes of [`backward`], if inputs of a phase see it.
pub(super) fn backward_offset(
    shape: &ConvShape,
    plane: &Plane,
    phase: [usize; 2],
    output: usize,
    tap: &Tap,
) -> Option<usize> {
    let step = |axis: usize| {
        shift(shape, axis, phase[axis], tap.at[axis])?;
        Some(reach(shape, axis) - tap.at[axis] * shape.dilation[axis] / shape.stride[axis])
    };
    let (y, x) = step(0).zip(step(1))?;
    Some(output * plane.length + y * plane.pitch + x)
}

/// Outputs from input `stride · i + first`, less `i`, that a weight multiplies; none if it meets other inputs.
fn shift(shape: &ConvShape, axis: usize, first: usize, at: usize) -> Option<isize> {
    let start = (first + shape.padding[axis]) as isize - (at * shape.dilation[axis]) as isize;
    let stride = shape.stride[axis] as isize;
    (start % stride == 0).then_some(start / stride)
}

/// The zeros before the outputs that the largest shift reads, and the outputs before the first input.
fn reach(shape: &ConvShape, axis: usize) -> usize {
    let shift = (shape.kernel[axis] - 1) * shape.dilation[axis] / shape.stride[axis];
    shift.max(shape.padding[axis] / shape.stride[axis])
}

/// Input gradients from output gradients.
///
/// Input `y` gets `w[k] · g[(y + padding − k · dilation) / stride]` where that is whole. Inputs of one phase,
/// `y + padding = stride · t + phase`, see the weights with `k · dilation = stride · shift + phase`, at `g[t − shift]`:
/// within a phase it is a convolution of stride one again.
pub(super) fn backward(shape: &ConvShape, mask: &[bool], lanes: usize) -> Direction {
    let live = live(mask);
    let outputs = shape.output_size();
    // The first t with an input, and the zeros before g that the largest shift reads.
    let first = [0, 1].map(|axis| shape.padding[axis] / shape.stride[axis]);
    let reach = [0, 1].map(|axis| reach(shape, axis));
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
    // The same by the first input of a phase: input `stride · i + y` gets `g[i + (y + padding − k · dilation) / stride]`.
    let shift = |axis: usize, first: usize, at: usize| shift(shape, axis, first, at);
    let shifts = [0, 1].map(|axis| -> Vec<_> {
        let phases = 0..shape.stride[axis];
        let kernel = |phase| (0..shape.kernel[axis]).filter_map(move |at| shift(axis, phase, at));
        phases.flat_map(kernel).collect()
    });
    let shifts = shifts.each_ref().map(Vec::as_slice);
    let [targets, channels] = shape.channels;
    let run = [0, 1].map(|axis| shape.input[axis].div_ceil(shape.stride[axis]));
    let interleaved = Interleaved::new(outputs, run, [1, 1], shifts, channels);
    let phases = shape.stride[0] * shape.stride[1];
    let interleaves = interleaves(shape.input, shape.stride != [1, 1], targets, live);
    let blocks = match interleaves {
        true => blocks(&interleaved, run, [channels, targets], lanes, live / phases),
        false => 1,
    };
    let phases = (0..shape.stride[0]).flat_map(|row| (0..shape.stride[1]).map(move |c| [row, c]));
    let parts = phases.map(|phase| {
        let target = [0, 1].map(|axis| {
            let (stride, first) = (shape.stride[axis], first[axis]);
            Spread {
                start: (stride * first + phase[axis]) as isize - shape.padding[axis] as isize,
                step: stride,
            }
        });
        let phase = target.map(|spread| spread.start.rem_euclid(spread.step as isize) as usize);
        let mut segments = vec![Vec::new(); blocks * targets];
        for output in 0..channels {
            let segments = &mut segments[output * blocks / channels * targets..];
            for tap in taps(shape, output).filter(|tap| mask[tap.position]) {
                let [row, column] = [0, 1].map(|axis| shift(axis, phase[axis], tap.at[axis]));
                let offset = backward_offset(shape, &plane, phase, output, &tap);
                if let Some(((row, column), offset)) = row.zip(column).zip(offset) {
                    let vector = output * interleaved.channel + interleaved.offset([row, column]);
                    segments[tap.channel].push(Weight {
                        offset,
                        interleaved: vector * lanes,
                        position: tap.position,
                    });
                }
            }
        }
        Part {
            rows: rows(segments, targets),
            target,
            phase,
        }
    });
    Direction {
        parts: parts.collect(),
        interleaves,
        channels,
        targets,
        blocks,
        size: shape.input,
        step: shape.stride,
        plane,
        interleaved,
    }
}

fn live(mask: &[bool]) -> usize {
    mask.iter().filter(|live| **live).count()
}

/// A live weight: where it finds its source in both layouts, and its index in the dense weights.
#[derive(Clone)]
struct Weight {
    offset: usize,
    interleaved: usize,
    position: usize,
}

fn rows(segments: Vec<Vec<Weight>>, targets: usize) -> Rows {
    let mut rows = Rows::new();
    for segment in segments {
        for weight in segment {
            rows.push(weight.offset, weight.position);
            rows.interleaved.push(weight.interleaved as u32);
        }
        rows.end_row();
    }
    rows.finish(targets)
}

/// A weight of an output channel: the input channel, the place in the kernel, and the index in the dense weights.
pub(super) struct Tap {
    pub(super) channel: usize,
    pub(super) at: [usize; 2],
    pub(super) position: usize,
}

/// All weights of an output channel, in their order.
pub(super) fn taps(shape: &ConvShape, output: usize) -> impl Iterator<Item = Tap> {
    let [rows, columns] = shape.kernel;
    let [inputs, outputs] = shape.channels.map(|channels| channels / shape.groups);
    let first = output / outputs * inputs;
    (0..inputs * rows * columns).map(move |index| Tap {
        channel: first + index / (rows * columns),
        at: [index / columns % rows, index % columns],
        position: output * inputs * rows * columns + index,
    })
}
