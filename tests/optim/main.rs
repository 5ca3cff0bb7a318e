//! Whole-model steps: the base optimizer, perturbations, bundled networks, tied weights, batches, errors, clipping by the
//! whole norm, averaged weights.
#![cfg(feature = "flex")]

mod base;
mod drawn;
#[cfg(feature = "models")]
mod models;
mod non_finite;
mod perturbations;
mod sizes;
mod tied;

use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::optim::SgdConfig;
use burn::tensor::{Device, Distribution, Tensor};
use zosam::checkpoint::{Store, fingerprint};
use zosam::optim::WeightAverage;
use zosam::tree::{self, values};
use zosam::{Error, Plain, RigL, SharpOptimizer, Sparsity, ZoSamConfig, perturb::Identity};

#[derive(Module, Debug)]
struct Net {
    linear: Linear,
    norm: BatchNorm,
}

use drawn::drawn;

fn device() -> Device {
    Device::flex().autodiff()
}

fn net() -> Net {
    drawn(|| {
        let net = Net {
            linear: LinearConfig::new(6, 4).init(&device()),
            norm: BatchNormConfig::new(4).init(&device()),
        };
        tree::values(&net);
        net
    })
}

fn batch(rows: usize) -> Tensor<2> {
    let normal = Distribution::Normal(0.0, 1.0);
    drawn(|| Tensor::random([rows, 6], normal, &device()))
}

fn linear_loss(batch: Tensor<2>) -> impl Fn(&Net) -> Tensor<1> {
    move |net: &Net| net.linear.forward(batch.clone()).powi_scalar(2).mean()
}

fn plain() -> Plain<burn::optim::Sgd> {
    SharpOptimizer::new(Identity, SgdConfig::new().build()).unwrap()
}

fn distance(a: &Net, b: &Net) -> f64 {
    values(a).add_scaled(&values(b), -1.0).norm()
}

#[test]
fn two_halves_are_the_whole() {
    let start = net();
    let (first, second) = (batch(8), batch(8));
    let union = Tensor::cat(vec![first.clone(), second.clone()], 0);
    let (whole, report) = plain()
        .step_with(
            0.5,
            start.clone(),
            &mut Sparsity::dense(),
            linear_loss(union),
        )
        .unwrap();
    let losses = [first, second].map(linear_loss);
    let (halves, accumulated) = plain()
        .step_accumulated(0.5, start.clone(), &mut Sparsity::dense(), losses)
        .unwrap();
    assert!(distance(&whole, &start) > 0.1);
    // Sums of eight products in another order.
    assert!(distance(&whole, &halves) < 1e-6);
    assert!((report.loss_value() - accumulated.loss_value()).abs() < 1e-6);
    assert_eq!(accumulated.extra.len(), 2);
}

/// Each batch has a direction of its own: two equal batches do not give what one does.
#[test]
fn batches_are_perturbed_apart() {
    let start = net();
    let data = batch(8);
    let step = |times: usize| {
        let mut optim = ZoSamConfig::new()
            .with_rho(0.5)
            .init(SgdConfig::new().build())
            .unwrap();
        let losses: Vec<_> = (0..times).map(|_| linear_loss(data.clone())).collect();
        optim
            .step_accumulated(0.1, start.clone(), &mut Sparsity::dense(), losses)
            .unwrap()
    };
    let ((one, single), (two, double)) = (step(1), step(2));
    assert!(distance(&one, &two) > 1e-4);
    assert_eq!(double.passes.forwards, 2 * single.passes.forwards);
    assert_eq!((double.passes.backwards, double.extra.len()), (2, 2));
}

/// The k-th batch sees the statistics that the one before it left.
#[test]
fn statistics_advance_once_per_batch() {
    let start = net();
    // Clones share running statistics, twins do not.
    let (expected, untouched) = (tree::twin(&start), tree::twin(&start));
    let (first, second) = (batch(8), batch(8));
    let loss = |data: Tensor<2>| {
        move |net: &Net| {
            net.norm
                .forward(net.linear.forward(data.clone()))
                .abs()
                .mean()
        }
    };
    let losses = [first.clone(), second.clone()].map(loss);
    let (model, _) = plain()
        .step_accumulated(0.0, start, &mut Sparsity::dense(), losses)
        .unwrap();
    for data in [first, second] {
        loss(data)(&expected);
    }
    let statistics = |net: &Net| {
        let tensors = tree::named_tensors(net).into_iter();
        tensors
            .filter(|(path, _)| path.contains("running"))
            .collect::<Vec<_>>()
    };
    assert_eq!(statistics(&model), statistics(&expected));
    assert_ne!(statistics(&model), statistics(&untouched));
}

#[test]
fn no_batch_is_an_error() {
    let losses: [fn(&Net) -> Tensor<1>; 0] = [];
    let result = plain().step_accumulated(0.1, net(), &mut Sparsity::dense(), losses);
    assert!(matches!(result.map_err(Error::from), Err(Error::NoLoss)));
}

/// `‖Δθ‖ = lr · min(‖g‖, c)`, in the gradient's direction, as `clip_grad_norm_` makes it.
#[test]
fn the_whole_gradient_is_scaled() {
    let start = net();
    let loss = linear_loss(batch(8));
    let update = |optim: Plain<burn::optim::Sgd>| {
        let mut optim = optim;
        let (model, _) = optim
            .step_with(1.0, start.clone(), &mut Sparsity::dense(), &loss)
            .unwrap();
        values(&model).add_scaled(&values(&start), -1.0)
    };
    let free = update(plain());
    let norm = free.norm();
    let clipped = update(plain().with_global_norm_clipping(0.25 * norm).unwrap());
    let expected = free.clone().scaled(0.25 * norm / (norm + 1e-6));
    assert!(clipped.clone().add_scaled(&expected, -1.0).norm() < 1e-6 * norm);
    let unclipped = update(plain().with_global_norm_clipping(2.0 * norm).unwrap());
    assert_eq!(unclipped.add_scaled(&free, -1.0).norm(), 0.0);
    for bad in [0.0, -1.0, f64::NAN] {
        assert!(plain().with_global_norm_clipping(bad).is_err());
    }
}

