//! A tied weight trains as one weight that is used twice, to the bit.

use burn::module::Module;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamWConfig, Optimizer, SgdConfig};
use zosam::optim::{ForwardOnly, ForwardRule};
use zosam::perturb::*;
use zosam::sparse::{LotteryTicket, Method, Regrown, Set, Snfs, Sparsity, TopKast};
use zosam::{RigL, tree};

use super::modules::*;

fn perturbations() -> Vec<SharpnessConfig> {
    let zo = || ZoSamConfig::new().with_rho(0.1);
    let zo_sam = SharpnessConfig::ZoSam;
    let guided = Directions::Guided(Guide::default());
    vec![
        SharpnessConfig::None,
        SharpnessConfig::Sam(SamConfig::new()),
        SharpnessConfig::Asam(AsamConfig::new()),
        SharpnessConfig::Gsam(GsamConfig::new()),
        SharpnessConfig::LookSam(LookSamConfig::new().with_every(2)),
        SharpnessConfig::MomentumSam(MomentumSamConfig::new().with_weight_decay(0.01)),
        SharpnessConfig::S2Sam(S2SamConfig::new()),
        SharpnessConfig::FriendlySam(FriendlySamConfig::new()),
        SharpnessConfig::Wsam(WsamConfig::new()),
        SharpnessConfig::FisherSam(FisherSamConfig::new()),
        SharpnessConfig::RandomSign(RandomSignConfig::new().with_rho(0.1)),
        zo_sam(zo()),
        zo_sam(zo().with_directions(3)),
        zo_sam(zo().with_family(Directions::Blocks)),
        zo_sam(zo().with_family(guided)),
    ]
}

fn methods() -> Vec<Method> {
    vec![
        Method::Dense(Default::default()),
        Method::RigL(RigL::new(0.5).until(12).every(3)),
        Method::Set(
            Set::new(0.5)
                .every(3)
                .until(12)
                .with_regrown(Regrown::Normal { std: 0.1 }),
        ),
        Method::Snfs(Snfs::new(0.5).every(3).until(12)),
        Method::Lth(LotteryTicket::new(0.5).with_level_steps(3).with_rate(0.3)),
        Method::TopKast(TopKast::new(0.5).with_backward_sparsity(0.3).every(3)),
    ]
}

/// The values of the trainable parameters after eight steps.
fn trained<E: Example>(
    method: &Method,
    config: &SharpnessConfig,
    base: impl Optimizer,
    check: impl Fn(&E),
) -> Vec<f32> {
    let mut sparsity = Sparsity::from_boxed(method.clone().boxed()).with_seed(3);
    let batch = Batch::new(0);
    let start = |model: &E| model.loss(&batch);
    let mut model = sparsity.attach(E::new(), start).unwrap();
    let mut optim = config.init(base).unwrap();
    for step in 0..8 {
        let batch = Batch::new(step);
        let loss = |model: &E| model.loss(&batch);
        model = optim.step_with(0.05, model, &mut sparsity, loss).unwrap().0;
        check(&model);
    }
    numbers(&model)
}

fn numbers<M: Module>(model: &M) -> Vec<f32> {
    let values = tree::values(model);
    let numbers = values
        .iter()
        .flat_map(|(_, value)| value.to_data().iter::<f32>().collect::<Vec<_>>());
    numbers.collect()
}

#[test]
fn every_step_keeps_places_equal() {
    let momentum = MomentumConfig::new().with_dampening(0.0);
    let sgd = || {
        SgdConfig::new()
            .with_momentum(Some(momentum.clone()))
            .build()
    };
    let adamw = || AdamWConfig::new().build();
    let pair = |pair: &Pair| assert!(bits(&pair.first.weight) == bits(&pair.second.weight));
    let language = |model: &Language| {
        assert!(bits(&model.embedding.weight) == bits(&model.output.weight));
    };
    for method in methods() {
        for config in perturbations() {
            let what = format!("{config:?} with {method:?}");
            let tied = trained(&method, &config, sgd(), pair);
            assert!(
                tied == trained(&method, &config, sgd(), |_: &Single| {}),
                "{what}"
            );
            let tied = trained(&method, &config, adamw(), pair);
            assert!(
                tied == trained(&method, &config, adamw(), |_: &Single| {}),
                "{what}"
            );
        }
    }
    // An embedding is dense unless a group selects it.
    let dense = Method::Dense(Default::default());
    for config in perturbations() {
        let tied = trained(&dense, &config, sgd(), language);
        assert!(
            tied == trained(&dense, &config, sgd(), |_: &Words| {}),
            "{config:?}"
        );
    }
}

#[test]
fn steps_without_a_backward_pass_keep_places_equal() {
    for rule in [
        ForwardRule::Estimate,
        ForwardRule::Sign,
        ForwardRule::Conservative,
    ] {
        let estimator = ZoSamConfig::new().with_delta(Delta::Absolute(1e-3));
        let mut optim = ForwardOnly::new(estimator, rule, SgdConfig::new().build()).unwrap();
        let mut model = Pair::new();
        for step in 0..4 {
            let batch = Batch::new(step);
            let loss = |pair: &Pair| pair.loss(&batch);
            model = optim
                .step_on(0.01, model, &mut Sparsity::dense(), loss)
                .unwrap()
                .0;
            assert!(
                bits(&model.first.weight) == bits(&model.second.weight),
                "{rule:?}"
            );
        }
        assert!(numbers(&model) != numbers(&Pair::new()), "{rule:?}");
    }
}
