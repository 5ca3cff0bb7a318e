//! N:M, blocks and channels: whole units, exact counts, for every method whose definition allows them.

use burn::module::ParamId;
use proptest::prelude::*;
use zosam::sparse::{
    Budget, Distribution, Granularity, LotteryTicket, MagnitudeStatic, Weight, drop_and_grow,
};
use zosam::sparse::{GradientMagnitude, Magnitude};
use zosam::tree::Leaf;
use zosam::{
    Dsr, GradualMagnitude, Grasp, Mest, RandomStatic, RigL, Set, Snfs, Snip, SparsityMethod, Svite,
    SynFlow,
};

const TWO_OF_FOUR: Granularity = Granularity::NOfM { live: 2, of: 4 };
const BLOCKS: Granularity = Granularity::Block {
    outputs: 2,
    inputs: 4,
};

fn weights(numbers: &[f32], granularity: Granularity) -> Vec<Weight> {
    // A convolution [outputs, inputs, 3, 3] and a linear layer [inputs, outputs].
    let shapes = [vec![8, 4, 3, 3], vec![16, 12]];
    let mut numbers = numbers.iter().copied().cycle();
    shapes
        .into_iter()
        .enumerate()
        .map(|(i, shape)| {
            let len: usize = shape.iter().product();
            let mut draw = || numbers.by_ref().take(len).collect::<Vec<f32>>();
            Weight {
                path: format!("{i}.weight"),
                shape,
                values: draw(),
                gradient: draw(),
                live: vec![true; len],
                granularity,
                density: match granularity {
                    Granularity::NOfM { live, of } => Some(live as f64 / of as f64),
                    _ => None,
                },
                ..Weight::default()
            }
        })
        .collect()
}

/// The units of a layer by the definition, written anew: positions that share an output and `of` input channels.
fn units(weight: &Weight) -> Vec<Vec<usize>> {
    let (outputs, inputs, kernel) = match weight.shape[..] {
        [inputs, outputs] => (outputs, inputs, 1),
        [outputs, inputs, height, width] => (outputs, inputs, height * width),
        _ => unreachable!(),
    };
    let position = |output: usize, input: usize, offset: usize| match weight.shape.len() {
        2 => input * outputs + output,
        _ => (output * inputs + input) * kernel + offset,
    };
    let mut units = Vec::new();
    match weight.granularity {
        Granularity::NOfM { of, .. } => {
            for output in 0..outputs {
                for offset in 0..kernel {
                    for first in (0..inputs).step_by(of) {
                        let group = first..first + of;
                        units.push(group.map(|input| position(output, input, offset)).collect());
                    }
                }
            }
        }
        Granularity::Block {
            outputs: rows,
            inputs: columns,
        } => {
            for row in (0..outputs).step_by(rows) {
                for column in (0..inputs * kernel).step_by(columns) {
                    let cells = (row..row + rows)
                        .flat_map(|r| (column..column + columns).map(move |c| (r, c)));
                    let cells = cells.map(|(r, c)| position(r, c / kernel, c % kernel));
                    units.push(cells.collect());
                }
            }
        }
        Granularity::OutputChannel => {
            for output in 0..outputs {
                let cells = (0..inputs).flat_map(|i| (0..kernel).map(move |k| (i, k)));
                units.push(cells.map(|(i, k)| position(output, i, k)).collect());
            }
        }
        Granularity::Unstructured => {}
    }
    units
}

fn check(weight: &Weight, live: &[bool], name: &str) {
    for unit in units(weight) {
        let count = unit.iter().filter(|position| live[**position]).count();
        match weight.granularity {
            Granularity::NOfM { live, .. } => assert_eq!(count, live, "{name}"),
            _ => assert!(count == 0 || count == unit.len(), "{name}: {count}"),
        }
    }
}

