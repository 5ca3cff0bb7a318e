//! A sparsity method at work on a model.

mod attach;
mod first;
mod given;
mod given_masks;
mod history;
mod latent;
mod layer_rules;
mod progress;
mod report;
mod saved;
mod step;
mod weights;
mod work;

pub use report::{LayerReport, SparsityReport};
pub use saved::SparsityParts;
pub use step::MaskUpdate;
pub use work::Work;

use std::sync::Arc;

use burn::module::{Module, ParamGroup};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use self::history::History;
use self::latent::Latent;
use self::layer_rules::{LayerRule, LayerRules};
use crate::error::{Error, Result};
use crate::masks::{Execution, Masks};
use crate::sparse::{Dense, Granularity, Plan, SparsityMethod};
use crate::tree::{self, Leaf, ParamVector};

/// Which gradient ranks dead weights when masks change under a perturbation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Growth {
    /// The gradient at `θ + ε`, which the step has computed anyway. The default.
    #[default]
    Perturbed,
    /// A gradient at `θ`: one more forward and backward on the steps that change masks.
    Clean,
}

/// A [`SparsityMethod`] together with the masks it keeps on a model.
///
/// By default the weights of convolutions and linear layers are sparse; biases, norm parameters,
/// embeddings and running statistics never are. A [`ParamGroup`] selects other parameters by path,
/// pattern or id.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::{Linear, LinearConfig}, tensor::{Device, Tensor}};
/// use zosam::sparse::{RandomStatic, Sparsity};
/// let device = Device::flex().autodiff();
/// let model = LinearConfig::new(20, 10).init(&device);
/// let batch = Tensor::<2>::ones([4, 20], &device);
/// let mut sparsity = Sparsity::new(RandomStatic::new(0.9));
/// let model = sparsity
///     .attach(model, |model: &Linear| model.forward(batch.clone()).sum())
///     .unwrap();
/// assert_eq!(sparsity.masks().live_weights(), 20);
/// # }
/// ```
#[derive(Debug)]
pub struct Sparsity {
    method: Box<dyn SparsityMethod>,
    /// The method's, as of its attach.
    plan: Plan,
    group: Option<ParamGroup>,
    seed: u64,
    growth: Growth,
    execution: Execution,
    masks: Masks,
    rules: LayerRules,
    settled: Vec<LayerRule>,
    targets: Vec<Option<f64>>,
    history: History,
    latent: Option<Latent>,
    work: Work,
    reduce: Option<AllReduce>,
    /// First masks that were given, not chosen.
    given: Option<Masks>,
    /// Which of the masked weights are frozen, as of the step that was begun last.
    frozen: Vec<bool>,
    /// The method's state before it is attached for the first time.
    fresh: serde_json::Value,
    attached: bool,
}

/// Makes one gradient of those of all replicas.
#[derive(Clone)]
struct AllReduce(Arc<Reduction>);

type Reduction = dyn Fn(&str, Tensor<1>) -> Tensor<1> + Send + Sync;

impl std::fmt::Debug for AllReduce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AllReduce")
    }
}

impl Sparsity {
    /// A method that is not attached to a model yet.
    pub fn new(method: impl SparsityMethod + 'static) -> Self {
        Self::from_boxed(Box::new(method))
    }

    /// As [`new`](Self::new), for a method chosen at run time.
    pub fn from_boxed(method: Box<dyn SparsityMethod>) -> Self {
        Self {
            fresh: method.state(),
            plan: method.plan(),
            method,
            group: None,
            seed: 0,
            growth: Growth::default(),
            execution: Execution::default(),
            masks: Masks::dense(),
            rules: LayerRules::default(),
            settled: Vec::new(),
            targets: Vec::new(),
            history: History::default(),
            latent: None,
            work: Work::default(),
            reduce: None,
            given: None,
            frozen: Vec::new(),
            attached: false,
        }
    }

    /// No sparsity.
    pub fn dense() -> Self {
        Self {
            attached: true,
            ..Self::new(Dense {})
        }
    }

    /// Makes the trainable parameters of a group sparse, instead of all convolution and linear
    /// weights.
    pub fn with_group(mut self, group: ParamGroup) -> Self {
        self.group = Some(group);
        self
    }

    /// Makes the weights of a group of layers live and die in units; by default each does on its
    /// own. Where groups overlap, the later call wins.
    ///
    /// ```
    /// use zosam::sparse::{Granularity, RigL, Sparsity};
    /// use burn::module::ParamGroup;
    ///
    /// let layers = ParamGroup::from_regex(r"^layer\d").unwrap();
    /// let sparsity = Sparsity::new(RigL::new(0.5).until(10_000))
    ///     .with_granularity(layers, Granularity::NOfM { live: 2, of: 4 });
    /// ```
    pub fn with_granularity(mut self, group: ParamGroup, granularity: Granularity) -> Self {
        self.rules.add_granularity(group, granularity);
        self
    }

    /// Gives each layer of a group a density of its own, 1 for one that stays dense; the other
    /// layers share the rest of the method's budget. Where groups overlap, the later call wins.
    pub fn with_density(mut self, group: ParamGroup, density: f64) -> Self {
        self.rules.add_density(group, density);
        self
    }

    /// Sets the seed of random masks and random growth. Default 0.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets which gradient grows weights.
    pub fn with_growth(mut self, growth: Growth) -> Self {
        self.growth = growth;
        self
    }

