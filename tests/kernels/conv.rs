//! Convolutions against their twin.

use proptest::prelude::*;
use rayon::ThreadPoolBuilder;
use zosam::kernels::{
    Bounds, ConvShape, ConvStructure, DenseConv, Epilogue, Instructions, PackedConv,
};

use super::stream::Stream;
use super::twin::{Sum, check};
use super::{available, bounds, cases_count, densities};

/// Everything that a product reads.
#[derive(Clone, Debug)]
pub struct Case {
    pub shape: ConvShape,
    pub images: usize,
    pub mask: Vec<bool>,
    pub input: Vec<f32>,
    pub weight: Vec<f32>,
    pub gradient: Vec<f32>,
}

impl Case {
    pub fn new(shape: ConvShape, images: usize, density: f32, seed: u64) -> Self {
        let mut stream = Stream::new(seed);
        let outputs = shape.channels[1];
        let mask = stream.mask([outputs, shape.weights() / outputs], density);
        let weight = stream.numbers(shape.weights());
        // A dead weight must not be read: whoever does gets NaN.
        let dead = |(weight, live): (f32, &bool)| if *live { weight } else { f32::NAN };
        Self {
            weight: weight.into_iter().zip(&mask).map(dead).collect(),
            input: stream.numbers(images * shape.inputs()),
            gradient: stream.numbers(images * shape.outputs()),
            mask,
            images,
            shape,
        }
    }

    fn structure(&self, instructions: Instructions) -> ConvStructure {
        ConvStructure::with_instructions(self.shape, &self.mask, instructions).unwrap()
    }

    /// Output, input gradient, weight gradient.
    fn run(&self, instructions: Instructions) -> [Vec<f32>; 3] {
        let structure = self.structure(instructions);
        let mut output = vec![f32::NAN; self.gradient.len()];
        let epilogue = Epilogue::default();
        structure
            .forward(&self.input, &self.weight, epilogue, &mut output)
            .unwrap();
        let mut input = vec![f32::NAN; self.input.len()];
        structure
            .input_gradient(&self.gradient, &self.weight, &mut input)
            .unwrap();
        let mut weight = vec![f32::NAN; self.weight.len()];
        structure
            .weight_gradient(&self.input, &self.gradient, &mut weight)
            .unwrap();
        [output, input, weight]
    }

    /// The same by loops over every output, live weight and kernel position; padding is a zero that is multiplied.
    pub fn twin(&self) -> [Vec<Sum>; 3] {
        let ConvShape {
            channels,
            kernel,
            input: [height, width],
            stride,
            padding,
            dilation,
            groups,
        } = self.shape;
        let [rows, columns] = self.shape.output_size();
        let per_group = channels.map(|c| c / groups);
        let mut output = vec![Sum::default(); self.gradient.len()];
        let mut input = vec![Sum::default(); self.input.len()];
        let mut weight = vec![Sum::default(); self.weight.len()];
        for (position, _) in self.mask.iter().enumerate().filter(|(_, live)| **live) {
            let (x, y) = (
                position % kernel[1] * dilation[1],
                position / kernel[1] % kernel[0] * dilation[0],
            );
            let o = position / (kernel[0] * kernel[1] * per_group[0]);
            let c =
                o / per_group[1] * per_group[0] + position / (kernel[0] * kernel[1]) % per_group[0];
            let w = self.weight[position];
            for n in 0..self.images {
                for at in 0..rows * columns {
                    let row = (at / columns * stride[0] + y)
                        .checked_sub(padding[0])
                        .filter(|r| *r < height);
                    let column = (at % columns * stride[1] + x)
                        .checked_sub(padding[1])
                        .filter(|c| *c < width);
                    let from = row
                        .zip(column)
                        .map(|(r, q)| ((n * channels[0] + c) * height + r) * width + q);
                    let value = from.map_or(0.0, |from| self.input[from]);
                    let to = (n * channels[1] + o) * rows * columns + at;
                    output[to].add(w, value);
                    weight[position].add(self.gradient[to], value);
                    if let Some(from) = from {
                        input[from].add(w, self.gradient[to]);
                    }
                }
            }
        }
        [output, input, weight]
    }
}

fn pair(low: usize, high: usize) -> impl Strategy<Value = [usize; 2]> {
    prop::array::uniform2(low..=high)
}