fn methods(sparsity: f64) -> Vec<Box<dyn SparsityMethod>> {
    let per_layer = Budget::PerLayer(Distribution::Uniform);
    vec![
        Box::new(RandomStatic::new(sparsity)),
        Box::new(Snip::new(sparsity)),
        Box::new(Snip::new(sparsity).with_budget(per_layer)),
        Box::new(Grasp::new(sparsity)),
        Box::new(MagnitudeStatic::new(sparsity)),
        Box::new(Set::new(sparsity).every(1).until(40)),
        Box::new(RigL::new(sparsity).until(40).every(1)),
        Box::new(Mest::em(sparsity).over(40).every(1)),
        Box::new(Svite::new(sparsity).every(1).until(40)),
        Box::new(Snfs::new(sparsity).every(1).until(40)),
        Box::new(Dsr::new(sparsity).every(1).until(40).with_threshold(0.3)),
        Box::new(Mest::em_s(sparsity).over(40).every(1)),
        Box::new(GradualMagnitude::new(sparsity).between(0..=30).every(1)),
        Box::new(LotteryTicket::new(sparsity).with_level_steps(1)),
        Box::new(SynFlow::new(sparsity).with_rounds(3)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whole units at the start and after each of three changes; N:M counts exactly, others within half a unit a layer
    /// and change.
    #[test]
    fn every_method_keeps_to_units(
        numbers in prop::collection::vec(-2.0_f32..2.0, 101),
        granularity in prop::sample::select(vec![TWO_OF_FOUR, BLOCKS, Granularity::OutputChannel]),
    ) {
        for mut method in methods(0.5) {
            let fixed = granularity == TWO_OF_FOUR;
            if fixed && !method.plan().layer_densities {
                continue;
            }
            let mut weights = weights(&numbers, granularity);
            let mut live = method.initial(&weights, 1).unwrap();
            for round in 1..method.plan().rounds {
                for (weight, live) in weights.iter_mut().zip(live) {
                    weight.live = live;
                }
                live = method.refine(round, &weights, 1).unwrap();
            }
            for step in 1..4 {
                for (weight, live) in weights.iter_mut().zip(live) {
                    check(weight, &live, method.plan().name);
                    for (value, live) in weight.values.iter_mut().zip(&live) {
                        *value = if *live { *value } else { 0.0 };
                    }
                    weight.live = live;
                }
                live = method.update(step, &weights, 1).unwrap();
            }
            for (weight, live) in weights.iter().zip(&live) {
                check(weight, live, method.plan().name);
            }
            let constant = method.sparsity_after(0) == method.sparsity_after(100);
            let total: usize = live.iter().flatten().filter(|live| **live).count();
            // Units of 36 and 16 weights; a budget over both layers and one that moves between them is off by one each.
            let slack = if fixed { 0 } else { 36 + 16 };
            if constant {
                prop_assert!(total.abs_diff(240) <= slack, "{}: {total}", method.plan().name);
            }
        }
    }
}

/// One group of four by hand, in a linear layer of four inputs and two outputs: the first output's inputs are the
/// positions 0, 2, 4, 6. Of each output the smaller of the two live weights leaves; the best gradient of its own
/// group comes.
#[test]
fn two_of_four_by_hand() {
    let values = vec![0.9, 0.4, 0.1, 0.0, 0.0, 0.2, 0.0, 0.0];
    let weight = Weight {
        path: "w".into(),
        shape: vec![4, 2],
        live: values.iter().map(|value: &f32| *value != 0.0).collect(),
        values,
        gradient: vec![0.0, 0.0, 0.1, 0.3, 0.7, 0.2, 0.5, 0.9],
        granularity: TWO_OF_FOUR,
        density: Some(0.5),
        ..Weight::default()
    };
    let live = drop_and_grow(&weight, &Magnitude, &GradientMagnitude, 0.5).unwrap();
    let positions: Vec<usize> = (0..8).filter(|i| live[*i]).collect();
    assert_eq!(positions, [0, 1, 4, 7]);
}

#[test]
fn granularities_are_written_as_they_are_read() {
    for text in ["unstructured", "2:4", "4x8", "channel"] {
        let granularity: Granularity = text.parse().unwrap();
        assert_eq!(granularity.to_string(), text);
    }
    for text in ["", "2:", "x4", "2:4:8", "filter"] {
        assert!(text.parse::<Granularity>().is_err(), "{text}");
    }
    let refused = |text: &str, shape: &[usize]| {
        let granularity: Granularity = text.parse().unwrap();
        let conv = Leaf {
            id: ParamId::new(),
            path: "conv1.weight".to_string(),
            tied: Vec::new(),
            layer: "Conv2d".to_string(),
            shape: shape.to_vec(),
        };
        granularity.validate(&conv).unwrap_err().to_string()
    };
    let message = refused("2:4", &[16, 3, 3, 3]);
    assert!(
        message.starts_with("granularity = 2:4 for `conv1.weight`"),
        "{message}"
    );
    refused("5:4", &[16, 4, 3, 3]);
    refused("0:4", &[16, 4, 3, 3]);
    refused("2:0", &[16, 4, 3, 3]);
    refused("3x4", &[16, 4, 3, 3]);
    refused("0x4", &[16, 4, 3, 3]);
}
