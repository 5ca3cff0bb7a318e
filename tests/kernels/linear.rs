//! Linear layers against their twin.

use proptest::prelude::*;
use rayon::ThreadPoolBuilder;
use zosam::kernels::LinearStructure;

use super::stream::Stream;
use super::twin::{Sum, check};
use super::{available, cases_count, densities};

proptest! {
    #![proptest_config(cases_count(200))]

    #[test]
    fn linear_is_the_twins(
        count in prop_oneof![Just(0usize), 1usize..40, 180usize..210],
        inputs in 1usize..40,
        outputs in 1usize..40,
        density in densities(),
        seed in any::<u64>(),
    ) {
        let mut stream = Stream::new(seed);
        let mask = stream.mask([outputs, inputs], density);
        let mut weight = stream.numbers(inputs * outputs);
        weight.iter_mut().zip(&mask).filter(|(_, live)| !**live).for_each(|(w, _)| *w = f32::NAN);
        let (input, bias) = (stream.numbers(count * inputs), stream.numbers(outputs));
        let gradient = stream.numbers(count * outputs);
        let mut twins = [outputs * count, inputs * count, inputs * outputs].map(|n| vec![Sum::default(); n]);
        for n in 0..count {
            for o in 0..outputs {
                twins[0][n * outputs + o].add(bias[o], 1.0);
                for i in (0..inputs).filter(|i| mask[o * inputs + i]) {
                    twins[0][n * outputs + o].add(weight[o * inputs + i], input[n * inputs + i]);
                    twins[1][n * inputs + i].add(weight[o * inputs + i], gradient[n * outputs + o]);
                    twins[2][o * inputs + i].add(gradient[n * outputs + o], input[n * inputs + i]);
                }
            }
        }
        for instructions in available() {
            let run = |threads| {
                let linear = LinearStructure::with_instructions(inputs, outputs, &mask, instructions).unwrap();
                let mut found = twins.each_ref().map(|twin| vec![f32::NAN; twin.len()]);
                let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| {
                    linear.forward(&input, &weight, Some(&bias), &mut found[0]).unwrap();
                    linear.input_gradient(&gradient, &weight, &mut found[1]).unwrap();
                    linear.weight_gradient(&input, &gradient, &mut found[2]).unwrap();
                });
                found
            };
            let found = run(1);
            prop_assert_eq!(&found, &run(3));
            check(&twins, &found)?;
        }
    }

    /// Burn's order of weights: the same results, weights and their gradients transposed.
    #[test]
    fn transposed_weights_are_the_same_layer(
        count in 1usize..40,
        inputs in 1usize..40,
        outputs in 1usize..40,
        density in densities(),
        seed in any::<u64>(),
    ) {
        let mut stream = Stream::new(seed);
        let mask = stream.mask([outputs, inputs], density);
        let weight = stream.numbers(inputs * outputs);
        let (input, gradient) = (stream.numbers(count * inputs), stream.numbers(count * outputs));
        let place = |i: usize| i % outputs * inputs + i / outputs;
        let turned_mask: Vec<bool> = (0..mask.len()).map(|i| mask[place(i)]).collect();
        let turned: Vec<f32> = (0..mask.len()).map(|i| weight[place(i)]).collect();
        let run = |linear: LinearStructure, weight: &[f32]| {
            let mut found = [count * outputs, count * inputs, weight.len()].map(|n| vec![f32::NAN; n]);
            linear.forward(&input, weight, None, &mut found[0]).unwrap();
            linear.input_gradient(&gradient, weight, &mut found[1]).unwrap();
            linear.weight_gradient(&input, &gradient, &mut found[2]).unwrap();
            found
        };
        let found = run(LinearStructure::new(inputs, outputs, &mask).unwrap(), &weight);
        let other = run(LinearStructure::transposed(inputs, outputs, &turned_mask).unwrap(), &turned);
        prop_assert_eq!(&found[0], &other[0]);
        prop_assert_eq!(&found[1], &other[1]);
        let expected: Vec<f32> = (0..mask.len()).map(|i| found[2][place(i)]).collect();
        prop_assert_eq!(&expected, &other[2]);
    }
}

#[test]
fn no_layer_and_wrong_masks_are_errors() {
    assert!(LinearStructure::new(0, 1, &[]).is_err());
    assert!(LinearStructure::new(1, 1, &[]).is_err());
    assert!(LinearStructure::transposed(1, 2, &[true]).is_err());
}

/// What an interpreter (Miri) can run.
#[test]
fn small_layers_by_hand() {
    let linear = LinearStructure::new(2, 2, &[true, false, true, true]).unwrap();
    let (input, weight) = ([1.0, 2.0, 3.0, 4.0], [10.0, f32::NAN, 20.0, 30.0]);
    let mut found = [[f32::NAN; 4]; 3];
    linear
        .forward(&input, &weight, Some(&[1.0, 2.0]), &mut found[0])
        .unwrap();
    linear
        .input_gradient(&input, &weight, &mut found[1])
        .unwrap();
    linear
        .weight_gradient(&input, &input, &mut found[2])
        .unwrap();
    assert_eq!(found[0], [11.0, 82.0, 31.0, 182.0]);
    assert_eq!(found[1], [50.0, 60.0, 110.0, 120.0]);
    assert_eq!(found[2], [10.0, 0.0, 14.0, 20.0]);
}