/// Shapes of every kind, most with small planes, some with planes of more than a tile of the widest vectors (192 positions).
fn shapes() -> impl Strategy<Value = ConvShape> {
    let sizes = prop_oneof![3 => pair(1, 9), 1 => pair(10, 35)];
    let geometry = (pair(1, 4), pair(1, 3), pair(0, 4), pair(1, 3), sizes);
    (pair(1, 9), 1usize..=3, geometry)
        .prop_map(
            |(channels, groups, (kernel, stride, padding, dilation, input))| {
                ConvShape::new(channels.map(|c| c * groups), kernel, input)
                    .with_stride(stride)
                    .with_padding(padding)
                    .with_dilation(dilation)
                    .with_groups(groups)
            },
        )
        .prop_filter("the kernel fits", |shape| {
            shape.output_size().iter().all(|size| *size > 0)
        })
}

/// Fewer images than any vector has lanes, or enough that each quarter of a batch has a vector of 4 or 8 and some left over.
fn cases() -> impl Strategy<Value = Case> {
    let images = prop_oneof![3 => 1usize..=6, 1 => 7usize..=40];
    (shapes(), images, densities(), any::<u64>())
        .prop_map(|(shape, images, density, seed)| Case::new(shape, images, density, seed))
}

proptest! {
    #![proptest_config(cases_count(200))]

    #[test]
    fn convolution_is_the_twins(case in cases()) {
        let twin = case.twin();
        for instructions in available() {
            check(&twin, &case.run(instructions))?;
        }
    }

    /// Magnitudes from 1e-30 to 1e15 in one sum: no partial result overflows and underflow is within the bound.
    #[test]
    fn extremes_stay_within_the_bound(case in cases(), seed in any::<u64>()) {
        let mut case = case;
        let mut stream = Stream::new(seed);
        for numbers in [&mut case.input, &mut case.weight, &mut case.gradient] {
            for number in numbers.iter_mut() {
                *number *= [1e-30, 1.0, 1e15, 0.0][(stream.word() % 4) as usize];
            }
        }
        let twin = case.twin();
        for instructions in available() {
            check(&twin, &case.run(instructions))?;
        }
    }

    /// NaN and infinities reach what depends on them by a live weight, and nothing else.
    #[test]
    fn numbers_that_are_not_finite_propagate(case in cases(), seed in any::<u64>()) {
        let mut case = case;
        let mut stream = Stream::new(seed);
        let bad = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
        let input = (stream.word() as usize) % case.input.len();
        case.input[input] = bad[(stream.word() % 3) as usize];
        let gradient = (stream.word() as usize) % case.gradient.len();
        case.gradient[gradient] = bad[(stream.word() % 3) as usize];
        let shape = &case.shape;
        let channel = input / (shape.input[0] * shape.input[1]) % shape.channels[0];
        let taps = shape.kernel[0] * shape.kernel[1];
        let [inputs, outputs] = shape.channels.map(|c| c / shape.groups);
        let [output_twin, input_twin, weight_twin] = case.twin();
        for instructions in available() {
            let [output, input, weight] = case.run(instructions);
            for (sum, found) in output_twin.iter().zip(output) {
                sum.check(found)?;
            }
            // A gradient next to the border stands beside zeros that are multiplied with finite weights: no NaN from there.
            for (sum, found) in input_twin.iter().zip(input) {
                sum.check(found)?;
            }
            for (position, (sum, found)) in weight_twin.iter().zip(weight).enumerate() {
                let reads = position / taps % inputs + position / taps / inputs / outputs * inputs;
                match (case.mask[position], reads == channel) {
                    (false, _) => prop_assert_eq!(found.to_bits(), 0),
                    (true, false) => sum.check(found)?,
                    // The documented exception: the whole channel may be NaN.
                    (true, true) => prop_assert!(found.is_nan() || sum.check(found).is_ok()),
                }
            }
        }
    }

    #[test]
    fn results_do_not_depend_on_the_threads(case in cases()) {
        let run = |threads| {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let results = pool.install(|| case.run(Instructions::detect()));
            results.map(|numbers| numbers.into_iter().map(f32::to_bits).collect::<Vec<_>>())
        };
        let one = run(1);
        for threads in [2, 3, 8] {
            prop_assert_eq!(&one, &run(threads));
        }
    }

    #[test]
    fn the_epilogue_is_bias_residual_bounds(case in cases(), bounds in bounds()) {
        let mut stream = Stream::new(case.images as u64);
        let bias = stream.numbers(case.shape.channels[1]);
        let residual = stream.numbers(case.gradient.len());
        let [height, width] = case.shape.output_size();
        for instructions in available() {
            let structure = case.structure(instructions);
            let mut biased = vec![f32::NAN; residual.len()];
            let epilogue = Epilogue { bias: Some(&bias), ..Epilogue::default() };
            structure.forward(&case.input, &case.weight, epilogue, &mut biased).unwrap();
            let mut all = vec![f32::NAN; residual.len()];
            let epilogue = Epilogue { bias: Some(&bias), residual: Some(&residual), bounds };
            structure.forward(&case.input, &case.weight, epilogue, &mut all).unwrap();
            let [twin, ..] = case.twin();
            for index in 0..all.len() {
                let mut sum = twin[index];
                sum.add(bias[index / (height * width) % bias.len()], 1.0);
                sum.check(biased[index])?;
                let expected = biased[index] + residual[index];
                prop_assert_eq!(all[index], bounded(expected, bounds));
            }
        }
    }

    /// A packed convolution has the twin's outputs, the same to the bit for an image alone and among others.
    #[test]
    fn packed_outputs_do_not_depend_on_other_images(case in cases()) {
        let [twin, ..] = case.twin();
        for instructions in available() {
            let packed = case.structure(instructions).packed(&case.weight).unwrap();
            let mut all = vec![f32::NAN; case.gradient.len()];
            packed.forward(&case.input, Epilogue::default(), &mut all).unwrap();
            for (sum, found) in twin.iter().zip(&all) {
                sum.check(*found)?;
            }
            let mut alone = vec![f32::NAN; case.gradient.len()];
            let [inputs, outputs] = [case.shape.inputs(), case.shape.outputs()];
            for (input, output) in case.input.chunks(inputs).zip(alone.chunks_mut(outputs)) {
                packed.forward(input, Epilogue::default(), output).unwrap();
            }
            prop_assert_eq!(&all, &alone);
        }
    }

    /// The transpose is the input gradient, and what follows it follows everywhere: phases of a stride that no weight reaches, too.
    #[test]
    fn a_packed_transpose_is_the_input_gradient(case in cases(), bounds in bounds()) {
        let [_, twin, _] = case.twin();
        let mut stream = Stream::new(case.images as u64);
        let bias = stream.numbers(case.shape.channels[0]);
        let residual = stream.numbers(case.input.len());
        let packed = PackedConv::transposed(case.shape, &case.weight, &case.mask).unwrap();
        let mut biased = vec![f32::NAN; residual.len()];
        let epilogue = Epilogue { bias: Some(&bias), ..Epilogue::default() };
        packed.forward(&case.gradient, epilogue, &mut biased).unwrap();
        let mut all = vec![f32::NAN; residual.len()];
        let epilogue = Epilogue { bias: Some(&bias), residual: Some(&residual), bounds };
        packed.forward(&case.gradient, epilogue, &mut all).unwrap();
        let pixels = case.shape.input[0] * case.shape.input[1];
        for index in 0..all.len() {
            let mut sum = twin[index];
            sum.add(bias[index / pixels % bias.len()], 1.0);
            sum.check(biased[index])?;
            let expected = biased[index] + residual[index];
            prop_assert_eq!(all[index], bounded(expected, bounds));
        }
    }

    /// A dense product has the twin's outputs, those of dead channels too.
    #[test]
    fn dense_products_are_the_twins(case in cases(), wide in any::<bool>(), bounds in bounds()) {
        let shape = ConvShape { groups: 1, dilation: [1, 1], ..case.shape };
        // More positions than a block and more outputs than a task.
        let channels = [shape.channels[0].min(2), 70];
        let large = ConvShape { input: [27, 40], channels, ..shape };
        let (shape, images) = if wide { (large, 1) } else { (shape, case.images) };
        let case = Case::new(shape, images, 0.1, case.images as u64);
        let [mut twin, ..] = case.twin();
        let mut stream = Stream::new(case.images as u64);
        let (bias, residual) = (stream.numbers(shape.channels[1]), stream.numbers(twin.len()));
        let [height, width] = shape.output_size();
        for (index, sum) in twin.iter_mut().enumerate() {
            sum.add(bias[index / (height * width) % bias.len()], 1.0);
            sum.add(residual[index], 1.0);
        }
        let epilogue = Epilogue { bias: Some(&bias), residual: Some(&residual), bounds };
        let live = case.weight.iter().zip(&case.mask);
        let weight: Vec<f32> = live.map(|(weight, live)| if *live { *weight } else { 0.0 }).collect();
        let mut found = vec![f32::NAN; twin.len()];
        DenseConv::new(shape, &weight, &case.mask).unwrap().forward(&case.input, epilogue, &mut found).unwrap();
        for (sum, found) in twin.iter().zip(found) {
            sum.check_in(bounds, found)?;
        }
    }

    /// Those that read padding only may be at each other's places.
    #[test]
    fn packed_weights_are_the_live_ones(case in cases()) {
        let live = case.weight.iter().zip(&case.mask);
        let live: Vec<f32> = live.map(|(weight, live)| if *live { *weight } else { 0.0 }).collect();
        let make = [PackedConv::new, PackedConv::transposed];
        for make in make {
            let weight = make(case.shape, &case.weight, &case.mask).unwrap().weight();
            let reads = reads_pixels(&case.shape);
            for index in 0..live.len() {
                let tap = index % reads.len();
                prop_assert!(weight[index] == live[index] || !reads[tap], "weight {}", index);
            }
            prop_assert_eq!(sorted(&weight), sorted(&live));
        }
    }
}

