//! LookSAM: SAM's second pass at every k-th perturbed step only.

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::ascent::along_gradient;
use super::radius::SMALLEST_NORM;
use super::setters::{not_negative, setters};
use super::{Ascent, Descent, Gradients, Memory, Perturbation, Scope, Site, period};
use crate::error::{Result, check};
use crate::objective::{BatchLoss, Objective};
use crate::tree::ParamVector;

const KEPT: &str = "orthogonal";

/// Which weights LookSAM's projection and norms cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Projection {
    /// All live weights together, as in the paper.
    #[default]
    Global,
    /// Each parameter tensor on its own, as in the public implementations.
    PerTensor,
}

/// LookSAM: SAM at every k-th step, and part of its gradient at the steps between.
///
/// The steps between descend `g + α ‖g‖ g_v/‖g_v‖`, with `g_v` the part of SAM's last gradient that
/// is orthogonal to the plain one. Two forwards and two backwards at each k-th step, one of each at
/// the others. Only perturbed steps are counted: with a [`Schedule`](super::Schedule) each k-th of
/// those that it names. If SAM's pass had to be given up, the next step makes it. When masks
/// change, `g_v` keeps what is live.
///
/// | field | default | range |
/// |---|---|---|
/// | `rho` | 0.05 | finite, ≥ 0 |
/// | `every` | 5 | ≥ 1; 1 is SAM |
/// | `alpha` | 0.7 | finite, ≥ 0 |
/// | `projection` | global | |
/// | `scope` | all trainable parameters | |
///
/// Liu et al., "Towards Efficient and Scalable Sharpness-Aware Minimization", CVPR 2022 (arXiv
/// 2203.02714), with its global projection; the public implementations project tensor by tensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LookSamConfig {
    /// Radius `ρ`.
    pub rho: f64,
    /// Period `k` of SAM's pass, in perturbed steps.
    pub every: u64,
    /// Size `α` of the kept part, in norms of the gradient.
    pub alpha: f64,
    /// Over what projection and norms are taken.
    pub projection: Projection,
    /// Which parameters are perturbed.
    pub scope: Scope,
}

impl Default for LookSamConfig {
    fn default() -> Self {
        Self {
            rho: 0.05,
            every: 5,
            alpha: 0.7,
            projection: Projection::Global,
            scope: Scope::AllTrainable,
        }
    }
}

setters!(LookSamConfig {
    /// Sets the radius `ρ`.
    with_rho(rho: f64),
    /// Sets the period `k` of SAM's pass, in perturbed steps.
    with_every(every: u64),
    /// Sets the size `α` of the kept part.
    with_alpha(alpha: f64),
    /// Sets over what projection and norms are taken.
    with_projection(projection: Projection),
    /// Sets which parameters are perturbed.
    with_scope(scope: Scope),
});

impl LookSamConfig {
    /// The part of a gradient that is orthogonal to another one.
    fn orthogonal(&self, there: ParamVector, here: ParamVector) -> ParamVector {
        self.by_part(there, here, |there, here| {
            let share = there.dot(here) / here.dot(here);
            let share = if share.is_finite() { share } else { 0.0 };
            there.clone().plus_scaled(here, -share)
        })
    }

    /// `α ‖g‖ g_v/‖g_v‖`.
    fn addition(&self, gradient: ParamVector, kept: ParamVector) -> ParamVector {
        self.by_part(gradient, kept, |gradient, kept| {
            let (norm, length) = (gradient.norm(), kept.norm());
            match length > SMALLEST_NORM {
                true => kept.clone().scaled(self.alpha * norm / length),
                false => ParamVector::default(),
            }
        })
    }

    /// `Σ f(part)`, with one part or one per tensor.
    fn by_part(
        &self,
        a: ParamVector,
        b: ParamVector,
        f: impl Fn(&ParamVector, &ParamVector) -> ParamVector,
    ) -> ParamVector {
        match self.projection {
            Projection::Global => f(&a, &b),
            Projection::PerTensor => {
                let mut whole = ParamVector::default();
                for (id, _) in a.iter() {
                    let one = |vector: &ParamVector| vector.clone().filter(|other| other == id);
                    for (id, component) in f(&one(&a), &one(&b)).iter() {
                        whole.push(id, component.clone());
                    }
                }
                whole
            }
        }
    }
}

impl Perturbation for LookSamConfig {
    fn validate(&self) -> Result<()> {
        not_negative("rho", self.rho)?;
        check("every", self.every as f64, self.every >= 1, "at least 1")?;
        not_negative("alpha", self.alpha)
    }

    fn ascend<M: Module, F: BatchLoss<M>>(
        &self,
        objective: &mut Objective<'_, M, F>,
        site: Site<'_>,
        memory: &Memory,
    ) -> Ascent<M, F::Extra> {
        match period::renews(memory, self.every) {
            true => along_gradient(objective, site, self.scope, self.rho),
            false => Ascent::none(),
        }
    }

    fn descend(&self, found: Gradients, site: Site<'_>, memory: &mut Memory) -> Descent {
        if !found.ascended {
            return found.perturbed.into();
        }
        let measured = site.restrict(found.perturbed.clone(), Scope::AllTrainable);
        if period::renews(memory, self.every) {
            if let (Some(here), Some(_)) = (found.here, found.offset) {
                let orthogonal =
                    self.orthogonal(measured, site.restrict(here, Scope::AllTrainable));
                memory.put(KEPT, orthogonal, site.masks);
                period::note(memory);
            }
            return found.perturbed.into();
        }
        period::note(memory);
        match memory.vector(KEPT, site.masks) {
            Some(kept) => {
                let addition = self.addition(measured, kept);
                found.perturbed.plus_scaled(&addition, 1.0).into()
            }
            None => found.perturbed.into(),
        }
    }

    fn vectors(&self) -> usize {
        1
    }
}