/// A loss through the norm, whose running statistics it advances.
fn normed(data: Tensor<2>) -> impl Fn(&Net) -> Tensor<1> {
    move |net| {
        let hidden = net.norm.forward(net.linear.forward(data.clone()));
        hidden.powi_scalar(3).mean()
    }
}

/// `θ̄_2 = d² θ_0 + d (1 − d) θ_1 + (1 − d) θ_2`, running statistics too.
#[test]
fn the_average_is_the_closed_form() {
    let decay = 0.75;
    let mut optim = plain();
    let mut model = net();
    let models = [(); 3].map(|()| {
        let loss = normed(batch(8));
        let next = optim.step_with(0.5, model.clone(), &mut Sparsity::dense(), loss);
        model = tree::twin(&next.unwrap().0);
        tree::twin(&model)
    });
    let mut average = WeightAverage::new(decay, &models[0]).unwrap();
    average.update(&models[1]);
    average.update(&models[2]);
    let tensors = models.each_ref().map(tree::named_tensors);
    let shares = [decay * decay, decay * (1.0 - decay), 1.0 - decay];
    for (i, (path, found)) in tree::named_tensors(average.model()).into_iter().enumerate() {
        for (k, value) in found.iter::<f64>().enumerate() {
            let terms = tensors.iter().zip(shares);
            let expected: f64 = terms
                .map(|(tensors, share)| share * tensors[i].1.iter::<f64>().nth(k).unwrap())
                .sum();
            assert!((value - expected).abs() < 1e-6, "{path}");
        }
    }
    assert!(WeightAverage::new(1.0, &model).is_err());
}

/// A run that averages goes on to the bit, and the average keeps to the masks.
#[test]
fn averages_are_part_of_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let start = net();
    let begin = || {
        let mut sparsity = Sparsity::new(RigL::new(0.5).until(100).every(2));
        let model = sparsity
            .attach(start.clone(), |net: &Net| net.linear.weight.val().sum())
            .unwrap();
        let average = WeightAverage::new(0.5, &model).unwrap();
        let optim = ZoSamConfig::new().init(SgdConfig::new().build()).unwrap();
        (model, optim, sparsity, average)
    };
    let data: Vec<_> = (0..6).map(|_| batch(8)).collect();
    let (mut model, mut optim, mut sparsity, mut average) = begin();
    for (step, data) in data.iter().enumerate() {
        if step == 3 {
            store
                .save_averaged(&model, &optim, &sparsity, &(), Some(&average))
                .unwrap();
        }
        let loss = normed(data.clone());
        model = optim.step_with(0.1, model, &mut sparsity, loss).unwrap().0;
        average.update(&model);
    }
    let live = zosam::masks::Masks::live_weights(sparsity.masks());
    let sparse = average.sparse(sparsity.masks());
    let alive = values(&sparse).iter().next().unwrap().1;
    assert_eq!(
        alive.not_equal_elem(0.0).int().sum().into_scalar::<i64>() as usize,
        live
    );

    let newest = store.latest().unwrap().unwrap();
    let (fresh, optim, mut masks, empty) = begin();
    let (mut resumed, mut optim, (), again) = store
        .load_averaged(&newest, fresh, optim, &mut masks, Some(empty))
        .unwrap();
    let mut again = again.unwrap();
    for data in &data[3..] {
        let loss = normed(data.clone());
        resumed = optim.step_with(0.1, resumed, &mut masks, loss).unwrap().0;
        again.update(&resumed);
    }
    assert_eq!(fingerprint(&resumed), fingerprint(&model));
    assert_eq!(fingerprint(again.model()), fingerprint(average.model()));

    let (fresh, optim, mut masks, average) = begin();
    store.save(&fresh, &optim, &masks, &()).unwrap();
    let first = folder.path().join("step-0000000000");
    let result =
        store.load_averaged::<_, _, _, ()>(&first, fresh, optim, &mut masks, Some(average));
    assert!(result.is_err());
}

/// On `½ c ‖w‖²` every direction of length ρ rises by `c ρ w·u + ½ c ρ²`.
#[test]
fn rises_are_those_of_a_parabola() {
    use zosam::analysis::{rise, worst_rise};
    use zosam::masks::Masks;
    use zosam::objective::Offset;
    let net = net();
    let loss = |net: &Net| net.linear.weight.val().powi_scalar(2).sum() * 1.5;
    let weights = values(&net).filter(|id| id == net.linear.weight.id);
    let norm = weights.norm();
    let offset = Offset {
        scale: 0.1 / norm,
        direction: weights,
    };
    let expected = 3.0 * (0.1 * norm + 0.5 * 0.01);
    assert!((rise(&net, &offset, loss) / expected - 1.0).abs() < 1e-3);
    // The weight's share of a direction's length is at most 1, and one of two signs is not downhill.
    let worst = worst_rise(&net, &Masks::dense(), 0.1, 5, 1, loss);
    assert!(worst > 0.0 && worst <= expected * (1.0 + 1e-3), "{worst}");
    assert_eq!(worst_rise(&net, &Masks::dense(), 0.1, 0, 1, loss), 0.0);
}
