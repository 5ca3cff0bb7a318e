//! Convolutions between mosaics against the twin of all convolutions.

use proptest::prelude::*;
use rayon::ThreadPoolBuilder;
use zosam::kernels::{Bounds, ConvShape, Epilogue, Instructions, Mosaic, MosaicConv};

use super::conv::Case;
use super::stream::Stream;
use super::{available, bounds, cases_count, densities};

/// Strides, and kernels that reach at most a pixel further: outputs of pieces of one to three
/// tiles, and of fewer pixels than lanes.
fn shapes() -> impl Strategy<Value = ConvShape> {
    // Kernel, padding, dilation and stride of an axis.
    let axis = || {
        prop_oneof![
            Just((1, 0, 1, 1)),
            Just((3, 1, 1, 1)),
            Just((2, 1, 2, 1)),
            Just((3, 1, 1, 2)),
            Just((1, 0, 1, 2)),
            Just((2, 0, 1, 2)),
            Just((4, 1, 1, 3)),
        ]
    };
    let sizes = prop_oneof![3 => 1usize..=9, 1 => 10usize..=40];
    let outputs = prop::array::uniform2(sizes);
    // Many inputs are taken in blocks.
    let inputs = prop_oneof![5 => 1usize..=9, 1 => 20usize..=60];
    let channels = (inputs, 1usize..=9).prop_map(|(inputs, outputs)| [inputs, outputs]);
    (axis(), axis(), outputs, channels, 1usize..=3).prop_filter_map(
        "pieces that fit",
        |(rows, columns, outputs, channels, groups)| {
            // The largest input of an output, and thus the one whose pieces fit most often.
            let size = [(rows, outputs[0]), (columns, outputs[1])]
                .map(|((_, _, _, stride), output)| stride * output);
            let shape = ConvShape::new(channels.map(|c| c * groups), [rows.0, columns.0], size)
                .with_padding([rows.1, columns.1])
                .with_dilation([rows.2, columns.2])
                .with_stride([rows.3, columns.3])
                .with_groups(groups);
            MosaicConv::takes(&shape).then_some(shape)
        },
    )
}

fn cases() -> impl Strategy<Value = Case> {
    (shapes(), 1usize..=6, densities(), any::<u64>())
        .prop_map(|(shape, images, density, seed)| Case::new(shape, images, density, seed))
}

fn pieces(mosaic: Mosaic, plane: usize, planes: &[f32]) -> Vec<f32> {
    let mut pieces = vec![f32::NAN; planes.len() / plane * mosaic.length()];
    mosaic.put(planes, &mut pieces).unwrap();
    pieces
}

/// Instructions whose pieces a shape fits.
fn fitting(shape: ConvShape) -> impl Iterator<Item = Instructions> {
    let weights = vec![0.0; shape.weights()];
    let live = vec![false; shape.weights()];
    available().filter(move |instructions| {
        MosaicConv::with_instructions(shape, &weights, &live, *instructions).is_ok()
    })
}

