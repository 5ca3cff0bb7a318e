//! What a perturbation does with vectors costs a device as many operations for a hundred parameters as for ten. They are counted without a
//! device: burn's graph capture records them. (It records no backward pass and nothing with autodiff, so not the writing of `θ + ε` into a
//! twin: one sum, and a slice and a reshape per parameter.)
#![cfg(all(feature = "compile", feature = "models"))]

use burn::tensor::{Device, Tensor};
use zosam::RigL;
use zosam::models::{ResNet, ResNetConfig};
use zosam::objective::{Objective, seeded};
use zosam::perturb::*;
use zosam::sparse::Sparsity;
use zosam::tree::{self, Leaf, ParamVector};

/// A ResNet with masks of 90 %, on the host.
struct Masked {
    net: ResNet,
    leaves: Vec<Leaf>,
    sparsity: Sparsity,
}

impl Masked {
    fn new(config: &ResNetConfig) -> Self {
        let host = Device::flex().autodiff();
        let net = seeded(&host, 0, || {
            let net = config.init(&host).unwrap();
            tree::values(&net);
            net
        });
        let mut sparsity = Sparsity::new(RigL::new(0.9).until(0));
        let net = sparsity.attach(net, |_: &ResNet| -> Tensor<1> { unreachable!() });
        let net = net.unwrap();
        let leaves = tree::leaves(&net);
        Self {
            net,
            leaves,
            sparsity,
        }
    }

    /// The operations of an ascent without a pass and of the descent after it, in the step after a first one: the number of slices, of
    /// joins, and of all others.
    fn operations(&self, perturbation: &impl Perturbation) -> [usize; 3] {
        let device = Device::capture();
        let captured = device.capture_scope(|scope| {
            let vector = || {
                let mut vector = ParamVector::default();
                for leaf in &self.leaves {
                    vector.push(leaf.id, Tensor::ones([leaf.len()], &device));
                }
                vector
            };
            let weights = vector();
            let site = Site {
                leaves: &self.leaves,
                weights: &weights,
                masks: self.sparsity.masks(),
                seed: 0,
                step: 1,
                lr: None,
                strength: 1.0,
            };
            let found = |offset| Gradients {
                perturbed: vector(),
                here: None,
                offset,
                ascended: true,
            };
            let mut memory = Memory::default();
            perturbation.descend(found(None), site, &mut memory);
            let loss = |_: &ResNet| -> Tensor<1> { unreachable!("no pass is made") };
            let mut objective = Objective::new(&self.net, loss, 0);
            let ascent = perturbation.ascend(&mut objective, site, &memory);
            let offset = ascent.offset.expect("it is perturbed");
            perturbation.descend(found(Some(offset)), site, &mut memory);
            scope.complete([], [])
        });
        let operations = captured.unwrap().graph.operations;
        let mut counts = [0; 3];
        for operation in operations {
            let name = format!("{operation:?}");
            match name {
                _ if name.starts_with("Init") || name.starts_with("Drop") => {}
                _ if name.contains("Slice(") => counts[0] += 1,
                _ if name.contains("Cat(") => counts[1] += 1,
                _ => counts[2] += 1,
            }
        }
        // What the vectors are made by, which is no arithmetic.
        counts[2] -= 3 * self.leaves.len();
        counts
    }
}

#[test]
fn vectors_cost_a_few_operations_whatever_the_number_of_parameters() {
    let resnet =
        |depth: usize| Masked::new(&ResNetConfig::resnet32(10).with_depth(depth).with_width(4));
    let (small, large) = (resnet(8), resnet(32));
    assert!(large.leaves.len() > 3 * small.leaves.len());
    let s2 = S2SamConfig::new();
    let ahead = MomentumSamConfig::new();
    let counts = [&small, &large].map(|net| (net.operations(&s2), net.operations(&ahead)));
    println!("{counts:?}");
    let [few, many] = counts;
    for ([_, _, others], [slices, joins, more]) in [(few.0, many.0), (few.1, many.1)] {
        assert_eq!(others, more);
        // Each component of ε is cut out once, and gradients are joined by 32 at a time.
        assert!(
            slices <= large.leaves.len() && joins <= 12,
            "{slices} {joins}"
        );
    }
}
