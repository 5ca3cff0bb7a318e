//! What holds for any batch.

use proptest::prelude::*;
use rayon::ThreadPoolBuilder;
use zosam::kernels::{GradientMask, Instructions};

use super::case::Case;
use crate::stream::Stream;
use crate::{available, cases_count};

/// Planes about every edge: a vector, the vectors summed side by side, a block.
fn shapes() -> impl Strategy<Value = [usize; 3]> {
    let plane = prop_oneof![
        4 => 1usize..=70,
        1 => 120usize..=140,
        1 => 1000usize..=1060,
        1 => 2040usize..=2080,
    ];
    let small = (1usize..=9, 1usize..=7, plane)
        .prop_map(|(images, channels, plane)| [images, channels, plane]);
    // Many images of small planes, so that blocks span images.
    let tall = (100usize..=300, 1usize..=4, 1usize..=20)
        .prop_map(|(images, channels, plane)| [images, channels, plane]);
    prop_oneof![5 => small, 1 => tall]
}

fn cases() -> impl Strategy<Value = Case> {
    (shapes(), prop::array::uniform3(any::<bool>()), any::<u64>())
        .prop_map(|(shape, flags, seed)| Case::new(shape, flags, seed))
}

proptest! {
    #![proptest_config(cases_count(200))]

    #[test]
    fn passes_are_the_formulas(case in cases()) {
        for instructions in available() {
            case.check(&case.run(instructions))?;
        }
    }

    #[test]
    fn results_do_not_depend_on_the_threads(case in cases()) {
        let run = |threads| {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| case.run(Instructions::detect())).bits()
        };
        let one = run(1);
        for threads in [2, 3, 8] {
            prop_assert_eq!(&one, &run(threads));
        }
    }
}

/// Where a slice is not finite.
fn undefined(numbers: &[f32]) -> Vec<usize> {
    (0..numbers.len())
        .filter(|at| !numbers[*at].is_finite())
        .collect()
}

proptest! {
    #![proptest_config(cases_count(100))]

    /// Which outputs were positive is the same computed again, so gradients are the same to the bit.
    #[test]
    fn the_recomputed_mask_is_the_outputs(case in cases()) {
        let case = Case { relu: true, residual: None, ..case };
        for instructions in available() {
            let found = case.run(instructions);
            let mut again = found.clone();
            let factors = case.factors(&found.mean, &found.variance);
            case.gradients(instructions, factors, GradientMask::Recomputed, &mut again);
            prop_assert_eq!(found.bits(), again.bits());
        }
    }

    /// A number that is not finite makes its channel's statistics so, and touches no other channel.
    #[test]
    fn numbers_that_are_not_finite_stay_in_their_channel(case in cases(), seed in any::<u64>()) {
        let mut stream = Stream::new(seed);
        let at = stream.word() as usize % case.input.len();
        let channel = at / case.plane % case.channels;
        let mut bad = case.clone();
        bad.input[at] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][(stream.word() % 3) as usize];
        for instructions in available() {
            let (good, found) = (case.run(instructions), bad.run(instructions));
            prop_assert_eq!(undefined(&found.mean), vec![channel]);
            prop_assert_eq!(undefined(&found.variance), vec![channel]);
            let of_others = |numbers: &[f32]| {
                let others = (0..case.channels).filter(|other| *other != channel);
                let numbers = others.flat_map(|other| case.numbers_of(other)).map(|at| numbers[at].to_bits());
                numbers.collect::<Vec<_>>()
            };
            prop_assert_eq!(of_others(&good.output), of_others(&found.output));
            prop_assert_eq!(of_others(&good.input_gradient), of_others(&found.input_gradient));
            // With finite statistics only the number itself is undefined, also behind a ReLU.
            let mut output = vec![0.0; bad.input.len()];
            let factors = bad.factors(&good.mean, &good.variance);
            bad.norm(instructions).normalise(&bad.input, factors, None, false, &mut output).unwrap();
            prop_assert_eq!(undefined(&output), vec![at]);
        }
    }
}
