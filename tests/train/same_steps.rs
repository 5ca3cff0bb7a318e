//! What the learner does in two calls is the whole-model step.

use burn::optim::{AdamWConfig, GradientsAccumulator, SgdConfig};
use zosam::sparse::{Growth, Method};
use zosam::{LotteryTicket, Snfs, TopKast};

use super::*;

/// Every perturbation that the learner takes.
fn perturbations() -> Vec<SharpnessConfig> {
    let zo = || ZoSamConfig::new().with_rho(0.3);
    let guide = Directions::Guided(Guide::default());
    let zo_sam = SharpnessConfig::ZoSam;
    vec![
        SharpnessConfig::None,
        SharpnessConfig::Sam(SamConfig::new()),
        SharpnessConfig::Asam(AsamConfig::new()),
        SharpnessConfig::Gsam(GsamConfig::new().with_alpha(0.5)),
        SharpnessConfig::LookSam(LookSamConfig::new().with_every(3)),
        SharpnessConfig::MomentumSam(MomentumSamConfig::new()),
        SharpnessConfig::MomentumSam(MomentumSamConfig::new().with_weight_decay(0.01)),
        SharpnessConfig::S2Sam(S2SamConfig::new()),
        SharpnessConfig::FriendlySam(FriendlySamConfig::new()),
        SharpnessConfig::Wsam(WsamConfig::new()),
        SharpnessConfig::Wsam(WsamConfig::new().with_decoupled(false)),
        SharpnessConfig::FisherSam(FisherSamConfig::new()),
        SharpnessConfig::RandomSign(RandomSignConfig::new().with_rho(0.3)),
        zo_sam(zo()),
        zo_sam(zo().with_memory(ZeroOrderMemory::Last)),
        zo_sam(zo().with_directions(3).with_sides(Sides::One)),
        zo_sam(zo().with_directions(2).with_family(Directions::Orthogonal)),
        zo_sam(zo().with_family(guide.clone())),
        zo_sam(zo().with_directions(0).with_family(guide)),
        zo_sam(zo().with_reuse(3)),
    ]
}

/// Growth by the gradient, a memory of gradients, latent values, rewinding.
fn methods() -> Vec<Method> {
    // Levels end with steps 3 and 6 and go back to step 1.
    let ticket = LotteryTicket::new(0.7)
        .with_level_steps(4)
        .with_rewind(1)
        .with_rate(0.5);
    vec![
        Method::RigL(rigl()),
        Method::Snfs(Snfs::new(0.5).every(3).until(100)),
        Method::TopKast(TopKast::new(0.5).with_backward_sparsity(0.3).every(3)),
        Method::Lth(ticket),
    ]
}

struct End {
    weights: String,
    masks: String,
}

fn by_the_learner(config: &SharpnessConfig, method: &Method, growth: Growth) -> End {
    let (net, sparsity) = start(method, growth);
    let perturbation = config.clone();
    let model = SparseModel::new(net, sparsity, perturbation, 7).unwrap();
    let model = train(model, &mut adam(), 0..8);
    assert_eq!(model.steps(), 8);
    End {
        weights: fingerprint(model.inner()),
        masks: model.masks().fingerprint(),
    }
}

fn by_whole_steps(config: &SharpnessConfig, method: &Method, growth: Growth) -> End {
    let (mut net, mut sparsity) = start(method, growth);
    let optim = config.init(AdamWConfig::new().init()).unwrap();
    let mut optim = optim.with_seed(7);
    for step in 0..8 {
        let data = batch(step);
        let loss = |net: &Net| net.loss(&data).0;
        net = optim.step_with(0.05, net, &mut sparsity, loss).unwrap().0;
    }
    End {
        weights: fingerprint(&net),
        masks: sparsity.masks().fingerprint(),
    }
}

fn start(method: &Method, growth: Growth) -> (Net, Sparsity) {
    let sparsity = Sparsity::from_boxed(method.clone().boxed());
    let mut sparsity = sparsity.with_growth(growth);
    let loss = |net: &Net| net.loss(&batch(0)).0;
    let net = sparsity.attach(net(1, 0.2), loss).unwrap();
    (net, sparsity)
}

/// Weights, running statistics and masks are those of `step_with`, to the bit.
#[test]
fn the_learner_makes_the_same_steps() {
    for config in perturbations() {
        for method in methods() {
            for growth in [Growth::Perturbed, Growth::Clean] {
                let ours = by_whole_steps(&config, &method, growth);
                let theirs = by_the_learner(&config, &method, growth);
                assert_eq!(theirs.masks, ours.masks, "{config:?} {method:?} {growth:?}");
                assert_eq!(
                    theirs.weights, ours.weights,
                    "{config:?} {method:?} {growth:?}"
                );
            }
        }
    }
}

/// Accumulated gradients are burn's sum of those of `step_accumulated`, each with its own perturbation.
#[test]
fn accumulation_is_that_of_the_whole_step() {
    let net = net(1, 0.0);
    let start = || attached(tree::twin(&net), rigl());
    let (model, sparsity) = start();
    let model = SparseModel::new(model, sparsity, zo_sam(), 7).unwrap();
    let mut accumulator = GradientsAccumulator::new();
    for number in 1..4 {
        let output = TrainStep::step(&model, batch(number));
        accumulator.accumulate(&model, output.grads);
    }
    let mut optim = SgdConfig::new().init();
    let model = model.optimize(&mut optim, 0.1.into(), accumulator.grads());

    let (expected, mut sparsity) = start();
    let mut whole = ZoSamConfig::new()
        .with_rho(0.3)
        .init(SgdConfig::new().build())
        .unwrap()
        .with_seed(7);
    let losses = [1, 2, 3]
        .map(batch)
        .map(|data| move |net: &Net| net.loss(&data).0);
    // The learner's sum of three is three times the mean.
    let (expected, _) = whole
        .step_accumulated(0.3, expected, &mut sparsity, losses)
        .unwrap();
    let difference = values(model.inner()).add_scaled(&values(&expected), -1.0);
    // Three gradients, summed and scaled in another order.
    assert!(difference.norm() < 1e-6, "{}", difference.norm());
}
