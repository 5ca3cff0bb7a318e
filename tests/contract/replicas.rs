//! Data-parallel replicas: other batches, the same masks.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use burn::tensor::Tensor;
use zosam::optim::{ForwardOnly, ForwardRule};
use zosam::perturb::{Delta, SharpnessConfig, ZoSamConfig};
use zosam::sparse::Method;
use zosam::{RandomStatic, RigL, Sparsity, tree};

use super::setup::*;

type Mean = Box<dyn Fn(&str, Tensor<1>) -> Tensor<1> + Send + Sync>;

/// Two replicas that swap gradients and halve the sum. They swap numbers, as two processes would: burn's fusion loses tensors of one thread that
/// another one uses.
fn pair() -> [impl Fn(&str, Tensor<1>) -> Tensor<1> + Send + Sync; 2] {
    type Ends = (Sender<Vec<f32>>, Receiver<Vec<f32>>);
    let mean = |ends: Ends| {
        let ends = Mutex::new(ends);
        move |_: &str, gradient: Tensor<1>| {
            let (to, from) = &*ends.lock().unwrap();
            to.send(gradient.to_data().try_to_vec().unwrap()).unwrap();
            let other = from.recv().unwrap();
            let other = Tensor::from_floats(other.as_slice(), &gradient.device());
            // A sum of two floats does not depend on their order.
            (gradient + other) / 2.0
        }
    };
    let (to_second, from_first) = channel();
    let (to_first, from_second) = channel();
    [(to_second, from_second), (to_first, from_first)].map(mean)
}

/// Masks and weights of a replica after each step.
fn replica(
    number: u64,
    (config, method): (&SharpnessConfig, &Method),
    mean: impl Fn(&str, Tensor<1>) -> Tensor<1> + Send + Sync + 'static,
    net: Net,
) -> Vec<String> {
    let sparsity = Sparsity::from_boxed(method.clone().boxed());
    let mut sparsity = sparsity.with_seed(3).with_all_reduce(mean);
    let batch = Batch::new(100 * number);
    let mut net = sparsity.attach_on(net, &batch.evidence()).unwrap();
    let optim = config.init(sgd()).unwrap();
    // Directions and dropout draws of its own.
    let mut optim = optim.with_seed(number);
    let mut states = vec![sparsity.masks().fingerprint()];
    for step in 0..8 {
        let batch = Batch::new(100 * number + step);
        let (next, _) = optim
            .step_on(0.05, net, &mut sparsity, batch.samples())
            .unwrap();
        net = next;
        let values = tree::values(&net);
        let bits = values.iter().flat_map(|(_, value)| {
            let data = value.to_data();
            data.iter::<f32>().map(f32::to_bits).collect::<Vec<_>>()
        });
        let bits: Vec<_> = bits.collect();
        states.push(format!("{} {bits:?}", sparsity.masks().fingerprint()));
    }
    states
}

/// Two replicas on two threads have the same masks and weights after each step.
fn replicas_agree(name: &str, config: &SharpnessConfig, method: &Method) {
    let net = Net::new(&device());
    let twin = tree::twin(&net);
    let [first, second] = pair();
    let states = std::thread::scope(|scope| {
        let other = scope.spawn(|| replica(2, (config, method), second, twin));
        let one = replica(1, (config, method), first, net);
        (one, other.join().unwrap())
    });
    assert!(states.0 == states.1, "{name}");
    let distinct: std::collections::HashSet<_> = states.0.iter().collect();
    assert!(distinct.len() > 8, "{name}: every step moves weights");
}

#[test]
fn replicas_keep_the_same_masks_and_weights() {
    let zo_sam = SharpnessConfig::ZoSam(ZoSamConfig::new());
    for (name, method) in methods() {
        replicas_agree(name, &zo_sam, &method);
    }
}

#[test]
fn replicas_agree_under_every_perturbation() {
    let rigl = Method::RigL(RigL::new(0.8).until(12).every(3));
    for (name, config, _) in perturbations(0.05) {
        replicas_agree(name, &config, &rigl);
    }
}

/// A replica whose estimate is not finite reduces as often as the others, and all of them go on with the mean
/// of what there is; a step that is chosen by its loss is chosen by the loss of all.
#[test]
fn replicas_without_a_backward_pass_agree() {
    for rule in [
        ForwardRule::Estimate,
        ForwardRule::Sign,
        ForwardRule::Conservative,
    ] {
        let net = Net::new(&device());
        let replica = |number: u64, mean: Mean, net: Net| {
            let estimator = ZoSamConfig::new().with_delta(Delta::Absolute(1e-3));
            let optim = ForwardOnly::new(estimator, rule, sgd()).unwrap();
            // One direction for both, so that their estimates differ by their data alone.
            let mut optim = optim.with(|optim| optim.with_seed(1));
            let sparsity = Sparsity::new(RandomStatic::new(0.5)).with_seed(3);
            let mut sparsity = sparsity.with_all_reduce(mean);
            let batch = Batch::new(100 * number);
            let mut net = sparsity.attach_on(net, &batch.evidence()).unwrap();
            let mut weights = Vec::new();
            for step in 0..6 {
                let batch = Batch::new(100 * number + step);
                let loss = |net: &Net| match (number, step) {
                    (2, 3) => batch.loss(net) / 0.0 * 0.0,
                    _ => batch.loss(net),
                };
                let (next, report) = optim.step_on(0.05, net, &mut sparsity, loss).unwrap();
                let nothing = (number, step) == (2, 3);
                assert_eq!(report.plain.is_some(), nothing, "{rule:?} at {step}");
                net = next;
                let values = tree::values(&net);
                let bits = values.iter().flat_map(|(_, value)| {
                    let data = value.to_data();
                    data.iter::<f32>().map(f32::to_bits).collect::<Vec<_>>()
                });
                weights.push(bits.collect::<Vec<_>>());
            }
            weights
        };
        let twin = tree::twin(&net);
        let [first, second] = pair().map(|mean| Box::new(mean) as Mean);
        let weights = std::thread::scope(|scope| {
            let other = scope.spawn(|| replica(2, second, twin));
            let one = replica(1, first, net);
            (one, other.join().unwrap())
        });
        assert!(weights.0 == weights.1, "{rule:?}");
    }
}
