//! What steps leave behind in memory: this binary counts what is allocated, so its tests are one.
#![cfg(feature = "flex")]

use burn::nn::{Linear, LinearConfig};
use burn::optim::SgdConfig;
use burn::tensor::{Device, Tensor};
use peak_alloc::PeakAlloc;
use zosam::optim::{ForwardOnly, ForwardRule};
use zosam::perturb::Delta;
use zosam::{Sparsity, ZoSamConfig};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// burn frees what a forward pass leaves behind when it next runs a backward pass, and here there is none.
#[test]
fn forward_only_steps_leave_nothing_behind() {
    let device = Device::flex().autodiff();
    let mut model = LinearConfig::new(256, 256).init(&device);
    let batch = Tensor::<2>::ones([8, 256], &device);
    let loss = |model: &Linear| model.forward(batch.clone()).powi_scalar(2).mean();
    for rule in [
        ForwardRule::Estimate,
        ForwardRule::Sign,
        ForwardRule::Conservative,
    ] {
        let estimator = ZoSamConfig::new().with_delta(Delta::Absolute(1e-3));
        let sgd = SgdConfig::new().build();
        let mut optim = ForwardOnly::new(estimator, rule, sgd).unwrap();
        let mut sparsity = Sparsity::dense();
        let mut after = |steps| {
            for _ in 0..steps {
                let step = optim.step_on(1e-4, model.clone(), &mut sparsity, loss);
                model = step.unwrap().0;
            }
            MEMORY.current_usage()
        };
        let few = after(5);
        let many = after(40);
        // A pass has two activations of 8 kB, a step two passes or more: one activation in 40 steps is nothing of theirs.
        assert!(many < few + 8_192, "{rule:?}: {few} bytes, then {many}");
    }
}