    /// Sets which arithmetic the layers of [`nn`](crate::nn) use. Default [`Execution::Auto`]:
    /// sparse where that is faster.
    pub fn with_execution(mut self, execution: Execution) -> Self {
        self.execution = execution;
        self
    }

    /// Runs `evaluate`, a validation pass say, with the masks in scope, as [`Masks::run`].
    pub fn run<R>(&self, evaluate: impl FnOnce() -> R) -> R {
        self.masks.run(self.execution, evaluate)
    }

    /// Sets how the replicas of a data-parallel run agree on a gradient: given a parameter's path
    /// and this replica's flat gradient, returns the mean over all replicas.
    ///
    /// It is called for each parameter, in the same order on every replica, for the gradients that
    /// choose the first masks, those that step and those that grow weights, and with the path
    /// `loss` for losses by which replicas choose between steps. With one seed and equal weights,
    /// replicas then stay equal, masks included: compare [`Masks::fingerprint`].
    ///
    /// Perturbations are found on each replica's own batch, as in SAM's m-sharpness. Give the
    /// optimizers of the replicas different seeds, so that random directions and dropout differ
    /// where the data do; the seeds of their `Sparsity` have to be equal.
    pub fn with_all_reduce(
        mut self,
        mean: impl Fn(&str, Tensor<1>) -> Tensor<1> + Send + Sync + 'static,
    ) -> Self {
        self.reduce = Some(AllReduce(Arc::new(mean)));
        self
    }

    /// Whether there are replicas to agree with.
    pub(crate) fn reduces(&self) -> bool {
        self.reduce.is_some()
    }

    /// Whether masks change in a step of the optimizer: never while all masked weights are frozen.
    pub(crate) fn is_due(&self, step: u64) -> bool {
        let all_frozen = !self.frozen.is_empty() && !self.frozen.contains(&false);
        !all_frozen && self.method.is_due(self.own_step(step))
    }

    /// Whether the perturbation acts at a step of the optimizer.
    pub(crate) fn perturbs(&self, step: u64) -> bool {
        self.method.perturbs(self.own_step(step))
    }

    /// The method's step at a step of the optimizer: those before the attach do not count.
    pub(super) fn own_step(&self, step: u64) -> u64 {
        self.history.progress.own_step(step)
    }

    /// The mean of a gradient over all replicas.
    pub(crate) fn all_reduced<M: Module>(&self, model: &M, gradient: ParamVector) -> ParamVector {
        let Some(AllReduce(mean)) = &self.reduce else {
            return gradient;
        };
        let leaves = tree::leaves(model);
        gradient.map(|id, component| {
            let leaf = leaves.iter().find(|leaf| leaf.id == id);
            let leaf = leaf.expect("a gradient belongs to a parameter");
            mean(&leaf.path, component)
        })
    }

    /// The means of losses over all replicas.
    pub(crate) fn all_reduced_losses<M: Module>(&self, model: &M, losses: Vec<f64>) -> Vec<f64> {
        let Some(AllReduce(mean)) = &self.reduce else {
            return losses;
        };
        let device = device_of(model).without_autodiff();
        let losses: Vec<f32> = losses.into_iter().map(|loss| loss as f32).collect();
        let losses = mean("loss", Tensor::from_floats(losses.as_slice(), &device));
        losses.to_data().iter::<f64>().collect()
    }

    /// The masks.
    pub fn masks(&self) -> &Masks {
        &self.masks
    }

    /// The method.
    pub fn method(&self) -> &dyn SparsityMethod {
        self.method.as_ref()
    }

    /// What the method is, as of its attach.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Live counts and densities, per layer and over all.
    pub fn report<M: Module>(&self, model: &M) -> SparsityReport {
        let trainable = tree::trained(model);
        let frozen = |leaf: &&Leaf| !trainable.iter().any(|other| other.id == leaf.id);
        let frozen: Vec<&Leaf> = self.masks.leaves().filter(frozen).collect();
        let sizes = |leaves: &mut dyn Iterator<Item = &Leaf>| leaves.map(Leaf::len).sum::<usize>();
        let model_weights = sizes(&mut trainable.iter()) + sizes(&mut frozen.iter().copied());
        let report = SparsityReport::new(&self.plan, &self.masks, &self.history, model_weights);
        let granularities = self.settled.iter().map(|rule| rule.granularity);
        let report = report.with_aims(&self.targets, granularities);
        report.with_frozen(&frozen).with_work(&self.work)
    }

    pub(crate) fn check_attached(&self) -> Result<()> {
        match self.attached {
            true => Ok(()),
            false => Err(Error::NotAttached),
        }
    }

    pub(crate) fn growth(&self) -> Growth {
        self.growth
    }

    /// The step of the learning-rate schedule and of the data that belongs to a step of the
    /// optimizer: the same but for methods that rewind, as [`LotteryTicket`](crate::LotteryTicket)
    /// does.
    ///
    /// A method's own steps count from the attach. Until its first step is taken, any step is taken
    /// for that one: ask at each step, before it. [`SparsityMethod::schedule_step`] plans ahead.
    pub fn schedule_step(&self, step: u64) -> u64 {
        let beginning = self.history.progress.beginning(step);
        beginning + self.method.schedule_step(step - beginning)
    }
}

/// The device of a model with parameters.
fn device_of<M: Module>(model: &M) -> Device {
    tree::device(model).unwrap_or_default()
}