fn bounded(number: f32, bounds: Bounds) -> f32 {
    let number = if bounds.relu { number.max(0.0) } else { number };
    bounds.most.map_or(number, |most| number.min(most))
}

fn sorted(numbers: &[f32]) -> Vec<f32> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f32::total_cmp);
    sorted
}

/// Whether a tap of the kernel reads a pixel for any output.
fn reads_pixels(shape: &ConvShape) -> Vec<bool> {
    let reads = |axis: usize, tap: usize| {
        let outputs = shape.output_size()[axis];
        let at = |output: usize| output * shape.stride[axis] + tap * shape.dilation[axis];
        let pixels = shape.padding[axis]..shape.padding[axis] + shape.input[axis];
        (0..outputs).any(|output| pixels.contains(&at(output)))
    };
    let taps =
        (0..shape.kernel[0]).flat_map(|row| (0..shape.kernel[1]).map(move |column| [row, column]));
    taps.map(|[row, column]| reads(0, row) && reads(1, column))
        .collect()
}

/// A square convolution with "same" padding.
fn conv(channels: [usize; 2], kernel: usize, size: usize, stride: usize) -> ConvShape {
    ConvShape::new(channels, [kernel; 2], [size; 2])
        .with_stride([stride; 2])
        .with_padding([kernel / 2; 2])
}

