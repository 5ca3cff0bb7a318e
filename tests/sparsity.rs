//! Which weights are selected, what is reported, and what is refused.
#![cfg(feature = "flex")]

use burn::module::{Module, ParamGroup};
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::optim::SgdConfig;
use burn::tensor::{Device, Int, Tensor};
use zosam::sparse::{Budget, Distribution, Draw, Granularity, Parts, Recipe, Regrown, Sparsity};
use zosam::{Error, RandomStatic, RigL, Set, Snip, TopKast, ZoSamConfig, tree};

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
    let message = |result: zosam::Result<Net, zosam::Failed<Net>>| result.unwrap_err().to_string();
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
    let failed = sparsity.attach(Net::new(&device()), Net::loss);
    let error = failed.unwrap_err().error;
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
            .unwrap_err()
            .error;
        assert!(
            matches!(error, Error::Infeasible { layers: 3, .. }),
            "{error}"
        );
    }
    let group = ParamGroup::from_predicate("output.weight");
    let mut sparsity = Sparsity::new(Snip::new(0.995)).with_group(group);
    let failed = sparsity.attach(Net::new(&device()), Net::loss);
    let error = failed.unwrap_err().error;
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
    let error = start().attach_over(net, none).unwrap_err().error;
    assert!(matches!(error, Error::NoGradient { .. }), "{error}");
}

