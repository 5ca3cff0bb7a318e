//! What walks through a module say about a tied weight.

use burn::module::{Module, ParamGroup};
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::store::ModuleRecord;
use burn::tensor::Tensor;
use zosam::objective::Objective;
use zosam::optim::WeightAverage;
use zosam::sparse::Sparsity;
use zosam::{RandomStatic, tree};

use super::modules::*;

#[test]
fn a_tied_weight_is_counted_once() {
    let pair = Pair::new();
    let leaves = tree::leaves(&pair);
    let paths: Vec<&str> = leaves.iter().map(|leaf| leaf.path.as_str()).collect();
    assert_eq!(paths, ["first.weight", "first.bias"]);
    assert_eq!(leaves[0].tied, ["second.weight"]);
    let single = tree::values(&Single::new());
    assert_eq!(tree::values(&pair).norm(), single.norm());
    assert_eq!(tree::named_tensors(&pair).len(), 2);

    let batch = Batch::new(0);
    let mut sparsity = Sparsity::new(RandomStatic::new(0.5));
    let pair = sparsity
        .attach(pair, |pair: &Pair| pair.loss(&batch))
        .unwrap();
    let report = sparsity.report(&pair);
    assert_eq!(sparsity.masks().prunable_weights(), WIDTH * WIDTH);
    let listed = report.to_string().matches("first.weight").count();
    assert_eq!(
        (listed, report.to_string().contains("second")),
        (1, false),
        "{report}"
    );
    assert_eq!(sparsity.masks().live_weights(), WIDTH * WIDTH / 2);
    assert!(bits(&pair.first.weight) == bits(&pair.second.weight));
}

/// A group may name any of the places.
#[test]
fn a_group_selects_by_any_path() {
    let batch = Batch::new(0);
    for path in ["embedding.weight", "output.weight"] {
        let group = ParamGroup::from_path(path);
        let mut sparsity = Sparsity::new(RandomStatic::new(0.5)).with_group(group);
        let loss = |model: &Language| model.loss(&batch);
        sparsity.attach(Language::new(), loss).unwrap();
        assert_eq!(sparsity.masks().prunable_weights(), WORDS * WIDTH);
    }
}

/// `L = Σ C ⊙ (X W W)`: `dL/dW = Xᵀ C Wᵀ + (X W)ᵀ C`, the sum over both uses.
#[test]
fn the_gradient_is_the_sum_over_uses() {
    let batch = Batch::new(0);
    let target = Batch::new(1).inputs;
    let loss = |pair: &Pair| {
        let hidden = batch.inputs.clone().matmul(pair.first.weight.val());
        (hidden.matmul(pair.second.weight.val()) * target.clone()).sum()
    };
    let plain = |tensor: &Tensor<2>| tensor.clone().inner();
    // Loading a record gives each place a tensor of its own.
    let record = || ModuleRecord::from_bytes(Pair::new().into_record().into_bytes().unwrap());
    let loaded = Pair::new().try_load_record(record().unwrap()).unwrap();
    for pair in [Pair::new(), loaded, tree::twin(&Pair::new())] {
        let (x, c) = (plain(&batch.inputs), plain(&target));
        let w = plain(&pair.first.weight.val());
        let first = x
            .clone()
            .transpose()
            .matmul(c.clone().matmul(w.clone().transpose()));
        let second = x.matmul(w).transpose().matmul(c);
        let expected = (first + second).reshape([WIDTH * WIDTH]);
        let found = Objective::new(&pair, loss, 0).gradient(None).vector;
        let found = found.get(pair.first.weight.id).unwrap().clone();
        let distance = (found - expected.clone()).powi_scalar(2).sum().sqrt();
        let share = distance / expected.powi_scalar(2).sum().sqrt();
        // Sums of six to eight products in f32, in another order.
        assert!(share.into_scalar::<f32>() < 1e-6);
    }
}

/// A step of burn's own moves the place that it meets first; `retied` brings the others along.
#[test]
fn retied_models_agree_after_a_step_of_burns() {
    let batch = Batch::new(0);
    let pair = Pair::new();
    let gradients = GradientsParams::from_grads(pair.loss(&batch).backward(), &pair);
    let mut sgd = ModuleOptimizer::from(SgdConfig::new().build());
    let stepped = sgd.step(0.1, pair, gradients);
    assert!(bits(&stepped.first.weight) != bits(&stepped.second.weight));
    let retied = tree::retied(stepped);
    assert!(bits(&retied.first.weight) == bits(&retied.second.weight));
    // One node of the graph again, so that burn's own gradients are sums over uses.
    let both = GradientsParams::from_grads(retied.loss(&batch).backward(), &retied);
    let single = Single {
        first: retied.first.clone(),
    };
    let once = GradientsParams::from_grads(single.loss(&batch).backward(), &single);
    let id = retied.first.weight.id;
    let data = |gradients: &GradientsParams| gradients.get::<2>(id).unwrap().into_data();
    assert_eq!(data(&both), data(&once));
}

/// Averages of tied weights stay tied.
#[test]
fn averages_stay_tied() {
    let mut average = WeightAverage::new(0.5, &Pair::new()).unwrap();
    let other = tree::replace(Pair::new(), |_, value| Some(value.mul_scalar(3.0)));
    // Another model's ids are others: the average is of one model, so give it its ids.
    let record =
        ModuleRecord::from_bytes(average.model().clone().into_record().into_bytes().unwrap());
    let same = other.try_load_record(record.unwrap()).unwrap();
    let moved = tree::replace(same, |_, value| Some(value.mul_scalar(3.0)));
    average.update(&moved);
    let model = average.model();
    assert!(bits(&model.first.weight) == bits(&model.second.weight));
    let share = tree::values(model).norm() / tree::values(&Pair::new()).norm();
    assert!((share - 2.0).abs() < 1e-6, "{share}");
}
