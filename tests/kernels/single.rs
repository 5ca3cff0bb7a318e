//! Linear layers of one example against their twin.

use proptest::prelude::*;
use rayon::ThreadPoolBuilder;
use zosam::kernels::{Bounds, Epilogue, SingleLinear};

use super::stream::Stream;
use super::twin::Sum;
use super::{available, bounds, cases_count, densities};

proptest! {
    #![proptest_config(cases_count(200))]

    #[test]
    fn a_single_linear_layer_is_the_twin(
        count in 0usize..4,
        inputs in 1usize..70,
        outputs in prop_oneof![1usize..40, 60usize..140],
        density in densities(),
        [is_dense, has_bias, has_residual, is_infinite] in any::<[bool; 4]>(),
        bounds in bounds(),
        seed in any::<u64>(),
    ) {
        let mut stream = Stream::new(seed);
        let mask = stream.mask([outputs, inputs], density);
        let mut weight = stream.numbers(inputs * outputs);
        weight.iter_mut().zip(&mask).filter(|(_, live)| !**live).for_each(|(w, _)| *w = 0.0);
        let mut input = stream.numbers(count * inputs);
        if is_infinite && !is_dense {
            // Dead weights of a sparse layer never meet it.
            input.iter_mut().step_by(inputs).for_each(|x| *x = f32::INFINITY);
        }
        let (bias, residual) = (stream.numbers(outputs), stream.numbers(count * outputs));
        let epilogue = Epilogue {
            bias: has_bias.then_some(&bias[..]),
            residual: has_residual.then_some(&residual[..]),
            bounds,
        };
        let mut twin = vec![Sum::default(); count * outputs];
        for (at, sum) in twin.iter_mut().enumerate() {
            let (example, output) = (at / outputs, at % outputs);
            for i in (0..inputs).filter(|i| mask[output * inputs + i]) {
                sum.add(weight[output * inputs + i], input[example * inputs + i]);
            }
            let more = [epilogue.bias.map(|bias| bias[output]), epilogue.residual.map(|all| all[at])];
            more.into_iter().flatten().for_each(|more| sum.add(more, 1.0));
        }
        for instructions in available() {
            let layer = SingleLinear::with_instructions(inputs, outputs, &weight, is_dense, instructions).unwrap();
            prop_assert_eq!(layer.weight(), weight.clone());
            prop_assert_eq!(layer.live(), mask.iter().filter(|live| **live).count());
            let run = |threads| {
                let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let mut found = vec![f32::NAN; count * outputs];
                pool.install(|| layer.forward(&input, epilogue, &mut found)).unwrap();
                found
            };
            let found = run(1);
            let bits = |numbers: &[f32]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&found), bits(&run(3)));
            for (sum, found) in twin.iter().zip(found) {
                sum.check_in(bounds, found)?;
            }
        }
    }
}

#[test]
fn large_layers_do_not_depend_on_the_threads() {
    let (inputs, outputs) = (1100, 1000);
    let mut stream = Stream::new(3);
    let weight = stream.numbers(inputs * outputs);
    let input = stream.numbers(inputs);
    for is_dense in [false, true] {
        let make = match is_dense {
            true => SingleLinear::dense,
            false => SingleLinear::sparse,
        };
        let layer = make(inputs, outputs, &weight).unwrap();
        let run = |threads| {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build();
            let mut found = vec![f32::NAN; outputs];
            let run = || layer.forward(&input, Epilogue::default(), &mut found);
            pool.unwrap().install(run).unwrap();
            found
        };
        assert_eq!(run(1), run(4));
    }
}

#[test]
fn no_layer_and_wrong_lengths_are_errors() {
    assert!(SingleLinear::sparse(0, 1, &[]).is_err());
    assert!(SingleLinear::dense(1, 0, &[]).is_err());
    assert!(SingleLinear::sparse(2, 1, &[1.0]).is_err());
    let layer = SingleLinear::sparse(2, 1, &[1.0, 0.0]).unwrap();
    let mut output = [0.0];
    let none = Epilogue::default();
    assert!(layer.forward(&[1.0], none, &mut output).is_err());
    assert!(layer.forward(&[1.0, 2.0], none, &mut []).is_err());
    let long = Epilogue {
        bias: Some(&[1.0, 2.0]),
        ..none
    };
    assert!(layer.forward(&[1.0, 2.0], long, &mut output).is_err());
}

/// What an interpreter (Miri) can run: a tail, a dead output, lanes without an output.
#[test]
fn small_single_layers_by_hand() {
    let weight = [1.0, 2.0, 0.0, 0.0, 3.0, 0.0];
    let bias = [0.5, 1.0, -9.0];
    for is_dense in [false, true] {
        for instructions in available() {
            let layer = SingleLinear::with_instructions(2, 3, &weight, is_dense, instructions);
            let mut output = [f32::NAN; 3];
            let epilogue = Epilogue {
                bias: Some(&bias),
                residual: None,
                bounds: Bounds::RELU,
            };
            layer
                .unwrap()
                .forward(&[10.0, 1.0], epilogue, &mut output)
                .unwrap();
            assert_eq!(output, [12.5, 1.0, 21.0]);
        }
    }
}
