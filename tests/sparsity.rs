//! Which weights are selected, what is reported, and what is refused.
#![cfg(feature = "flex")]

use burn::module::{Module, ParamGroup};
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::optim::SgdConfig;
use burn::tensor::{Device, Int, Tensor};
use zosam::sparse::{Budget, Distribution, Sparsity};
use zosam::{Error, RandomStatic, RigL, Snip, ZoSamConfig, tree};

#[derive(Module, Debug)]
struct Net {
    words: Embedding,
    norm: LayerNorm,
    hidden: Linear,
    unused: Linear,
    output: Linear,
}

impl Net {
    fn new(device: &Device) -> Self {
        Self {
            words: EmbeddingConfig::new(10, 8).init(device),
            norm: LayerNormConfig::new(8).init(device),
            hidden: LinearConfig::new(8, 16).init(device),
            unused: LinearConfig::new(8, 16).init(device),
            output: LinearConfig::new(16, 4).init(device),
        }
    }

    fn loss(&self) -> Tensor<1> {
        let words = Tensor::<2, Int>::from_ints([[1, 2, 3]], &self.hidden.weight.val().device());
        let hidden = self.norm.forward(self.words.forward(words));
        self.output
            .forward(self.hidden.forward(hidden).tanh())
            .powi_scalar(2)
            .mean()
    }
}

fn device() -> Device {
    Device::flex().autodiff()
}

fn masked(sparsity: &Sparsity) -> Vec<String> {
    sparsity
        .masks()
        .leaves()
        .map(|leaf| leaf.path.clone())
        .collect()
}

#[test]
fn weights_of_layers_are_sparse_and_nothing_else() {
    let mut sparsity =
        Sparsity::new(RandomStatic::new(0.5).with_distribution(Distribution::Uniform));
    let net = sparsity.attach(Net::new(&device()), Net::loss).unwrap();
    assert_eq!(
        masked(&sparsity),
        ["hidden.weight", "unused.weight", "output.weight"]
    );
    let report = sparsity.report(&net);
    assert_eq!(report.prunable_weights, 2 * 8 * 16 + 16 * 4);
    assert_eq!(
        report.model_weights,
        report.prunable_weights + 10 * 8 + 16 + 36
    );
    assert_eq!(report.live_weights, report.prunable_weights / 2);
    let over_model = report.live_weights as f64 / report.model_weights as f64;
    assert!((report.sparsity_over_model() - over_model).abs() < 1e-12);
    let shown = report.to_string();
    assert!(
        shown.contains("over prunable") && shown.contains("8x16"),
        "{shown}"
    );
}

#[test]
fn a_group_selects_other_parameters() {
    let group =
        ParamGroup::from_predicate("words").fuse(&ParamGroup::from_predicate("output.weight"));
    let mut sparsity = Sparsity::new(RandomStatic::new(0.5)).with_group(group);
    sparsity.attach(Net::new(&device()), Net::loss).unwrap();
    assert_eq!(masked(&sparsity), ["words.weight", "output.weight"]);
}

#[test]
fn empty_selections_say_why() {
    let message = |result: zosam::Result<Net>| result.unwrap_err().to_string();
    let nothing = ParamGroup::from_predicate("nothing here");
    let mut sparsity = Sparsity::new(RandomStatic::new(0.5)).with_group(nothing);
    let text = message(sparsity.attach(Net::new(&device()), Net::loss));
    assert!(text.contains("the group matches none"), "{text}");
    let mut sparsity = Sparsity::new(RandomStatic::new(0.5));
    let text = message(sparsity.attach(Net::new(&Device::flex()), Net::loss));
    assert!(text.contains(".autodiff()"), "{text}");
}

#[test]
fn a_score_needs_its_gradient() {
    let mut sparsity = Sparsity::new(Snip::new(0.5));
    let error = sparsity.attach(Net::new(&device()), Net::loss).unwrap_err();
    assert!(
        matches!(&error, Error::NoGradient { path } if path == "unused.weight"),
        "{error}"
    );
}

#[test]
fn infeasible_budgets_are_refused() {
    for distribution in [Distribution::Uniform, Distribution::Er, Distribution::Erk] {
        let method = RandomStatic::new(0.995).with_distribution(distribution);
        let error = Sparsity::new(method)
            .attach(Net::new(&device()), Net::loss)
            .unwrap_err();
        assert!(
            matches!(error, Error::Infeasible { layers: 3, .. }),
            "{error}"
        );
    }
    let group = ParamGroup::from_predicate("output.weight");
    let mut sparsity = Sparsity::new(Snip::new(0.995)).with_group(group);
    let error = sparsity.attach(Net::new(&device()), Net::loss).unwrap_err();
    assert!(matches!(error, Error::Infeasible { .. }), "{error}");
}

