//! The compressed weights of a convolution and of its transpose.

use std::collections::BTreeMap;

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
        fills: false,
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

/// The phase of the inputs that a weight is for in [`backward`], and where it finds its source in
/// the planes.
pub(super) fn backward_place(
    shape: &ConvShape,
    plane: &Plane,
    output: usize,
    tap: &Tap,
) -> ([usize; 2], usize) {
    let [y, x] = [0, 1]
        .map(|axis| reach(shape, axis) - tap.at[axis] * shape.dilation[axis] / shape.stride[axis]);
    let phase = [0, 1].map(|axis| phase(shape, axis, tap.at[axis]).0);
    (phase, output * plane.length + y * plane.pitch + x)
}

/// What a weight at a place of the kernel says of its phase: the first input of it, and where that
/// finds its gradient. Input `stride · i + y` gets `g[i + (y + padding − k · dilation) / stride]`.
fn phase(shape: &ConvShape, axis: usize, at: usize) -> (usize, isize) {
    let (stride, distance) = (shape.stride[axis], at * shape.dilation[axis]);
    let start = distance as isize - shape.padding[axis] as isize;
    let phase = start.rem_euclid(stride as isize) as usize;
    (phase, (phase as isize - start) / stride as isize)
}

/// The zeros before the outputs that the largest shift reads, and the outputs before the first
/// input.
fn reach(shape: &ConvShape, axis: usize) -> usize {
    let shift = (shape.kernel[axis] - 1) * shape.dilation[axis] / shape.stride[axis];
    shift.max(shape.padding[axis] / shape.stride[axis])
}

/// Input gradients from output gradients.
///
/// Input `y` gets `w[k] · g[(y + padding − k · dilation) / stride]` where that is whole. Inputs of
/// one phase, `y + padding = stride · t + phase`, see the weights with
/// `k · dilation = stride · shift + phase`, at `g[t − shift]`: within a phase it is a convolution
/// of stride one again.
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
    let shifts = [0, 1].map(|axis| -> Vec<_> {
        let kernel = 0..shape.kernel[axis];
        kernel.map(|at| phase(shape, axis, at).1).collect()
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
    // Phases without a weight have no part: there are up to stride × stride of them, and their
    // gradients are zero.
    let mut parts: BTreeMap<[usize; 2], Vec<Vec<Weight>>> = BTreeMap::new();
    for output in 0..channels {
        let block = output * blocks / channels * targets;
        for tap in taps(shape, output).filter(|tap| mask[tap.position]) {
            let (phase, offset) = backward_place(shape, &plane, output, &tap);
            let [down, across] = [0, 1].map(|axis| self::phase(shape, axis, tap.at[axis]).1);
            let segments = parts.entry(phase);
            let segments = segments.or_insert_with(|| vec![Vec::new(); blocks * targets]);
            let vector = output * interleaved.channel + interleaved.offset([down, across]);
            segments[block + tap.channel].push(Weight {
                offset,
                interleaved: vector * lanes,
                position: tap.position,
            });
        }
    }
    // Targets may begin before the plane: the first index of a run is that of the first input of
    // any phase.
    let target = |axis: usize, phase: usize| {
        let (stride, padding) = (shape.stride[axis], shape.padding[axis]);
        let within = (phase + padding) % stride;
        Spread {
            start: (stride * first[axis] + within) as isize - padding as isize,
            step: stride,
        }
    };
    let fills = parts.len() < phases;
    let parts = parts.into_iter().map(|(phase, segments)| Part {
        rows: rows(segments, targets),
        target: [0, 1].map(|axis| target(axis, phase[axis])),
        phase,
    });
    Direction {
        parts: parts.collect(),
        fills,
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

/// A weight of an output channel: the input channel, the place in the kernel, and the index in the
/// dense weights.
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
