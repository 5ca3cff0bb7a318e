//! The arithmetic around the passes, on the weights of ResNet-32 (width 16) and its wide sibling.
//!
//! ```text
//! cargo bench --bench parts
//! ```

use burn::optim::SgdConfig;
use burn::optim::momentum::MomentumConfig;
use burn::tensor::{Device, Int, Tensor};
use divan::{Bencher, black_box};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use zosam::models::{ResNet, ResNetConfig};
use zosam::perturb::Identity;
use zosam::sparse::{GradientMagnitude, Magnitude, RandomStatic, Sparsity, Weight, drop_and_grow};
use zosam::tree::{self, DirectionDistribution, DirectionKey};
use zosam::{
    Dsr, GradualMagnitude, LotteryTicket, Mest, Plain, RigL, Set, Snfs, SparsityMethod, Svite,
};

fn main() {
    zosam::keep_freed_memory();
    divan::main();
}

const WIDTHS: [usize; 2] = [16, 32];

fn setup(width: usize) -> (ResNet, Sparsity) {
    let model = ResNetConfig::resnet32(10).with_width(width);
    let model = model.init(&Device::flex().autodiff()).expect("valid");
    let mut sparsity = Sparsity::new(RandomStatic::new(0.9));
    let unused = |_: &ResNet| -> Tensor<1> { unreachable!("random masks need no loss") };
    let model = sparsity.attach(model, unused).expect("valid");
    (model, sparsity)
}

const KEY: DirectionKey = DirectionKey {
    seed: 0,
    step: 0,
    index: 0,
};

#[divan::bench(args = WIDTHS)]
fn direction_gaussian(bencher: Bencher, width: usize) {
    draw(bencher, width, DirectionDistribution::Gaussian);
}

#[divan::bench(args = WIDTHS)]
fn direction_rademacher(bencher: Bencher, width: usize) {
    draw(bencher, width, DirectionDistribution::Rademacher);
}

fn draw(bencher: Bencher, width: usize, distribution: DirectionDistribution) {
    let (model, _) = setup(width);
    let leaves = tree::leaves(&model);
    let device = Device::flex();
    bencher.bench(|| tree::draw(black_box(&leaves), KEY, distribution, &device));
}

#[divan::bench(args = WIDTHS)]
fn mask_and_normalise_direction(bencher: Bencher, width: usize) {
    let (model, sparsity) = setup(width);
    let device = Device::flex();
    let direction = tree::draw(&tree::leaves(&model), KEY, Default::default(), &device);
    bencher.bench(|| sparsity.masks().project(direction.clone()).norm());
}

#[divan::bench(args = WIDTHS)]
fn perturbed_twin(bencher: Bencher, width: usize) {
    let (model, sparsity) = setup(width);
    let device = Device::flex();
    let direction = tree::draw(&tree::leaves(&model), KEY, Default::default(), &device);
    let direction = sparsity.masks().project(direction);
    bencher.bench(|| tree::perturbed(&model, &direction, 0.05, |_| true));
}

#[divan::bench(args = WIDTHS)]
fn mask_model(bencher: Bencher, width: usize) {
    let (model, sparsity) = setup(width);
    bencher.bench(|| sparsity.masks().project_model(model.clone()));
}

/// RigL's ranking at 90 % sparsity for all weights as one layer; 22 M is DeiT-Small.
#[divan::bench(args = [464_432, 1_855_584, 22_000_000], sample_count = 5, sample_size = 1)]
fn drop_and_grow_ranking(bencher: Bencher, positions: usize) {
    let mut generator = ChaCha8Rng::seed_from_u64(0);
    let live: Vec<bool> = (0..positions).map(|_| generator.random_bool(0.1)).collect();
    let weight = Weight {
        path: "weight".into(),
        shape: vec![positions],
        values: live
            .iter()
            .map(|live| {
                if *live {
                    generator.random::<f32>() - 0.5
                } else {
                    0.0
                }
            })
            .collect(),
        gradient: (0..positions)
            .map(|_| generator.random::<f32>() - 0.5)
            .collect(),
        live,
        ..Weight::default()
    };
    bencher.bench_local(|| drop_and_grow(&weight, &Magnitude, &GradientMagnitude, 0.3));
}

