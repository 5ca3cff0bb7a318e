//! Convolutions between frames against the twin of all convolutions.

use proptest::prelude::*;
use rayon::ThreadPoolBuilder;
use zosam::kernels::{ConvShape, Epilogue, Frame, FramedConv, Instructions};

use super::conv::Case;
use super::stream::Stream;
use super::{available, cases_count, densities};

/// Planes up to more than a tile of the widest vectors.
fn shapes() -> impl Strategy<Value = ConvShape> {
    let axis = || prop_oneof![Just((1, 0, 1)), Just((3, 1, 1)), Just((2, 1, 2))];
    let sizes = prop_oneof![3 => 1usize..=9, 1 => 10usize..=35];
    let sizes = prop::array::uniform2(sizes);
    let channels = prop::array::uniform2(1usize..=9);
    (axis(), axis(), sizes, channels, 1usize..=3).prop_map(
        |(rows, columns, size, channels, groups)| {
            ConvShape::new(channels.map(|c| c * groups), [rows.0, columns.0], size)
                .with_padding([rows.1, columns.1])
                .with_dilation([rows.2, columns.2])
                .with_groups(groups)
        },
    )
}

fn cases() -> impl Strategy<Value = Case> {
    (shapes(), 1usize..=6, densities(), any::<u64>())
        .prop_map(|(shape, images, density, seed)| Case::new(shape, images, density, seed))
}

fn framed(frame: Frame, size: [usize; 2], planes: &[f32]) -> Vec<f32> {
    let mut framed = vec![f32::NAN; planes.len() / (size[0] * size[1]) * frame.length()];
    frame.put(planes, &mut framed).unwrap();
    framed
}

/// The outputs without frames, and with.
fn outputs(
    case: &Case,
    instructions: Instructions,
    bias: Option<&[f32]>,
    residual: Option<&[f32]>,
    relu: bool,
) -> [Vec<f32>; 2] {
    let conv =
        FramedConv::with_instructions(case.shape, &case.weight, &case.mask, instructions).unwrap();
    let (frame, size) = (conv.frame(), case.shape.input);
    let input = framed(frame, size, &case.input);
    let residual = residual.map(|residual| framed(frame, size, residual));
    let epilogue = Epilogue {
        bias,
        residual: residual.as_deref(),
        relu,
    };
    let mut output = vec![f32::NAN; case.images * conv.numbers()[1]];
    conv.forward(&input, epilogue, &mut output).unwrap();
    let mut planes = vec![f32::NAN; case.gradient.len()];
    frame.take(&output, &mut planes).unwrap();
    [planes, output]
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

proptest! {
    #![proptest_config(cases_count(200))]

    #[test]
    fn outputs_are_the_twins_in_frames(case in cases()) {
        let [twin, ..] = case.twin();
        for instructions in available() {
            let [planes, output] = outputs(&case, instructions, None, None, false);
            for (sum, found) in twin.iter().zip(&planes) {
                sum.check(*found)?;
            }
            let frame = Frame::new(case.shape.input).unwrap();
            prop_assert_eq!(output, framed(frame, case.shape.input, &planes));
        }
    }

    #[test]
    fn the_epilogue_is_bias_residual_relu(case in cases(), relu in any::<bool>()) {
        let mut stream = Stream::new(case.images as u64);
        let bias = stream.numbers(case.shape.channels[1]);
        let residual = stream.numbers(case.gradient.len());
        let [height, width] = case.shape.input;
        let [twin, ..] = case.twin();
        for instructions in available() {
            let [planes, _] = outputs(&case, instructions, Some(&bias), Some(&residual), relu);
            for (index, found) in planes.into_iter().enumerate() {
                let mut sum = twin[index];
                sum.add(bias[index / (height * width) % bias.len()], 1.0);
                sum.add(residual[index], 1.0);
                match relu && found == 0.0 {
                    true => prop_assert!(sum.may_be_negative()),
                    false => sum.check(found)?,
                }
            }
        }
    }

    /// NaN and infinities reach what depends on them by a live weight; frames stay zero.
    #[test]
    fn numbers_that_are_not_finite_propagate(case in cases(), seed in any::<u64>()) {
        let mut case = case;
        let mut stream = Stream::new(seed);
        let bad = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
        let at = (stream.word() as usize) % case.input.len();
        case.input[at] = bad[(stream.word() % 3) as usize];
        let [twin, ..] = case.twin();
        let frame = Frame::new(case.shape.input).unwrap();
        for instructions in available() {
            let [planes, output] = outputs(&case, instructions, None, None, false);
            for (sum, found) in twin.iter().zip(&planes) {
                sum.check(*found)?;
            }
            prop_assert_eq!(bits(&output), bits(&framed(frame, case.shape.input, &planes)));
        }
    }

    /// The same to the bit on any number of threads, and for an image alone.
    #[test]
    fn outputs_depend_on_nothing_else(case in cases()) {
        let all = outputs(&case, Instructions::detect(), None, None, true)[0].clone();
        for threads in [1, 2, 3] {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let again = pool.install(|| outputs(&case, Instructions::detect(), None, None, true));
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
            let alone = outputs(&alone, Instructions::detect(), None, None, true);
            prop_assert_eq!(expected, &alone[0][..]);
        }
    }
}

#[test]
fn other_shapes_and_wrong_lengths_are_errors() {
    let shape = ConvShape::new([2, 2], [3, 3], [4, 5]).with_padding([1, 1]);
    let other = [
        shape.with_padding([0, 1]),
        shape.with_stride([2, 2]),
        shape.with_dilation([2, 2]).with_padding([2, 2]),
        ConvShape::new([2, 2], [5, 5], [8, 8]).with_padding([2, 2]),
    ];
    for shape in other {
        assert!(!FramedConv::takes(&shape), "{shape:?}");
        let weights = vec![0.0; shape.weights()];
        let error = FramedConv::new(shape, &weights, &vec![true; weights.len()]).unwrap_err();
        assert!(error.to_string().contains("one pixel"), "{error}");
    }
    let (weight, live) = ([0.0; 36], [true; 36]);
    assert!(FramedConv::new(shape, &weight[1..], &live).is_err());
    assert!(FramedConv::new(shape, &weight, &live[1..]).is_err());
    let conv = FramedConv::new(shape, &weight, &live).unwrap();
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

    let frame = conv.frame();
    assert!(frame.put(&[0.0; 19], &mut output).is_err());
    assert!(frame.put(&[0.0; 20], &mut output).is_err());
    assert!(frame.take(&output, &mut [0.0; 41]).is_err());
    for size in [[0, 4], [4, 0], [8193, 1]] {
        assert!(Frame::new(size).is_err(), "{size:?}");
    }
}