#[test]
fn a_collapsed_layer_is_warned_of() {
    let net = Net::new(&device());
    // Without weight a layer's saliency is zero, so a global budget leaves nothing of it.
    let output = net.output.weight.id;
    let net = tree::replace(net, |id, value| (id == output).then(|| value.zeros_like()));
    let group = ParamGroup::from_predicate("output.weight")
        .fuse(&ParamGroup::from_predicate("hidden.weight"));
    let mut sparsity = Sparsity::new(Snip::new(0.9)).with_group(group.clone());
    let net = sparsity
        .attach(net, |net: &Net| {
            net.loss() + net.hidden.weight.val().powi_scalar(2).sum()
        })
        .unwrap();
    let warnings = sparsity.report(&net).warnings();
    assert!(
        warnings.len() == 1 && warnings[0].contains("`output.weight`"),
        "{warnings:?}"
    );

    let per_layer =
        |sparsity| Snip::new(sparsity).with_budget(Budget::PerLayer(Distribution::Uniform));
    let mut sparsity = Sparsity::new(per_layer(0.9)).with_group(group.clone());
    let net = sparsity.attach(net, Net::loss).unwrap();
    // 13 of 128 weights are live, 6 of 64.
    let warnings = sparsity.report(&net).warnings();
    assert!(
        warnings.len() == 1 && warnings[0].contains("13 live weights for 16 outputs"),
        "{warnings:?}"
    );
    let mut sparsity = Sparsity::new(per_layer(0.5)).with_group(group);
    let net = sparsity.attach(net, Net::loss).unwrap();
    assert!(sparsity.report(&net).warnings().is_empty());
}

/// The gradient of a sum of losses is the sum of gradients, so two batches choose what their joint loss chooses.
#[test]
fn snip_over_two_batches_scores_their_sum() {
    let losses = |net: &Net, batch: u32| match batch {
        0 => net.loss() * 3.0,
        _ => (net.output.weight.val() + 0.1).powi_scalar(2).sum(),
    };
    let net = Net::new(&device());
    let live = |sparsity: &Sparsity| -> Vec<Vec<bool>> {
        let masks = sparsity.masks();
        masks
            .leaves()
            .map(|leaf| masks.live_set(leaf.id).unwrap())
            .collect()
    };
    let group = || ParamGroup::from_predicate("output.weight");
    let start = || Sparsity::new(Snip::new(0.6)).with_group(group());
    let (mut both, mut joint, mut first) = (start(), start(), start());
    let batches = [0, 1].map(|batch| move |net: &Net| losses(net, batch));
    both.attach_over(net.clone(), batches).unwrap();
    joint
        .attach(net.clone(), |net: &Net| losses(net, 0) + losses(net, 1))
        .unwrap();
    first
        .attach(net.clone(), |net: &Net| losses(net, 0))
        .unwrap();
    assert_eq!(live(&both), live(&joint));
    assert_ne!(live(&both), live(&first));
    let none: [fn(&Net) -> Tensor<1>; 0] = [];
    let error = start().attach_over(net, none).unwrap_err();
    assert!(matches!(error, Error::NoGradient { .. }), "{error}");
}

#[test]
fn steps_without_masks_or_with_foreign_ones_are_refused() {
    let mut optim = ZoSamConfig::new().init(SgdConfig::new().build()).unwrap();
    let mut sparsity = Sparsity::new(RigL::new(0.5, 100));
    let error = optim
        .step_with(0.1, Net::new(&device()), &mut sparsity, Net::loss)
        .unwrap_err();
    assert!(error.to_string().contains("`attach`"), "{error}");
    sparsity.attach(Net::new(&device()), Net::loss).unwrap();
    let error = optim
        .step_with(0.1, Net::new(&device()), &mut sparsity, Net::loss)
        .unwrap_err();
    assert!(error.to_string().contains("`hidden.weight`"), "{error}");
    let plain = Net::new(&Device::flex());
    let error = optim
        .step_with(0.1, plain, &mut Sparsity::dense(), Net::loss)
        .unwrap_err();
    assert!(error.to_string().contains(".autodiff()"), "{error}");
    assert_eq!(optim.steps(), 0);
}