/// A change of masks on weights shaped like DeiT-Small's (22 M), ranking and growth, by method.
#[divan::bench(args = METHODS, sample_count = 3, sample_size = 1)]
fn mask_update_of_deit_small(bencher: Bencher, name: &str) {
    let mut method = method(name);
    let mut shapes = vec![vec![384, 3, 16, 16], vec![384, 1000]];
    for (inputs, outputs) in [(384, 1152), (384, 384), (384, 1536), (1536, 384)] {
        shapes.extend(vec![vec![inputs, outputs]; 12]);
    }
    let mut generator = ChaCha8Rng::seed_from_u64(0);
    let mut number = || generator.random::<f32>() - 0.5;
    let mut weights: Vec<Weight> = shapes
        .into_iter()
        .enumerate()
        .map(|(layer, shape): (usize, Vec<usize>)| {
            let len = shape.iter().product();
            Weight {
                path: format!("{layer}.weight"),
                shape,
                values: (0..len).map(|_| number()).collect(),
                gradient: (0..len).map(|_| number()).collect(),
                live: vec![true; len],
                ..Weight::default()
            }
        })
        .collect();
    let live = method.initial(&weights, 0).unwrap();
    for (weight, live) in weights.iter_mut().zip(live) {
        for (value, live) in weight.values.iter_mut().zip(&live) {
            *value = if *live { *value } else { 0.0 };
        }
        weight.live = live;
    }
    bencher.bench_local(|| method.update(50, &weights, 0).unwrap());
}

const METHODS: [&str; 8] = ["set", "dsr", "rigl", "mest", "svite", "snfs", "gmp", "lth"];

fn method(name: &str) -> Box<dyn SparsityMethod> {
    match name {
        "set" => Box::new(Set::new(0.9).every(50).until(1000)),
        "dsr" => Box::new(Dsr::new(0.9).every(50).until(1000).with_threshold(0.05)),
        "rigl" => Box::new(RigL::new(0.9).until(1000)),
        "mest" => Box::new(Mest::em(0.9).over(1000)),
        "svite" => Box::new(Svite::new(0.9).every(50).until(1000)),
        "snfs" => Box::new(Snfs::new(0.9).every(50).until(1000)),
        "gmp" => Box::new(GradualMagnitude::new(0.9).between(0..=1000).every(50)),
        "lth" => Box::new(LotteryTicket::new(0.9).with_level_steps(51)),
        _ => unreachable!("a name from METHODS"),
    }
}

/// A step on one 4×4 image, without and with a change of masks: the difference is a whole RigL update, optimizer
/// state included.
#[divan::bench(args = [false, true], sample_count = 20, sample_size = 1)]
fn step_with_mask_update(bencher: Bencher, due: bool) {
    let (every, end) = if due { (1, u64::MAX) } else { (1, 0) };
    let (model, _) = setup(16);
    let images = Tensor::<4>::ones([1, 3, 4, 4], &Device::flex().autodiff());
    let labels = Tensor::<1, Int>::zeros([1], &Device::flex().autodiff());
    let loss = |model: &ResNet| model.loss(images.clone(), labels.clone()).0;
    let mut sparsity = Sparsity::new(RigL::new(0.9).until(end).every(every));
    let mut model = Some(sparsity.attach(model, loss).expect("valid"));
    let momentum = MomentumConfig::new().with_dampening(0.0);
    let sgd = SgdConfig::new().with_momentum(Some(momentum)).build();
    let mut optim = Plain::new(Identity, sgd).expect("valid");
    // The first step is never due: it creates the momentum that a change has to reset.
    let mut step = || {
        let current = model.take().expect("put back below");
        let stepped = optim.step_with(1e-3, current, &mut sparsity, loss);
        model = Some(stepped.expect("a step").0);
    };
    step();
    bencher.bench_local(step);
}
