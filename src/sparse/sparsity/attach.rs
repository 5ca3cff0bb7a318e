//! Choosing the first masks.

use std::collections::BTreeSet;

use burn::module::Module;

use super::Sparsity;
use super::first::{First, zeroed};
use super::history::History;
use super::latent::Latent;
use super::layer_rules::{LayerRule, check_units};
use super::weights::{add_gradients, is_sparse, read_weights, select};
use super::work::Work;
use crate::error::{Failed, Result};
use crate::masks::{LiveSet, Masks};
use crate::objective::Loss;
use crate::sparse::evidence::Losses;
use crate::sparse::{Evidence, Need};
use crate::tree::{self, Leaf, ParamVector};

impl Sparsity {
    /// Chooses the first masks and returns the model with its dead weights at zero.
    ///
    /// The loss is evaluated only by methods that start from a gradient, on the batch that the
    /// closure captured, and leaves no trace in the model; it sets the backend's random seed, as a
    /// step does.
    ///
    /// The next step that is taken is the method's step 0, whatever steps the optimizer has taken
    /// before, in a dense warm-up say: schedules, rewinding and random growth count from here.
    /// Attached again, to the same or another model, a `Sparsity` starts afresh.
    ///
    /// Weights that are frozen now have no mask, unless masks [are given](Self::starting_from).
    /// Layers that are frozen later keep theirs: they stay sparse, take no part in changes of
    /// masks, and do so again when they are trained again.
    ///
    /// # Errors
    ///
    /// A configuration out of its range, no weight to make sparse, a budget that cannot be reached
    /// now or later, a score that is not a number, or given masks that do not fit. The error hands
    /// the model back.
    pub fn attach<M, L, F>(&mut self, model: M, loss: F) -> Result<M, Failed<M>>
    where
        M: Module,
        L: Loss,
        F: Fn(&M) -> L,
    {
        self.attach_over(model, [loss])
    }

    /// As [`attach`](Self::attach), with the gradient summed over several batches: one loss for
    /// each.
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
    ) -> Result<M, Failed<M>>
    where
        M: Module,
        L: Loss,
        F: Fn(&M) -> L,
    {
        self.attach_on(model, &Losses(losses.into_iter().collect()))
    }

    /// As [`attach`](Self::attach), on evidence of another kind than a loss.
    ///
    /// `&()` is enough for methods that need no gradient to choose the first masks
    /// ([`RigL`](crate::RigL) and others that start from random ones, or masks that are given).
    /// [`Grasp`](crate::Grasp) and [`SynFlow`](crate::SynFlow) need a
    /// [`Classification`](crate::sparse::Classification).
    ///
    /// # Errors
    ///
    /// As [`attach`](Self::attach), or if the evidence does not tell what the method needs.
    pub fn attach_on<M: Module>(
        &mut self,
        model: M,
        evidence: &impl Evidence<M>,
    ) -> Result<M, Failed<M>> {
        if let Err(error) = self.settle_on(&model, evidence) {
            return Err(Failed::new(error, model));
        }
        if self.masks.is_dense() {
            return Ok(model);
        }
        let model = zeroed(model, &self.masks);
        for warning in self.report(&model).warnings() {
            log::warn!("{warning}");
        }
        Ok(model)
    }

    /// Takes the masks that are given or that the method chooses.
    fn settle_on<M: Module>(&mut self, model: &M, evidence: &impl Evidence<M>) -> Result<()> {
        self.attached = false;
        // Nothing that it learnt in another run.
        self.method.load_state(self.fresh.clone())?;
        self.plan = self.method.plan();
        self.method.validate()?;
        // burn initialises parameters when they are first read: do it here for every method alike,
        // so that runs with different methods start from the same weights.
        tree::initialise(model);
        if !self.plan.masks {
            if self.given.is_some() {
                self.method.start_from(&[])?;
            }
            self.attached = true;
            return Ok(());
        }
        let First {
            leaves,
            rules,
            live,
        } = match &self.given {
            Some(given) => self.given_masks(model, given.clone())?,
            None => self.chosen_masks(model, evidence)?,
        };
        let masks = Masks::new(&leaves, &live);
        let targets = self.target_densities(&leaves, &rules)?;
        let everywhere = |leaf: &Leaf| Some(vec![true; leaf.len()]);
        let weights = read_weights(&tree::float_values(model), &leaves, &rules, everywhere)?;
        let training = self.method.training(&weights, &live)?;
        let values = Latent::values_of(model, &masks);
        self.latent = training.map(|training| Latent::new(values, training, &leaves));
        // The sparsity of masks that were there already is known only now.
        self.plan = self.method.plan();
        self.settled = rules;
        self.attached = true;
        self.targets = targets;
        self.frozen = Vec::new();
        self.history = History::new(&live);
        self.history.progress.given = self.given.is_some();
        self.history.progress.left_out = self.left_out(model, &masks);
        self.work = Work::default();
        self.masks = masks;
        Ok(())
    }

    /// The masks that the method chooses, among all trainable weights that are to be sparse.
    fn chosen_masks<M: Module>(&mut self, model: &M, evidence: &impl Evidence<M>) -> Result<First> {
        let leaves = select(model, self.group.as_ref())?;
        let rules = self.rules.settle(&leaves, &self.plan)?;
        let mut live: Vec<LiveSet> = leaves.iter().map(|leaf| vec![true; leaf.len()]).collect();
        for round in 0..self.plan.rounds {
            let masks = Masks::new(&leaves, &live);
            let masked = masks.project_model(model.clone());
            let live_now = |leaf: &Leaf| masks.live_set(leaf.id);
            let mut weights = read_weights(&tree::values(&masked), &leaves, &rules, live_now)?;
            if round == 0 {
                self.method.check_budget(&weights)?;
            }
            if let Some(measured) = self.measure(&masked, &leaves, evidence)? {
                add_gradients(&mut weights, &leaves, &measured)?;
            }
            live = match round {
                0 => self.method.initial(&weights, self.seed)?,
                _ => self.method.refine(round, &weights, self.seed)?,
            };
        }
        check_units(&leaves, &rules, &live, &self.plan)?;
        Ok(First {
            leaves,
            rules,
            live,
        })
    }

    /// Frozen parameters that would have been sparse: they have no mask, and stay dense if they are
    /// trained later.
    fn left_out<M: Module>(&self, model: &M, masks: &Masks) -> BTreeSet<String> {
        let all = tree::float_leaves(model).into_iter();
        let without = all.filter(|leaf| !masks.contains(leaf.id));
        let sparse = without.filter(|leaf| is_sparse(self.group.as_ref(), leaf));
        sparse.map(|leaf| leaf.path).collect()
    }

    /// The densities aimed at, where they are known: with densities of single layers, only those,
    /// with given masks none else.
    pub(super) fn target_densities(
        &self,
        leaves: &[Leaf],
        rules: &[LayerRule],
    ) -> Result<Vec<Option<f64>>> {
        if self.given.is_some() || rules.iter().any(|rule| rule.density.is_some()) {
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
        let measured = match self.plan.need {
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
}
