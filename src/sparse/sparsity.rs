//! A sparsity method at work on a model.

use std::collections::HashMap;
use std::sync::Arc;

use burn::module::{Module, ParamGroup, ParamId};
use burn::tensor::{Bytes, Device, Tensor, TensorData};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::evidence::Losses;
use super::history::History;
use super::latent::{Latent, Training};
use super::layer_rules::{LayerRule, LayerRules, check_units};
use super::report::SparsityReport;
use super::selection::generator;
use super::weights::{read_weights, select};
use super::work::Work;
use super::{Dense, Evidence, Granularity, Need, Regrown, SparsityMethod};
use crate::error::{Error, Result};
use crate::masks::{LiveSet, Masks, count};
use crate::objective::{Loss, Passes};
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
    group: Option<ParamGroup>,
    seed: u64,
    growth: Growth,
    masks: Masks,
    rules: LayerRules,
    settled: Vec<LayerRule>,
    targets: Vec<Option<f64>>,
    history: History,
    latent: Option<Latent>,
    work: Work,
    reduce: Option<AllReduce>,
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

/// A [`Sparsity`] as bytes and JSON; see [`Sparsity::to_parts`].
#[derive(Debug, Clone)]
pub struct SparsityParts {
    /// The masks, in burn's record format.
    pub masks: Bytes,
    /// What was live before, and remembered gradients, in burn's record format.
    pub history: Bytes,
    /// The method's own memory.
    pub method: serde_json::Value,
    /// What training has cost.
    pub work: Work,
}

/// What a change of masks did.
#[derive(Debug, Clone, Default)]
pub struct MaskUpdate {
    /// Number of weights that died.
    pub dropped: usize,
    /// Number of weights that came to life.
    pub grown: usize,
    /// For each masked weight the positions that were live before and are live now: the only ones
    /// whose optimizer state means anything.
    pub(crate) kept: HashMap<ParamId, LiveSet>,
}

impl Sparsity {
    /// A method that is not attached to a model yet.
    pub fn new(method: impl SparsityMethod + 'static) -> Self {
        Self::from_boxed(Box::new(method))
    }

