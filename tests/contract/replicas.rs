//! Data-parallel replicas: other batches, the same masks.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use burn::tensor::Tensor;
use zosam::{Sparsity, ZoSamConfig, tree};

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

#[test]
fn replicas_keep_the_same_masks_and_weights() {
    for (name, method) in methods() {
        let net = Net::new(&device());
        let [first, second] = pair();
        let replica = |number: u64, sparsity: Sparsity, net: Net| {
            let mut sparsity = sparsity.with_seed(3);
            let batch = Batch::new(100 * number);
            let mut net = sparsity.attach_on(net, &batch.evidence()).unwrap();
            let mut optim = ZoSamConfig::new().init(sgd()).unwrap();
            let mut states = vec![sparsity.masks().fingerprint()];
            for step in 0..8 {
                let batch = Batch::new(100 * number + step);
                let result = optim.step_with(0.05, net, &mut sparsity, |net: &Net| batch.loss(net));
                (net, _) = result.unwrap();
                let values = tree::values(&net);
                let bits = values.iter().flat_map(|(_, value)| {
                    let data = value.to_data();
                    data.iter::<f32>().map(f32::to_bits).collect::<Vec<_>>()
                });
                states.push(format!(
                    "{} {:?}",
                    sparsity.masks().fingerprint(),
                    bits.collect::<Vec<_>>()
                ));
            }
            states
        };
        let of = |mean| Sparsity::from_boxed(method.clone().boxed()).with_all_reduce(mean);
        let twin = tree::twin(&net);
        let states = std::thread::scope(|scope| {
            let (one, other) = (of(first), Sparsity::from_boxed(method.clone().boxed()));
            let other = other.with_all_reduce(second);
            let other = scope.spawn(|| replica(2, other, twin));
            (replica(1, one, net), other.join().unwrap())
        });
        assert!(states.0 == states.1, "{name}");
        let distinct: std::collections::HashSet<_> = states.0.iter().collect();
        assert!(distinct.len() > 8, "{name}: every step moves weights");
    }
}
