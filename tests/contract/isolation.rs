//! Laws 2, 4, 5, 10 and 11: what a perturbation touches.

use std::cell::Cell;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use zosam::objective::seeded;
use zosam::perturb::{PlainReason, SharpnessConfig};
use zosam::{SamConfig, ZoSamConfig, tree};

use super::setup::*;

/// Law 2: `‖ε‖ = ρ`, and ε is exactly zero on dead weights and absent from running statistics.
#[test]
fn epsilon_has_length_rho_in_the_live_subspace() {
    let rho = 0.07;
    for (method_name, method) in methods() {
        for (name, config, _) in perturbations(rho) {
            if config == SharpnessConfig::None
                || (method_name, name) == ("dense", "zo m=2 sphere sparse")
            {
                continue;
            }
            let (mut net, mut sparsity) = attach(&method, Net::new(&device()));
            let mut optim = config.init(sgd()).unwrap();
            let trainable = tree::leaves(&net);
            let what = format!("{name} with {method_name}");
            // A device sums n squares in f32, in an order of its own: their norm is off by at most n/2 roundings of 2⁻²⁴. The host sums in f64.
            let roundings: usize = match plain_device() == Device::flex() {
                true => 0,
                false => trainable.iter().map(tree::Leaf::len).sum(),
            };
            let tolerance = 1e-6 + roundings as f64 * 2f64.powi(-25);
            let mut seen = 0;
            // Some know a direction from the second step on, some only look for one at the first.
            for number in 0..2 {
                let batch = Batch::new(number);
                let masks = sparsity.masks().clone();
                let result = optim.step_with(0.05, net, &mut sparsity, |net: &Net| batch.loss(net));
                let report;
                (net, report) = result.unwrap();
                let radius = report.radius();
                let Some(offset) = report.offset else {
                    continue;
                };
                seen += 1;
                // These two measure length by the weights and by the Fisher information.
                if !["asam", "fisher sam"].contains(&name) {
                    assert!((radius - rho).abs() < tolerance * rho, "{what}: {radius}");
                }
                for (id, component) in offset.vector().iter() {
                    assert!(trainable.iter().any(|leaf| leaf.id == id), "{what}");
                    let Some(live) = masks.live_set(id) else {
                        assert_ne!(name, "zo m=2 sphere sparse", "only sparse weights: {what}");
                        continue;
                    };
                    let values: Vec<f32> = component.to_data().try_to_vec().unwrap();
                    let dead = values.iter().zip(&live).filter(|(_, live)| !**live);
                    assert!(dead.into_iter().all(|(value, _)| *value == 0.0), "{what}");
                }
            }
            assert!(seen > 0, "{what}");
        }
    }
}

/// Ids, trainability and checkpointing strategy of every float tensor.
#[derive(Default, PartialEq, Debug)]
struct Settings(Vec<String>);

impl ModuleVisitor for Settings {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.base();
        self.0.push(format!(
            "{} {} {:?}",
            param.id,
            tensor.is_require_grad(),
            tensor
                .gradient_checkpointing_strategy()
                .map(|s| format!("{s:?}")),
        ));
    }
}

fn settings(net: &Net) -> Settings {
    let mut settings = Settings::default();
    net.visit(&mut settings);
    settings
}

fn checkpointing() -> Device {
    plain_device().autodiff().gradient_checkpointing()
}

/// Law 4: a step changes values only, and works on a device that recomputes activations.
#[test]
fn settings_survive_a_step() {
    for device in [device(), checkpointing()] {
        for (name, config, _) in perturbations(0.05) {
            let (net, mut sparsity) = attach(&methods()[1].1, Net::new(&device));
            let group = burn::module::ParamGroup::from_path("norm.beta");
            let net = net.freeze_group(group);
            let before = settings(&net);
            let mut optim = config.init(sgd()).unwrap();
            let images = Tensor::<4>::ones([4, 1, 6, 6], &device);
            let loss = |net: &Net| net.forward(images.clone()).powi_scalar(2).mean();
            let (net, _) = optim.step_with(0.05, net, &mut sparsity, loss).unwrap();
            assert_eq!(before, settings(&net), "{name}");
            optim.step_with(0.05, net, &mut sparsity, loss).unwrap();
        }
    }
}

/// Law 4: probes leave weights and running statistics of the model, and of its clones, alone.
#[test]
fn probing_leaves_no_trace() {
    for (name, config, _) in perturbations(0.05) {
        if name == "wsam" {
            // A drift bypasses the gradient that is asked for here.
            continue;
        }
        let (net, sparsity) = attach(&methods()[3].1, Net::new(&device()));
        let before = bits(&net);
        let batch = Batch::new(1);
        let calls = Cell::new(0);
        let mut optim = config.init(sgd()).unwrap();
        optim
            .gradient(net.clone(), &sparsity, |probe: &Net| {
                calls.set(calls.get() + 1);
                let loss = batch.loss(probe);
                assert!(bits(&net) == before, "{name}, evaluation {}", calls.get());
                loss
            })
            .unwrap();
        assert!(calls.get() > 0);
    }
}

