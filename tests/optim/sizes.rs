//! Batches of unequal sizes, and empty ones.

use zosam::SamConfig;
use zosam::objective::{BatchLoss, Counted, Samples};

use super::*;

fn counted(batch: Tensor<2>) -> impl BatchLoss<Net, Extra = ()> {
    let loss = linear_loss(batch.clone());
    Counted::new(batch.dims()[0], move |net: &Net| loss(net))
}

fn samples(batch: Tensor<2>) -> impl BatchLoss<Net, Extra = ()> {
    Samples::new(batch, |net: &Net, batch: &Tensor<2>| {
        let each = net.linear.forward(batch.clone()).powi_scalar(2);
        each.mean_dim(1).flatten::<1>(0, 1)
    })
}

fn step<F: BatchLoss<Net, Extra = ()>>(start: &Net, losses: Vec<F>) -> (Net, f64) {
    let step = plain().step_accumulated(0.5, tree::twin(start), &mut Sparsity::dense(), losses);
    let (model, report) = step.unwrap();
    (model, report.loss_value())
}

/// 97 rows as 32 + 32 + 32 + 1 are one step on all of them: weights and the reported loss.
#[test]
fn batches_weigh_as_many_as_their_samples() {
    let start = net();
    let whole = batch(97);
    let parts = || whole.clone().split(32, 0);
    assert_eq!(parts().last().unwrap().dims(), [1, 6]);
    let (expected, loss) = step(&start, vec![linear_loss(whole.clone())]);
    let moved = distance(&expected, &start);
    let by_closures = step(&start, parts().into_iter().map(linear_loss).collect());
    let by_size = step(&start, parts().into_iter().map(counted).collect());
    let by_sample = step(&start, parts().into_iter().map(samples).collect());
    for (model, mean) in [by_size, by_sample] {
        // Sums of 97 products in another order.
        assert!(distance(&model, &expected) < 1e-5 * moved);
        assert!((mean / loss - 1.0).abs() < 1e-5);
    }
    // Closures do not tell their size, so that the single row weighs as much as 32.
    assert!(distance(&by_closures.0, &expected) > 1e-2 * moved);
}

/// An empty batch counts for nothing, and alone it is an error, under a perturbation, too.
#[test]
fn empty_batches_are_left_out() {
    let start = net();
    let (some, none) = (batch(8), Tensor::<2>::zeros([0, 6], &Default::default()));
    assert_eq!(none.dims(), [0, 6]);
    let (expected, loss) = step(&start, vec![counted(some.clone())]);
    for batches in [[&some, &none], [&none, &some]] {
        let losses = batches.map(|batch| counted(batch.clone())).into();
        let (model, mean) = step(&start, losses);
        assert_eq!(fingerprint(&model), fingerprint(&expected));
        assert_eq!(mean, loss);
    }
    let mut optim = SamConfig::new().init(SgdConfig::new().init()).unwrap();
    let failed = optim.step_on(0.1, start, &mut Sparsity::dense(), samples(none));
    assert!(failed.unwrap_err().to_string().contains("empty"));
}