/// The layers of ResNet-32 (width 32) and of an ImageNet stem, two images each.
#[test]
#[cfg_attr(miri, ignore = "too large for an interpreter")]
fn layers_of_real_networks() {
    let shapes = [
        conv([3, 32], 3, 32, 1),
        conv([32, 32], 3, 32, 1),
        conv([32, 64], 3, 32, 2),
        conv([64, 64], 3, 16, 1),
        conv([64, 128], 1, 16, 2),
        conv([128, 128], 3, 8, 1),
        conv([3, 16], 7, 56, 2),
        conv([48, 48], 3, 14, 1).with_groups(48),
    ];
    for shape in shapes {
        let case = Case::new(shape, 2, 0.1, 7);
        let twin = case.twin();
        for instructions in available() {
            check(&twin, &case.run(instructions)).unwrap();
        }
    }
}

/// Enough images that every quarter of the batch has a vector of 16 and some left over, and so much to read that channels are
/// taken in several blocks and rows in several bands.
#[test]
#[cfg_attr(miri, ignore = "too large for an interpreter")]
fn batches_of_real_layers() {
    let shapes = [
        (conv([32, 8], 3, 32, 1), 0.3),
        (conv([16, 16], 3, 17, 2), 0.3),
        (conv([8, 16], 1, 16, 2), 0.3),
        (conv([64, 64], 3, 8, 1), 0.1),
        (conv([64, 16], 3, 4, 1).with_groups(2), 0.4),
    ];
    for (shape, density) in shapes {
        let case = Case::new(shape, 67, density, 7);
        let twin = case.twin();
        for instructions in available() {
            check(&twin, &case.run(instructions)).unwrap();
        }
    }
}