#[test]
fn steps_without_masks_or_with_foreign_ones_are_refused() {
    let mut optim = ZoSamConfig::new().init(SgdConfig::new().build()).unwrap();
    let mut sparsity = Sparsity::new(RigL::new(0.5).until(100));
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

/// A layer may stay dense, or have a density of its own; the others make up for it, and the budget holds.
#[test]
fn single_layers_may_have_a_density_of_their_own() {
    let group = |path: &str| ParamGroup::from_path(path);
    let live = |sparsity: &Sparsity| -> Vec<usize> {
        let masks = sparsity.masks();
        masks
            .leaves()
            .map(|leaf| masks.live(leaf.id).unwrap())
            .collect()
    };
    // 128, 128 and 64 weights, of which 160 live: 64 in the last, 32 in the first, and what is left.
    for method in [
        RandomStatic::new(0.5).with_distribution(Distribution::Uniform),
        RandomStatic::new(0.5),
    ] {
        let mut sparsity = Sparsity::new(method)
            .with_density(group("output.weight"), 1.0)
            .with_density(group("hidden.weight"), 0.25);
        sparsity.attach(Net::new(&device()), Net::loss).unwrap();
        assert_eq!(live(&sparsity), [32, 64, 64]);
    }
    let selected = ParamGroup::from_regex("hidden|output").unwrap();
    let mut sparsity = Sparsity::new(Snip::new(0.5))
        .with_group(selected)
        .with_density(group("output.weight"), 1.0);
    let net = sparsity.attach(Net::new(&device()), Net::loss);
    // Of 128 + 8 + … parameters whose path matches, those with the name of a weight and a bias.
    assert!(net.is_ok());
    let report = sparsity.report(&net.unwrap());
    let output = report
        .layers
        .iter()
        .find(|layer| layer.name == "output.weight");
    assert_eq!(output.unwrap().target_density, Some(1.0));
    assert_eq!(output.unwrap().live, 64);

    let refused = |sparsity: Sparsity| {
        let mut sparsity = sparsity;
        let failed = sparsity.attach(Net::new(&device()), Net::loss);
        let error = failed.unwrap_err().error;
        error.to_string()
    };
    let random = || Sparsity::new(RandomStatic::new(0.9));
    let message = refused(random().with_density(group("hidden.weight"), 1.0));
    assert!(message.contains("take 128 live weights of 32"), "{message}");
    let message = refused(random().with_density(group("hidden.weight"), 0.0));
    assert!(message.starts_with("density = 0"), "{message}");
    let dsr = Sparsity::new(zosam::Dsr::new(0.9).every(10).until(100));
    let message = refused(dsr.with_density(group("hidden.weight"), 0.5));
    assert!(message.contains("`dsr`"), "{message}");
}

/// Under training, too: 2:4 in one layer, blocks in another, and a report that says so.
#[test]
fn granularities_hold_while_training() {
    let group = |path: &str| ParamGroup::from_path(path);
    let two_of_four = Granularity::NOfM { live: 2, of: 4 };
    let blocks = Granularity::Block {
        outputs: 4,
        inputs: 2,
    };
    let trained = ParamGroup::from_paths(vec!["hidden.weight", "output.weight"]);
    let mut sparsity = Sparsity::new(RigL::new(0.5).until(10).every(1))
        .with_group(trained)
        .with_granularity(group("hidden.weight"), two_of_four)
        .with_granularity(group("output.weight"), blocks);
    let mut net = sparsity.attach(Net::new(&device()), Net::loss).unwrap();
    let mut optim = ZoSamConfig::new().init(SgdConfig::new().build()).unwrap();
    let (mut first, mut changed) = (None, false);
    for _ in 0..5 {
        (net, _) = optim.step_with(0.1, net, &mut sparsity, Net::loss).unwrap();
        let fingerprint = sparsity.masks().fingerprint();
        changed |= *first.get_or_insert(fingerprint.clone()) != fingerprint;
        for leaf in sparsity.masks().leaves() {
            let live = sparsity.masks().live_set(leaf.id).unwrap();
            let outputs = leaf.shape[1];
            let count = |positions: &mut dyn Iterator<Item = (usize, usize)>| {
                positions.filter(|(i, o)| live[i * outputs + o]).count()
            };
            match leaf.path.as_str() {
                "hidden.weight" => {
                    for (output, first) in (0..16).flat_map(|o| [(o, 0), (o, 4)]) {
                        let mut group = (first..first + 4).map(|input| (input, output));
                        assert_eq!(count(&mut group), 2);
                    }
                }
                _ => {
                    for first in (0..16).step_by(2) {
                        let cells = (first..first + 2).flat_map(|i| (0..4).map(move |o| (i, o)));
                        assert!([0, 8].contains(&count(&mut cells.into_iter())));
                    }
                }
            }
        }
    }
    assert!(changed);
    let text = sparsity.report(&net).to_string();
    assert!(text.contains("2:4") && text.contains("4x2"), "{text}");

    let gmp = zosam::GradualMagnitude::new(0.5).between(0..=10).every(1);
    let error = Sparsity::new(gmp)
        .with_granularity(group("hidden.weight"), two_of_four)
        .attach(Net::new(&device()), Net::loss)
        .unwrap_err();
    assert!(error.to_string().contains("`gmp`"), "{error}");
}

/// Top-KAST by hand: constant slopes, SGD without momentum, and latent values that a second account keeps.
#[test]
fn top_kast_trains_more_than_it_uses() {
    let device = device();
    let layer = LinearConfig::new(8, 1).with_bias(false).init(&device);
    let mut latent = [0.8_f32, -0.7, 0.6, -0.5, 0.4, 0.3, -0.2, 0.1];
    let slopes = [0.5_f32, -0.5, 1.0, 0.0, -3.0, 0.0, 9.0, 9.0];
    let layer = tree::replace(layer, |_, old| {
        Some(Tensor::from_floats(latent, &old.device()))
    });
    let loss = |layer: &Linear| {
        let slopes = Tensor::<1>::from_floats(slopes, &layer.weight.device());
        (layer.weight.val().reshape([8]) * slopes).sum()
    };
    let (lr, decay) = (0.1, 0.5);
    let method = TopKast::new(0.75)
        .with_backward_sparsity(0.25)
        .every(3)
        .with_decay(decay);
    let mut sparsity = Sparsity::new(method);
    let mut layer = sparsity.attach(layer, loss).unwrap();
    let mut optim = zosam::SharpnessConfig::None
        .init(SgdConfig::new().build())
        .unwrap();
    let largest = |latent: &[f32; 8], k: usize| {
        let mut order: Vec<usize> = (0..8).collect();
        order.sort_by(|a, b| latent[*b].abs().total_cmp(&latent[*a].abs()));
        order.truncate(k);
        order
    };
    let (mut used, mut moved) = (largest(&latent, 2), largest(&latent, 6));
    let first = used.clone();
    for step in 0..8_u64 {
        (layer, _) = optim.step_with(lr, layer, &mut sparsity, loss).unwrap();
        for i in &moved {
            let decay = if used.contains(i) {
                decay
            } else {
                decay / 0.25
            };
            latent[*i] -= lr as f32 * (slopes[*i] + decay as f32 * latent[*i]);
        }
        if step > 0 && step % 3 == 0 {
            (used, moved) = (largest(&latent, 2), largest(&latent, 6));
        }
        let values: Vec<f32> = layer.weight.val().to_data().iter::<f32>().collect();
        for i in 0..8 {
            let expected = if used.contains(&i) { latent[i] } else { 0.0 };
            assert!(
                (values[i] - expected).abs() < 1e-6,
                "step {step}, weight {i}"
            );
        }
    }
    assert_ne!(
        used, first,
        "a weight that was not in use has come into use"
    );
    let error = optim.gradient(layer, &sparsity, loss).unwrap_err();
    assert!(error.to_string().contains("`step_with`"), "{error}");
}

/// Grown weights are what the recipe says: zero, or drawn from a normal distribution.
#[test]
fn grown_weights_have_the_value_of_the_recipe() {
    let grown = |regrown: Regrown| {
        let set = Set::new(0.5).every(1).until(100).with_regrown(regrown);
        let mut sparsity = Sparsity::new(set).with_seed(5);
        let layer = LinearConfig::new(64, 64).with_bias(false).init(&device());
        let loss = |layer: &Linear| layer.weight.val().sum() * 0.0;
        let mut layer = sparsity.attach(layer, loss).unwrap();
        let mut optim = zosam::SharpnessConfig::None
            .init(SgdConfig::new().build())
            .unwrap();
        (layer, _) = optim.step_with(0.1, layer, &mut sparsity, loss).unwrap();
        let id = tree::leaves(&layer)[0].id;
        let before = sparsity.masks().live_set(id).unwrap();
        (layer, _) = optim.step_with(0.1, layer, &mut sparsity, loss).unwrap();
        let now = sparsity.masks().live_set(id).unwrap();
        let values: Vec<f32> = layer.weight.val().to_data().iter::<f32>().collect();
        let born = (0..values.len()).filter(|i| now[*i] && !before[*i]);
        born.map(|i| values[i]).collect::<Vec<f32>>()
    };
    assert!(grown(Regrown::Zero).iter().all(|value| *value == 0.0));
    let drawn = grown(Regrown::Normal { std: 0.1 });
    let mean_square = drawn.iter().map(|value| value * value).sum::<f32>() / drawn.len() as f32;
    assert!(drawn.len() > 300 && drawn.iter().all(|value| *value != 0.0));
    // Over more than 300 draws the standard error of the mean square is below a twelfth of it.
    assert!((mean_square.sqrt() - 0.1).abs() < 0.02, "{mean_square}");
}

/// The cost of training by the papers' formulas, in units of a dense step of SGD.
#[test]
fn training_costs_what_the_papers_say() {
    let cost = |method: Box<dyn zosam::SparsityMethod>, sharpness: zosam::SharpnessConfig| {
        let mut sparsity = Sparsity::from_boxed(method);
        let layer = LinearConfig::new(100, 100).with_bias(false).init(&device());
        let loss = |layer: &Linear| layer.weight.val().powi_scalar(2).sum();
        let mut layer = sparsity.attach(layer, loss).unwrap();
        let mut optim = sharpness.init(SgdConfig::new().build()).unwrap();
        for _ in 0..20 {
            (layer, _) = optim.step_with(0.1, layer, &mut sparsity, loss).unwrap();
        }
        let report = sparsity.report(&layer).with_uses(|_| Some(1));
        report.training_flops_ratio.unwrap()
    };
    let none = || zosam::SharpnessConfig::None;
    let close = |cost: f64, expected: f64| assert!((cost - expected).abs() < 1e-9, "{cost}");
    let s = 0.1;
    close(cost(Box::new(RandomStatic::new(0.9)), none()), s);
    // Of 20 steps, 5, 10 and 15 change masks, and take the dense gradient: 2 f_S + f_D instead of 3 f_S.
    let rigl = || Box::new(RigL::new(0.9).until(20).every(5));
    close(cost(rigl(), none()), s + 3.0 / 20.0 * (1.0 - s) / 3.0);
    close(cost(Box::new(Set::new(0.9).every(5).until(20)), none()), s);
    close(
        cost(Box::new(zosam::Snfs::new(0.9).every(5).until(20)), none()),
        (2.0 * s + 1.0) / 3.0,
    );
    close(
        cost(
            Box::new(TopKast::new(0.9).with_backward_sparsity(0.6)),
            none(),
        ),
        (2.0 * s + 0.4) / 3.0,
    );
    // Two forwards and one backward pass; two of each.
    let zo = zosam::SharpnessConfig::ZoSam(ZoSamConfig::new());
    close(cost(Box::new(RandomStatic::new(0.9)), zo), 4.0 / 3.0 * s);
    let sam = zosam::SharpnessConfig::Sam(zosam::SamConfig::new());
    close(cost(Box::new(RandomStatic::new(0.9)), sam), 2.0 * s);
}

/// A model that was not made for training says what makes it so, and both ways do.
#[test]
fn an_untrainable_model_says_what_to_do() {
    let plain = Device::flex();
    let layer = |device: &Device| LinearConfig::new(8, 4).init(device);
    let attach = |layer: Linear| {
        let mut sparsity = Sparsity::new(RandomStatic::new(0.5));
        let attached = sparsity.attach(layer, |layer: &Linear| layer.weight.val().sum());
        attached.map_err(zosam::Error::from)
    };
    let autodiff = plain.clone().autodiff();
    // Neither way to move a model makes it trainable.
    for moved in [
        layer(&plain).to_device(&autodiff),
        layer(&plain).fork(&autodiff),
    ] {
        let message = attach(moved).unwrap_err().to_string();
        for word in ["`.autodiff()`", "`.train()`", "`.fork(&device)`"] {
            assert!(message.contains(word), "{message}");
        }
    }
    for trainable in [layer(&plain).train(), layer(&autodiff).fork(&autodiff)] {
        let attached = attach(trainable).unwrap();
        assert_eq!(tree::leaves(&attached).len(), 2);
    }
}

/// A method's name decides nothing: one that is called as the dense baseline has its masks.
#[test]
fn a_method_may_have_any_name() {
    #[derive(Debug)]
    struct Named;
    impl Recipe for Named {
        fn parts(&self, draw: Draw) -> Parts {
            Parts::once("dense", 0.5, draw)
        }
    }
    let mut sparsity = Sparsity::new(Named);
    let net = Net::new(&Device::flex().autodiff());
    let net = sparsity.attach_on(net, &()).unwrap();
    assert_eq!(sparsity.masks().live_weights(), 160); // half of 2 · 8 × 16 + 16 × 4
    assert_eq!(sparsity.report(&net).method, "dense");
    let mut dense = Sparsity::dense();
    dense.attach_on(net, &()).unwrap();
    assert!(dense.masks().is_dense() && !dense.plan().masks);
}