/// Law 5: running statistics advance once per step, by the batch statistics of one pass.
#[test]
fn running_statistics_advance_once() {
    let expected = {
        let net = Net::new(&device());
        let batch = Batch::new(1);
        // Dropout draws; out of turn it would take numbers from other tests.
        seeded(&device(), 1, || batch.loss(&net));
        statistics(&net)
    };
    let start = statistics(&Net::new(&device()));
    for (name, config, _) in perturbations(1e-3) {
        let (net, mut sparsity) = attach(&methods()[0].1, Net::new(&device()));
        let batch = Batch::new(1);
        let mut optim = config.init(sgd()).unwrap();
        let (net, _) = optim
            .step_with(0.05, net, &mut sparsity, |net: &Net| batch.loss(net))
            .unwrap();
        for ((advanced, once), start) in statistics(&net).iter().zip(&expected).zip(&start) {
            // A second update would overshoot by 90 % of the first; ρ = 1e-3 moves it by far less.
            let step = once - start;
            assert!((advanced - once).abs() < 0.05 * step.abs() + 1e-4, "{name}");
        }
    }
}

fn statistics(net: &Net) -> Vec<f32> {
    let tensors = tree::named_tensors(net).into_iter();
    let running = tensors.filter(|(path, _)| path.contains("running"));
    running
        .flat_map(|(_, data)| data.iter::<f32>().collect::<Vec<_>>())
        .collect()
}

/// Law 10: without a usable estimate the step is the base optimizer's, and says why.
#[test]
fn unusable_estimates_give_a_plain_step() {
    // `poisoned` are the evaluations of the step whose loss is multiplied by `poison`.
    let run = |config: &SharpnessConfig, poisoned: std::ops::RangeInclusive<usize>, poison: f32| {
        let (net, mut sparsity) = attach(&methods()[1].1, Net::new(&device()));
        let batch = Batch::new(1);
        let calls = Cell::new(0);
        let mut optim = config.init(sgd()).unwrap();
        let (net, report) = optim
            .step_with(0.05, net, &mut sparsity, |net: &Net| {
                calls.set(calls.get() + 1);
                let loss = batch.loss(net);
                if poisoned.contains(&calls.get()) {
                    loss * poison
                } else {
                    loss
                }
            })
            .unwrap();
        (bits(&net), report.plain)
    };
    let plain = run(&SharpnessConfig::None, 0..=0, 1.0).0;
    let zo_sam = SharpnessConfig::ZoSam(ZoSamConfig::new());
    let many = SharpnessConfig::ZoSam(ZoSamConfig::new().with_directions(2));
    let sam = SharpnessConfig::Sam(SamConfig::new());
    for poison in [f32::NAN, f32::INFINITY] {
        // The last two: a good estimate, but no finite loss where it leads.
        for (config, poisoned) in [
            (&zo_sam, 1..=1),
            (&zo_sam, 1..=2),
            (&many, 1..=4),
            (&many, 5..=5),
            (&sam, 2..=2),
        ] {
            let (weights, reason) = run(config, poisoned, poison);
            assert_eq!(reason, Some(PlainReason::NonFinite), "{config:?}");
            assert!(weights == plain, "{config:?}");
        }
    }
    // Both probes at zero: nothing tells up from down.
    for (config, poisoned) in [(&zo_sam, 1..=2), (&many, 1..=4), (&sam, 1..=1)] {
        let (weights, reason) = run(config, poisoned, 0.0);
        assert_eq!(reason, Some(PlainReason::ZeroEstimate), "{config:?}");
        assert!(weights == plain, "{config:?}");
    }
}

/// Law 11: the probes of a step share their dropout draws, and different steps do not.
#[test]
fn probes_share_dropout() {
    let batch = Batch::new(1);
    let losses = Cell::new(Vec::new());
    let (net, mut sparsity) = attach(&methods()[0].1, Net::new(&device()));
    let config = ZoSamConfig::new().with_rho(1e-6).with_directions(2);
    let mut optim = config.init(sgd()).unwrap();
    let record = |net: &Net| {
        let loss = batch.loss(net);
        let mut all = losses.take();
        all.push(loss.clone().into_scalar::<f32>());
        losses.set(all);
        loss
    };
    let (net, _) = optim.step_with(0.0, net, &mut sparsity, record).unwrap();
    let first = losses.take();
    optim.step_with(0.0, net, &mut sparsity, record).unwrap();
    let second = losses.take();
    assert_eq!(first.len(), 5);
    // Other draws change this loss by several percent; ρ = 1e-6 does not.
    assert!(
        first.iter().all(|loss| (loss - first[0]).abs() < 1e-4),
        "{first:?}"
    );
    assert!((first[0] - second[0]).abs() > 1e-3, "{first:?} {second:?}");
}