#[test]
fn wrong_shapes_and_lengths_are_errors() {
    let shape = ConvShape::new([2, 4], [3, 3], [5, 5]);
    let bad = [
        ConvShape::new([2, 4], [3, 3], [1 << 16, 1 << 16]),
        shape.with_stride([0, 1]),
        shape.with_dilation([1, 0]),
        shape.with_dilation([3, 1]),
        shape.with_groups(3),
        shape.with_groups(0),
        shape.with_padding([usize::MAX, 0]),
        ConvShape::new([0, 4], [3, 3], [5, 5]),
        ConvShape::new([2, 4], [0, 3], [5, 5]),
        ConvShape::new([2, 4], [3, 3], [0, 5]),
        ConvShape::new([1 << 20, 1 << 20], [8192, 8192], [8192, 8192]),
    ];
    for shape in bad {
        assert!(ConvStructure::new(shape, &[true; 72]).is_err(), "{shape:?}");
    }
    assert!(ConvStructure::new(shape, &[true; 71]).is_err());
    let conv = ConvStructure::new(shape, &[true; 72]).unwrap();
    let (input, weight, gradient) = ([0.0; 50], [0.0; 72], [0.0; 36]);
    let none = Epilogue::default();
    let message = conv
        .forward(&input[1..], &weight, none, &mut [0.0; 36])
        .unwrap_err();
    assert_eq!(
        message.to_string(),
        "the input has 49 numbers: it must have a multiple of 50"
    );
    assert!(
        conv.forward(&input, &weight[1..], none, &mut [0.0; 36])
            .is_err()
    );
    assert!(conv.forward(&input, &weight, none, &mut [0.0; 35]).is_err());
    assert!(
        conv.input_gradient(&gradient[1..], &weight, &mut [0.0; 50])
            .is_err()
    );
    assert!(
        conv.weight_gradient(&input, &gradient[1..], &mut [0.0; 72])
            .is_err()
    );
    assert!(
        conv.weight_gradient(&input, &gradient, &mut [0.0; 71])
            .is_err()
    );
    assert!(
        conv.forward(&[], &weight, none, &mut []).is_ok(),
        "no images, no work"
    );
    let mut nothing = [1.0; 72];
    assert!(conv.weight_gradient(&[], &[], &mut nothing).is_ok());
    assert_eq!(nothing, [0.0; 72]);
}

#[test]
fn instructions_that_the_cpu_lacks_are_errors() {
    let shape = ConvShape::new([1, 1], [1, 1], [1, 1]);
    for instructions in Instructions::ALL {
        let built = ConvStructure::with_instructions(shape, &[true], instructions);
        assert_eq!(built.is_ok(), instructions.is_available());
    }
}

/// A stride beyond its kernel and its plane: most phases have no weight and cost nothing. There are 67 million of them here.
#[test]
fn a_stride_of_any_size_is_a_few_rows() {
    for (kernel, input, stride, padding) in [
        ([1, 1], [2, 3], [8192, 8192], [0, 0]),
        ([2, 1], [5, 2], [8192, 4096], [3, 1]),
        ([3, 3], [9, 14], [5, 7], [1, 2]),
    ] {
        let shape = ConvShape::new([40, 24], kernel, input);
        let shape = shape.with_stride(stride).with_padding(padding);
        for images in [1, 17] {
            let case = Case::new(shape, images, 0.3, 8);
            for instructions in available() {
                check(&case.twin(), &case.run(instructions)).unwrap();
            }
        }
    }
}

/// Sound, and pixels of an image in a row.
#[test]
fn rows_are_as_long_as_they_are() {
    let long = ConvShape::new([2, 3], [1, 5], [1, 20_011]).with_padding([0, 2]);
    let tall = ConvShape::new([2, 3], [3, 1], [9_001, 2]).with_padding([1, 0]);
    for shape in [long, long.with_stride([1, 3]), tall] {
        let case = Case::new(shape, 1, 0.5, 9);
        check(&case.twin(), &case.run(Instructions::detect())).unwrap();
    }
}

/// A few shapes of all three products and of packed weights both ways: what an interpreter (Miri) can run in a minute.
#[test]
fn small_planes_of_every_kind() {
    let shape = ConvShape::new([2, 4], [2, 3], [3, 4]);
    for shape in [
        shape.with_padding([1, 1]),
        shape.with_stride([1, 2]),
        shape.with_groups(2),
    ] {
        let case = Case::new(shape, 2, 0.5, 3);
        let twin = case.twin();
        check(&twin, &case.run(Instructions::detect())).unwrap();
        let packed = PackedConv::new(shape, &case.weight, &case.mask).unwrap();
        let transposed = PackedConv::transposed(shape, &case.weight, &case.mask).unwrap();
        let products = [
            (packed, &case.input, &twin[0]),
            (transposed, &case.gradient, &twin[1]),
        ];
        for (conv, from, sums) in products {
            let mut found = vec![f32::NAN; sums.len()];
            conv.forward(from, Epilogue::default(), &mut found).unwrap();
            for (sum, found) in sums.iter().zip(found) {
                sum.check(found).unwrap();
            }
        }
    }
}