    /// As [`new`](Self::new), for a method chosen at run time.
    pub fn from_boxed(method: Box<dyn SparsityMethod>) -> Self {
        Self {
            method,
            group: None,
            seed: 0,
            growth: Growth::default(),
            masks: Masks::dense(),
            rules: LayerRules::default(),
            settled: Vec::new(),
            targets: Vec::new(),
            history: History::default(),
            latent: None,
            work: Work::default(),
            reduce: None,
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

    /// Makes the trainable parameters of a group sparse, instead of all convolution and linear weights.
    pub fn with_group(mut self, group: ParamGroup) -> Self {
        self.group = Some(group);
        self
    }

    /// Makes the weights of a group of layers live and die in units; by default each does on its own. Where groups
    /// overlap, the later call wins.
    ///
    /// ```
    /// use zosam::sparse::{Granularity, RigL, Sparsity};
    /// use burn::module::ParamGroup;
    ///
    /// let layers = ParamGroup::from_regex(r"^layer\d").unwrap();
    /// let sparsity = Sparsity::new(RigL::new(0.5, 10_000))
    ///     .with_granularity(layers, Granularity::NOfM { live: 2, of: 4 });
    /// ```
    pub fn with_granularity(mut self, group: ParamGroup, granularity: Granularity) -> Self {
        self.rules.add_granularity(group, granularity);
        self
    }

    /// Gives each layer of a group a density of its own, 1 for one that stays dense; the other layers share the rest
    /// of the method's budget. Where groups overlap, the later call wins.
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

    /// Sets how the replicas of a data-parallel run agree on a gradient: given a parameter's path and this
    /// replica's flat gradient, returns the mean over all replicas.
    ///
    /// It is called for each parameter, in the same order on every replica, for the gradients that choose the
    /// first masks, those that step and those that grow weights. With one seed and equal weights, replicas
    /// then stay equal, masks included: compare [`Masks::fingerprint`]. Perturbations are found on each
    /// replica's own batch, as in SAM's m-sharpness.
    pub fn with_all_reduce(
        mut self,
        mean: impl Fn(&str, Tensor<1>) -> Tensor<1> + Send + Sync + 'static,
    ) -> Self {
        self.reduce = Some(AllReduce(Arc::new(mean)));
        self
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

    /// Chooses the first masks and returns the model with its dead weights at zero.
    ///
    /// The loss is evaluated only by methods that start from a gradient, on the batch that the closure
    /// captured, and leaves no trace in the model; it sets the backend's random seed, as a step does.
    ///
    /// # Errors
    ///
    /// A configuration out of its range, no weight to make sparse, a budget that cannot be reached,
    /// or a score that is not a number.
    pub fn attach<M, L, F>(&mut self, model: M, loss: F) -> Result<M>
    where
        M: Module,
        L: Loss,
        F: Fn(&M) -> L,
    {
        self.attach_over(model, [loss])
    }

    /// As [`attach`](Self::attach), with the gradient summed over several batches: one loss for each.
    ///
    /// Scores are computed from the sum, `|w · Σ g|` for SNIP, as for one large batch.
    ///
    /// # Errors
    ///
    /// As [`attach`](Self::attach).
    pub fn attach_over<M, L, F>(
        &mut self,
        model: M,
        losses: impl IntoIterator<Item = F>,
    ) -> Result<M>
    where
        M: Module,
        L: Loss,
        F: Fn(&M) -> L,
    {
        self.attach_on(model, &Losses(losses.into_iter().collect()))
    }

    /// As [`attach`](Self::attach), for methods that need more than gradients: [`Grasp`](super::Grasp) and
    /// [`SynFlow`](super::SynFlow), with a [`Classification`](super::Classification).
    ///
    /// # Errors
    ///
    /// As [`attach`](Self::attach), or if the evidence does not tell what the method needs.
    pub fn attach_on<M: Module>(&mut self, model: M, evidence: &impl Evidence<M>) -> Result<M> {
        self.method.validate()?;
        // burn initialises parameters when they are first read: do it here for every method alike, so
        // that runs with different methods start from the same weights.
        tree::values(&model);
        if self.method.name() == "dense" {
            self.attached = true;
            return Ok(model);
        }
        let leaves = select(&model, self.group.as_ref())?;
        let rules = self.rules.settle(&leaves, self.method.as_ref())?;
        let targets = self.target_densities(&leaves, &rules)?;
        let mut live: Vec<LiveSet> = leaves.iter().map(|leaf| vec![true; leaf.len()]).collect();
        let device = device_of(&model);
        let mut masks = Masks::new(&leaves, &live, &device);
        for round in 0..self.method.rounds() {
            let masked = masks.project_model(model.clone());
            let measured = self.measure(&masked, &leaves, evidence)?;
            let live_now = |leaf: &Leaf| masks.live_set(leaf.id);
            let weights = read_weights(&masked, &leaves, measured.as_ref(), &rules, live_now)?;
            live = match round {
                0 => self.method.initial(&weights, self.seed)?,
                _ => self.method.refine(round, &weights, self.seed)?,
            };
            masks = Masks::new(&leaves, &live, &device);
        }
        check_units(&leaves, &rules, &live, self.method.as_ref())?;
        let everywhere = |leaf: &Leaf| Some(vec![true; leaf.len()]);
        let weights = read_weights(&model, &leaves, None, &rules, everywhere)?;
        let training = self.method.training(&weights, &live)?;
        let values = Latent::values_of(&model, &masks);
        self.latent = training.map(|training| Latent::new(values, training, &leaves, &device));
        self.settled = rules;
        self.attached = true;
        self.masks = masks;
        self.targets = targets;
        self.history = History::new(&live);
        self.work = Work::default();
        for warning in self.report(&model).warnings() {
            log::warn!("{warning}");
        }
        Ok(self.masks.project_model(model))
    }

    /// The densities aimed at, where they are known: with densities of single layers, only those.
    fn target_densities(&self, leaves: &[Leaf], rules: &[LayerRule]) -> Result<Vec<Option<f64>>> {
        if rules.iter().any(|rule| rule.density.is_some()) {
            return Ok(rules.iter().map(|rule| rule.density).collect());
        }
        let shapes: Vec<_> = leaves.iter().map(|leaf| leaf.shape.clone()).collect();
        let targets = self.method.target_densities(&shapes)?;
        Ok(match targets {
            Some(targets) => targets.into_iter().map(Some).collect(),
            None => vec![None; leaves.len()],
        })
    }

    /// What the method needs to choose its first masks.
    fn measure<M: Module>(
        &self,
        model: &M,
        leaves: &[Leaf],
        evidence: &impl Evidence<M>,
    ) -> Result<Option<ParamVector>> {
        let selected = |id| leaves.iter().any(|leaf| leaf.id == id);
        let measured = match self.method.need() {
            Need::Nothing => return Ok(None),
            Need::Gradient => evidence.gradient(model, 1.0, self.seed)?,
            Need::HessianGradient { temperature } => {
                let gradient = evidence.gradient(model, temperature, self.seed)?;
                let gradient = self.all_reduced(model, gradient).filter(selected);
                evidence.hessian_product(model, &gradient, temperature, self.seed)?
            }
            Need::SynapticFlow => evidence.synaptic_flow(model, self.seed)?,
        };
        Ok(Some(self.all_reduced(model, measured)))
    }

    /// The masks.
    pub fn masks(&self) -> &Masks {
        &self.masks
    }

    /// The method.
    pub fn method(&self) -> &dyn SparsityMethod {
        self.method.as_ref()
    }

    /// Live counts and densities, per layer and over all.
    pub fn report<M: Module>(&self, model: &M) -> SparsityReport {
        let model_weights = tree::leaves(model).iter().map(Leaf::len).sum();
        let method = self.method.as_ref();
        let report = SparsityReport::new(method, &self.masks, &self.history, model_weights);
        let granularities = self.settled.iter().map(|rule| rule.granularity);
        let report = report.with_aims(&self.targets, granularities);
        report.with_work(&self.work)
    }

    /// The masks, what was live before and the method's memory, for a checkpoint.
    ///
    /// # Errors
    ///
    /// If a record cannot be written.
    pub fn to_parts(&self) -> Result<SparsityParts> {
        let leaves: Vec<Leaf> = self.masks.leaves().cloned().collect();
        Ok(SparsityParts {
            masks: self.masks.clone().into_bytes()?,
            history: self.history.to_bytes(&leaves, self.latent.as_ref())?,
            method: self.method.state(),
            work: self.work.clone(),
        })
    }

    /// Takes over what [`to_parts`](Self::to_parts) returned, instead of
    /// [`attach`](Self::attach).
    ///
    /// # Errors
    ///
    /// If they belong to another model, selection or method.
    pub fn load_parts<M: Module>(&mut self, model: &M, parts: SparsityParts) -> Result<()> {
        self.method.validate()?;
        let leaves = match self.method.name() {
            "dense" => Vec::new(),
            _ => select(model, self.group.as_ref())?,
        };
        let rules = self.rules.settle(&leaves, self.method.as_ref())?;
        let targets = self.target_densities(&leaves, &rules)?;
        let device = device_of(model);
        let masks = Masks::from_bytes(parts.masks, &leaves, &device)?;
        let (history, latent) = History::from_bytes(parts.history, &leaves, &device)?;
        let latent = self.restored(latent, model, &leaves, &masks, &rules)?;
        history.check_rewind_point(model)?;
        self.method.load_state(parts.method)?;
        self.masks = masks;
        self.history = history;
        self.latent = latent;
        self.work = parts.work;
        self.settled = rules;
        self.targets = targets;
        self.attached = true;
        Ok(())
    }

    /// The latent values of a checkpoint, where the method has such.
    fn restored<M: Module>(
        &self,
        stored: Option<(ParamVector, Vec<LiveSet>)>,
        model: &M,
        leaves: &[Leaf],
        masks: &Masks,
        rules: &[LayerRule],
    ) -> Result<Option<Latent>> {
        let live_now = |leaf: &Leaf| masks.live_set(leaf.id);
        let weights = read_weights(model, leaves, None, rules, live_now)?;
        let live: Vec<LiveSet> = weights.iter().map(|weight| weight.live.clone()).collect();
        // Of this only the decays are of use: the sets were chosen by the values of another step.
        let training = self.method.training(&weights, &live)?;
        match (training, stored) {
            (Some(training), Some((values, sets))) => {
                let training = Training { sets, ..training };
                Ok(Some(Latent::new(
                    values,
                    training,
                    leaves,
                    &device_of(model),
                )))
            }
            (None, None) => Ok(None),
            (wanted, _) => Err(Error::Mismatch {
                what: "the history of the masks",
                reason: match wanted {
                    Some(_) => "it holds no latent values, which the method needs".to_string(),
                    None => "it holds latent values, which the method does not have".to_string(),
                },
            }),
        }
    }

    pub(crate) fn check_attached(&self) -> Result<()> {
        match self.attached {
            true => Ok(()),
            false => Err(Error::Mismatch {
                what: "a sparsity method without masks",
                reason: "call `attach` (or load a checkpoint) before the first step".to_string(),
            }),
        }
    }

    pub(crate) fn growth(&self) -> Growth {
        self.growth
    }

    /// The step of the learning-rate schedule and of the data that belongs to a step of the run: the same but
    /// for methods that rewind, as [`LotteryTicket`](super::LotteryTicket) does.
    pub fn schedule_step(&self, step: u64) -> u64 {
        self.method.schedule_step(step)
    }

    /// Keeps the model if this is the step to rewind to.
    pub(crate) fn keep_rewind_point<M: Module>(&mut self, step: u64, model: &M) {
        if self.method.rewind_step() == Some(step) {
            let tensors = tree::named_tensors(model).into_iter();
            self.history.rewind = tensors
                .map(|(path, data)| {
                    let (bytes, shape, dtype) = data.into_parts();
                    let flat = [shape.num_elements()];
                    (path, TensorData::from_bytes(bytes, flat, dtype))
                })
                .collect();
        }
    }

    /// Whether the next change of masks rewinds the model.
    pub(crate) fn rewinds(&self) -> bool {
        !self.history.rewind.is_empty()
    }

    /// Whether the gradient of a step is ranked or remembered.
    pub(crate) fn observes(&self, step: u64) -> bool {
        let method = self.method.as_ref();
        let remembered = || {
            let memory = method.gradient_memory();
            memory.takes(step, |step| method.is_due(step))
        };
        !self.masks.is_dense() && (method.is_due(step) || remembered())
    }

    /// Adds up what a step has cost, before its change of masks.
    pub(crate) fn account(&mut self, step: u64, passes: Passes) {
        let dense = self.observes(step) && self.method.needs_dense_gradient();
        let masks = &self.masks;
        let layers = masks.leaves().enumerate().map(|(i, leaf)| {
            let live = masks.live(leaf.id).expect("a masked leaf has a count");
            let trained = match &self.latent {
                _ if dense => leaf.len(),
                Some(latent) => count(&latent.training.sets[i]),
                None => live,
            };
            (live, trained)
        });
        self.work.add(passes, layers);
    }

    /// Adds a step's gradient to the method's memory, if it has one.
    pub(crate) fn remember(&mut self, step: u64, gradient: &ParamVector) {
        let memory = self.method.gradient_memory();
        if memory.takes(step, |step| self.method.is_due(step)) {
            let masked = gradient.clone().filter(|id| self.masks.contains(id));
            self.history.gradient = memory.add(&self.history.gradient, masked);
        }
    }

    /// Whether dead weights have values, which only [`step_with`](crate::SharpOptimizer::step_with) can train.
    pub(crate) fn has_latent_values(&self) -> bool {
        self.latent.is_some()
    }

    /// The model and the gradient that the base optimizer steps with.
    pub(crate) fn before_step<M: Module>(
        &self,
        model: M,
        gradient: ParamVector,
    ) -> (M, ParamVector) {
        match &self.latent {
            None => (model, self.masks.project(gradient)),
            Some(latent) => (latent.reveal(model), latent.descent(gradient, &self.masks)),
        }
    }

    /// The model after the base optimizer's step, zero where it is dead.
    pub(crate) fn after_step<M: Module>(&mut self, model: M) -> M {
        match &mut self.latent {
            None => self.masks.project_model(model),
            Some(latent) => latent.conceal(model, &self.masks),
        }
    }

    /// Changes the masks and returns the model with its newly dead weights at zero.
    pub(crate) fn update<M: Module>(
        &mut self,
        step: u64,
        model: M,
        gradient: &ParamVector,
    ) -> Result<(M, MaskUpdate)> {
        let leaves: Vec<Leaf> = self.masks.leaves().cloned().collect();
        let live_now = |leaf: &Leaf| self.masks.live_set(leaf.id);
        let remembered = !self.history.gradient.is_empty();
        let gradient = match remembered {
            true => &self.history.gradient,
            false => gradient,
        };
        let shown = match &self.latent {
            Some(latent) => tree::replace(model.clone(), |id, _| latent.values.get(id).cloned()),
            None => model.clone(),
        };
        let weights = read_weights(&shown, &leaves, Some(gradient), &self.settled, live_now)?;
        let live = self.method.update(step, &weights, self.seed)?;
        check_units(&leaves, &self.settled, &live, self.method.as_ref())?;
        if self.method.gradient_memory().ends_with_update() {
            self.history.gradient = ParamVector::default();
        }
        let training = self.method.training(&weights, &live)?;
        let mut update = MaskUpdate::default();
        let mut born = ParamVector::default();
        for (i, (leaf, weight)) in leaves.iter().zip(&weights).enumerate() {
            let (old, new) = (&weight.live, &live[i]);
            let pairs = || old.iter().zip(new);
            update.dropped += pairs().filter(|(old, new)| **old && !**new).count();
            update.grown += pairs().filter(|(old, new)| !**old && **new).count();
            let kept = match (&self.latent, &training) {
                (Some(latent), Some(training)) => both(&latent.training.sets[i], &training.sets[i]),
                _ => both(old, new),
            };
            update.kept.insert(leaf.id, kept);
            if let Regrown::Normal { std } = self.method.regrown() {
                let grown: LiveSet = pairs().map(|(old, new)| *new && !*old).collect();
                let values = normal(&grown, std, generator(self.seed, step, &leaf.path));
                let device = device_of(&model).without_autodiff();
                born.push(leaf.id, Tensor::from_data(values, &device));
            }
        }
        let before = weights.into_iter().map(|weight| weight.live).collect();
        self.history.change(before, &live);
        let device = device_of(&model);
        self.masks = Masks::new(&leaves, &live, &device);
        let model = match self.rewinds() {
            true => tree::restore(&model, &self.history.rewind),
            false => model,
        };
        if let Some(latent) = self.latent.take() {
            let training = training.expect("a method has latent values always or never");
            let latent = Latent::new(latent.values, training, &leaves, &device);
            let model = latent.project(model, &self.masks);
            self.latent = Some(latent);
            return Ok((model, update));
        }
        let model = self.masks.project_model(model);
        let model = tree::replace(model, |id, value| Some(value + born.get(id)?.clone()));
        Ok((model, update))
    }
}

/// Positions in both sets.
fn both(a: &LiveSet, b: &LiveSet) -> LiveSet {
    a.iter().zip(b).map(|(a, b)| *a && *b).collect()
}

/// Normal numbers at the positions of a set, zero elsewhere.
fn normal(set: &LiveSet, std: f64, mut generator: ChaCha8Rng) -> TensorData {
    let mut draw = || (std * generator.sample::<f64, _>(StandardNormal)) as f32;
    let values: Vec<f32> = set
        .iter()
        .map(|member| if *member { draw() } else { 0.0 })
        .collect();
    TensorData::new(values, [set.len()])
}

/// The device of a model with parameters.
fn device_of<M: Module>(model: &M) -> Device {
    tree::device(model).unwrap_or_default()
}