/// The outputs as planes, and in pieces.
fn outputs(
    case: &Case,
    instructions: Instructions,
    bias: Option<&[f32]>,
    residual: Option<&[f32]>,
    bounds: Bounds,
) -> [Vec<f32>; 2] {
    let conv =
        MosaicConv::with_instructions(case.shape, &case.weight, &case.mask, instructions).unwrap();
    let [before, behind] = conv.mosaics();
    let [from, to] =
        [case.shape.input, case.shape.output_size()].map(|[rows, columns]| rows * columns);
    let input = pieces(before, from, &case.input);
    let residual = residual.map(|residual| pieces(behind, to, residual));
    let epilogue = Epilogue {
        bias,
        residual: residual.as_deref(),
        bounds,
    };
    let mut output = vec![f32::NAN; case.images * conv.numbers()[1]];
    conv.forward(&input, epilogue, &mut output).unwrap();
    let mut planes = vec![f32::NAN; case.gradient.len()];
    behind.take(&output, &mut planes).unwrap();
    [planes, output]
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

proptest! {
    #![proptest_config(cases_count(200))]

    #[test]
    fn outputs_are_the_twins_in_pieces(case in cases()) {
        let [twin, ..] = case.twin();
        for instructions in fitting(case.shape) {
            let [planes, output] = outputs(&case, instructions, None, None, Bounds::default());
            for (sum, found) in twin.iter().zip(&planes) {
                sum.check(*found)?;
            }
            let [rows, columns] = case.shape.output_size();
            let mosaic = Mosaic::with_instructions([rows, columns], instructions).unwrap();
            prop_assert_eq!(output, pieces(mosaic, rows * columns, &planes));
        }
    }

    #[test]
    fn the_epilogue_is_bias_residual_bounds(case in cases(), bounds in bounds()) {
        let mut stream = Stream::new(case.images as u64);
        let bias = stream.numbers(case.shape.channels[1]);
        let residual = stream.numbers(case.gradient.len());
        let [height, width] = case.shape.output_size();
        let [twin, ..] = case.twin();
        for instructions in fitting(case.shape) {
            let [planes, _] = outputs(&case, instructions, Some(&bias), Some(&residual), bounds);
            for (index, found) in planes.into_iter().enumerate() {
                let mut sum = twin[index];
                sum.add(bias[index / (height * width) % bias.len()], 1.0);
                sum.add(residual[index], 1.0);
                sum.check_in(bounds, found)?;
            }
        }
    }

    /// NaN and infinities reach what depends on them by a live weight; what lies outside stays zero.
    #[test]
    fn numbers_that_are_not_finite_propagate(case in cases(), seed in any::<u64>()) {
        let mut case = case;
        let mut stream = Stream::new(seed);
        let bad = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
        let at = (stream.word() as usize) % case.input.len();
        case.input[at] = bad[(stream.word() % 3) as usize];
        let [twin, ..] = case.twin();
        let [rows, columns] = case.shape.output_size();
        for instructions in fitting(case.shape) {
            let [planes, output] = outputs(&case, instructions, None, None, Bounds::default());
            for (sum, found) in twin.iter().zip(&planes) {
                sum.check(*found)?;
            }
            let mosaic = Mosaic::with_instructions([rows, columns], instructions).unwrap();
            prop_assert_eq!(bits(&output), bits(&pieces(mosaic, rows * columns, &planes)));
        }
    }

    /// The same to the bit on any number of threads, and for an image alone.
    #[test]
    fn outputs_depend_on_nothing_else(case in cases()) {
        let all = outputs(&case, Instructions::detect(), None, None, Bounds::RELU)[0].clone();
        for threads in [1, 2, 3] {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let again = pool.install(|| outputs(&case, Instructions::detect(), None, None, Bounds::RELU));
            prop_assert_eq!(&all, &again[0]);
        }
        for (image, expected) in all.chunks(case.shape.outputs()).enumerate() {
            let inputs = case.shape.inputs();
            let alone = Case {
                images: 1,
                input: case.input[image * inputs..(image + 1) * inputs].to_vec(),
                gradient: vec![0.0; case.shape.outputs()],
                ..case.clone()
            };
            let alone = outputs(&alone, Instructions::detect(), None, None, Bounds::RELU);
            prop_assert_eq!(expected, &alone[0][..]);
        }
    }
}

#[test]
fn other_shapes_and_wrong_lengths_are_errors() {
    let shape = ConvShape::new([2, 2], [3, 3], [4, 5]).with_padding([1, 1]);
    let other = [
        shape.with_padding([0, 1]),
        shape.with_padding([2, 2]),
        shape.with_dilation([2, 2]).with_padding([2, 2]),
        ConvShape::new([2, 2], [5, 5], [8, 8]).with_padding([2, 2]),
        // A piece of 3 rows is not twice one of 2, whatever the lanes.
        ConvShape::new([2, 2], [3, 3], [9, 9])
            .with_padding([1, 1])
            .with_stride([2, 2]),
    ];
    for shape in other {
        assert!(!MosaicConv::takes(&shape), "{shape:?}");
        let weights = vec![0.0; shape.weights()];
        let error = MosaicConv::new(shape, &weights, &vec![true; weights.len()]).unwrap_err();
        assert!(error.to_string().contains("one pixel"), "{error}");
    }
    let (weight, live) = ([0.0; 36], [true; 36]);
    assert!(MosaicConv::new(shape, &weight[1..], &live).is_err());
    assert!(MosaicConv::new(shape, &weight, &live[1..]).is_err());
    let conv = MosaicConv::new(shape, &weight, &live).unwrap();
    let [inputs, outputs] = conv.numbers();
    let (input, mut output) = (vec![0.0; inputs], vec![0.0; outputs]);
    let none = Epilogue::default();
    assert!(conv.forward(&input[1..], none, &mut output).is_err());
    assert!(conv.forward(&input, none, &mut output[1..]).is_err());
    assert!(conv.forward(&[], none, &mut []).is_ok());
    let short = Epilogue {
        residual: Some(&input[1..]),
        ..none
    };
    assert!(conv.forward(&input, short, &mut output).is_err());

    let mosaic = conv.mosaics()[0];
    assert!(mosaic.put(&[0.0; 19], &mut output).is_err());
    assert!(mosaic.put(&[0.0; 20], &mut output).is_err());
    assert!(mosaic.take(&output, &mut [0.0; 41]).is_err());
    for size in [[0, 4], [4, 0], [8193, 1]] {
        assert!(Mosaic::new(size).is_err(), "{size:?}");
    }
}

/// A few shapes with everything that follows a product: what an interpreter (Miri) can run in a
/// minute. Whole pieces, pieces of fewer pixels, fewer pixels than pieces, strides.
#[test]
fn small_mosaics_of_every_kind() {
    let shape = |size: [usize; 2]| ConvShape::new([2, 3], [3, 3], size).with_padding([1, 1]);
    let shapes = [
        shape([4, 4]),
        shape([5, 3]),
        shape([1, 2]),
        shape([8, 8]).with_stride([2, 2]),
    ];
    for shape in shapes {
        let case = Case::new(shape, 2, 0.5, 7);
        let residual = Stream::new(5).numbers(case.gradient.len());
        let [twin, ..] = case.twin();
        for instructions in fitting(shape) {
            let [planes, _] = outputs(
                &case,
                instructions,
                None,
                Some(&residual),
                Bounds::default(),
            );
            for ((sum, found), residual) in twin.iter().zip(planes).zip(&residual) {
                let mut sum = *sum;
                sum.add(*residual, 1.0);
                sum.check(found).unwrap();
            }
        }
    }
}
