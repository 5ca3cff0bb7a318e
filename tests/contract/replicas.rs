//! Data-parallel replicas: other batches, the same masks.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use burn::tensor::Tensor;
use zosam::perturb::{SharpnessConfig, ZoSamConfig};
use zosam::sparse::Method;
use zosam::{RigL, Sparsity, tree};

use super::setup::*;

/// Two replicas that swap gradients and halve the sum.
fn pair() -> [impl Fn(&str, Tensor<1>) -> Tensor<1> + Send + Sync; 2] {
    type Ends = (Sender<Tensor<1>>, Receiver<Tensor<1>>);
    let mean = |ends: Ends| {
        let ends = Mutex::new(ends);
        move |_: &str, gradient: Tensor<1>| {
            let (to, from) = &*ends.lock().unwrap();
            to.send(gradient.clone()).unwrap();
            // A sum of two floats does not depend on their order.
            (gradient + from.recv().unwrap()) / 2.0
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
    let rigl = Method::RigL(RigL::new(0.8, 12).with_update_every(3));
    for (name, config, _) in perturbations(0.05) {
        replicas_agree(name, &config, &rigl);
    }
}
