//! Other tensors under a masked weight's id: a dense copy of the model in the step's loss, weights that
//! were loaded since, weights that are computed. Masks say nothing about them.

use std::cell::RefCell;

use burn::module::{Module, Param};
use burn::nn::conv::Conv2dConfig;
use burn::nn::{Linear as BurnLinear, LinearConfig};
use burn::optim::SgdConfig;
use burn::tensor::{Distribution, Tensor};
use zosam::masks::Execution;
use zosam::nn::{Conv2d, Linear};
use zosam::objective::seeded;
use zosam::perturb::Identity;
use zosam::{Plain, RandomStatic, RigL, Sparsity, tree};

use super::{device, drawn, numbers, random};

const WAYS: [Execution; 3] = [Execution::Auto, Execution::Sparse, Execution::Dense];

#[derive(Module, Debug)]
struct Net {
    conv: Conv2d,
    hidden: Linear,
    theirs: BurnLinear,
}

impl Net {
    fn new() -> Self {
        drawn(Self {
            conv: Conv2d::new(&Conv2dConfig::new([8, 16], [3, 3]), &device()),
            hidden: Linear::new(&LinearConfig::new(16 * 36, 20), &device()),
            theirs: LinearConfig::new(20, 5).init(&device()),
        })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let hidden = self.hidden.forward(self.conv.forward(x).flatten::<2>(1, 3));
        self.theirs.forward(hidden)
    }
}

fn plain() -> Plain {
    Plain::new(Identity, SgdConfig::new().init()).unwrap()
}

fn mean_square(difference: Tensor<2>) -> Tensor<1> {
    difference.powi_scalar(2).mean()
}

/// A teacher gives the same bits inside a step as outside, on this thread and on another.
#[test]
fn a_dense_copy_stays_dense_in_a_step() {
    for how in WAYS {
        let student = Net::new();
        let teacher = student.clone();
        let x = random([4, 8, 8, 8]);
        let truth = numbers(teacher.forward(x.clone()));
        let mut sparsity = Sparsity::new(RandomStatic::new(0.9)).with_execution(how);
        let student = sparsity.attach(student, |_: &Net| Tensor::<1>::zeros([1], &device()));
        let student = student.unwrap();
        let expected = mean_square(student.forward(x.clone()) - teacher.forward(x.clone()));
        let seen = RefCell::new(Vec::new());
        let loss = |student: &Net| {
            let target = teacher.forward(x.clone());
            let beside = std::thread::scope(|scope| {
                let target = scope.spawn(|| teacher.forward(x.clone()));
                target.join().unwrap()
            });
            seen.borrow_mut().push(numbers(target.clone()));
            seen.borrow_mut().push(numbers(beside));
            mean_square(student.forward(x.clone()) - target.detach())
        };
        let (_, report) = plain()
            .step_with(0.1, student, &mut sparsity, loss)
            .unwrap();
        assert!(
            seen.borrow().iter().all(|target| *target == truth),
            "{how:?}"
        );
        let expected = f64::from(expected.into_scalar::<f32>());
        assert!(expected > 0.01, "{expected}");
        // Sums of products in the order of the kernels.
        assert!(
            (report.loss_value() / expected - 1.0).abs() < 1e-4,
            "{how:?}"
        );
    }
}

/// A model whose weights were replaced by dense ones is evaluated as it is, and sparse after the step.
#[test]
fn dense_weights_that_were_loaded_since_are_computed_densely() {
    for how in WAYS {
        let dense = Net::new();
        let x = random([4, 8, 8, 8]);
        let loss = |net: &Net| mean_square(net.forward(x.clone()));
        let expected = f64::from(loss(&dense).into_scalar::<f32>());
        let mut sparsity = Sparsity::new(RandomStatic::new(0.9)).with_execution(how);
        sparsity.attach(dense.clone(), loss).unwrap();
        let (net, report) = plain().step_with(0.1, dense, &mut sparsity, loss).unwrap();
        assert_eq!(report.loss_value(), expected, "{how:?}");
        let values = tree::values(&net);
        let live = sparsity.masks().project(values.clone());
        assert_eq!(live.add_scaled(&values, -1.0).norm(), 0.0);
    }
}

/// A layer that is computed from a masked weight gives one result, whatever the arithmetic.
#[test]
fn computed_weights_are_taken_as_they_are() {
    let results = WAYS.map(|how| {
        let linear = drawn(Linear::new(&LinearConfig::new(40, 30), &device()));
        let linear = tree::replace(linear, |_, value| Some(value.ones_like() * 0.1));
        let x = Tensor::<2>::ones([4, 40], &device());
        let mut sparsity = Sparsity::new(RandomStatic::new(0.9)).with_execution(how);
        let plus_one = |linear: &Linear| {
            let weight = linear.weight.val() + 1.0;
            let computed = Linear {
                weight: Param::initialized(linear.weight.id, weight),
                bias: linear.bias.clone(),
            };
            mean_square(computed.forward(x.clone()))
        };
        let linear = sparsity.attach(linear, plus_one).unwrap();
        let (_, report) = plain()
            .step_with(0.1, linear, &mut sparsity, plus_one)
            .unwrap();
        report.loss_value()
    });
    assert!(results[0] > 1000.0, "the ones count: {results:?}");
    assert_eq!(results[0], results[2]);
    assert_eq!(results[1], results[2]);
}

/// Masks that are brought into scope within a step's loss do not take the gradients of dead weights
/// away from a method that ranks them.
#[test]
fn a_nested_scope_keeps_dense_gradients() {
    let start = Net::new();
    let exchanged = [false, true].map(|nested| {
        let net = tree::twin(&start);
        let x = seeded(&device(), 5, || {
            Tensor::<4>::random([4, 8, 8, 8], Distribution::Default, &device())
        });
        let rigl = RigL::new(0.9).until(100).every(1);
        let mut sparsity = Sparsity::new(rigl).with_execution(Execution::Sparse);
        let net = sparsity.attach(net, |net: &Net| mean_square(net.forward(x.clone())));
        let mut net = net.unwrap();
        let (mut optim, mut grown) = (plain(), 0);
        for _ in 0..3 {
            let masks = sparsity.masks().clone();
            let loss = |net: &Net| match nested {
                true => masks.run(Execution::Sparse, || mean_square(net.forward(x.clone()))),
                false => mean_square(net.forward(x.clone())),
            };
            let (next, report) = optim.step_with(1e-3, net, &mut sparsity, loss).unwrap();
            net = next;
            grown += report.mask_update.map_or(0, |update| update.grown);
        }
        grown
    });
    assert!(exchanged[0] > 0);
    assert_eq!(exchanged[0], exchanged[1]);
}
