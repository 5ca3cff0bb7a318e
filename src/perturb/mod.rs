//! Where the gradient is measured.
//!
//! A sharpness-aware step differentiates the loss at `θ + ε` instead of at `θ`. A [`Perturbation`]
//! finds `ε`; perturbations differ in the passes that they spend on it. [Which one to
//! choose](crate::guide::choosing_a_perturbation) is in the guide.
//!
//! | | `ε` | passes of a step |
//! |---|---|---|
//! | [`Identity`] | 0 | 1 forward, 1 backward |
//! | [`FirstOrder`] (SAM) | `ρ g/‖g‖` | 2 forwards, 2 backwards |
//! | [`ZeroOrder`] (ZO-SAM), m = 1 | `±ρ u/‖u‖` | 2 forwards, 1 backward |
//! | [`ZeroOrder`], otherwise | `ρ ĝ/‖ĝ‖` | 2m + 1 forwards (one-sided m + 2), 1 backward |
//! | [`Asam`], [`FisherSam`] | SAM's, in another metric | 2 forwards, 2 backwards |
//! | [`Gsam`], [`Wsam`], [`FriendlySam`] | SAM's, with another descent or direction | 2 forwards, 2 backwards |
//! | [`Esam`] | SAM's on some tensors and samples | 3 forwards, 2 backwards, partly |
//! | [`LookSam`] | SAM's at every k-th step | 1 + 1/k of each |
//! | [`S2Sam`] | `ρ g/‖g‖` of the step before | 1 forward, 1 backward |
//! | [`MomentumSam`] | `−ρ v/‖v‖`, ahead along the momentum | 1 forward, 1 backward |
//! | [`RandomSign`] | `±ρ u/‖u‖`, the control | 1 forward, 1 backward |

mod adaptive;
mod efficient;
mod first_order;
mod fisher;
mod friendly;
mod look;
mod memory;
mod momentum;
mod period;
mod radius;
mod random;
mod s2sam;
mod schedule;
mod setters;
mod sharpness;
mod surrogate_gap;
mod weighted;
mod zero_order;

pub use adaptive::{Asam, AsamConfig};
pub use efficient::{Esam, EsamConfig};

pub use first_order::{FirstOrder, SamConfig};
pub use fisher::{FisherSam, FisherSamConfig};
pub use friendly::{FriendlySam, FriendlySamConfig};
pub use look::{LookSam, LookSamConfig, Projection};
pub use memory::Memory;
pub use momentum::{MomentumSam, MomentumSamConfig};
pub use random::{RandomSign, RandomSignConfig};
pub use s2sam::{S2Sam, S2SamConfig};
pub use schedule::Schedule;
pub use sharpness::{Sharpness, SharpnessConfig};
pub use surrogate_gap::{Gsam, GsamConfig, RadiusByRate};
pub use weighted::{Wsam, WsamConfig};
pub use zero_order::{Delta, Directions, Guide, Sides, ZeroOrder, ZeroOrderMemory, ZoSamConfig};

use burn::module::Module;
use serde::{Deserialize, Serialize};

use burn::tensor::Tensor;
pub(crate) use radius::unusable;
use radius::{Along, SMALLEST_NORM, normalised};

use crate::masks::Masks;
use crate::objective::{BatchLoss, Forward, Objective, Offset};
use crate::tree::{self, DirectionKey, Leaf, ParamVector};

/// Which parameters are perturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Every trainable parameter, as SAM does. Dead weights are left out in any case.
    #[default]
    AllTrainable,
    /// The weights that have a mask only: no biases, no norm parameters.
    SparseWeights,
}

/// Why a step was taken at `θ` although a perturbation was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlainReason {
    /// The estimate is zero: nothing tells up from down, or nothing is to be perturbed, as where
    /// ESAM has drawn no tensor.
    ZeroEstimate,
    /// The sparsity method wants none at this step: a lottery ticket's search.
    Method,
    /// The estimate, or loss or gradient at the perturbed point, is infinite or not a number.
    NonFinite,
    /// Nor is the gradient at `θ` finite: the batch is left out, and without another one weights
    /// stay as they are.
    NoGradient,
}

/// What a perturbation hands to the step.
pub struct Ascent<M, E> {
    /// `ε`; `None` to differentiate at `θ`.
    pub offset: Option<Offset>,
    /// The forward pass at `θ + ε`, where it has been made already.
    pub forward: Option<Forward<M, E>>,
    /// The twin whose forward pass at `θ` sets the running statistics; by default the pass that is
    /// differentiated does.
    pub buffers: Option<M>,
    /// The gradient at `θ`, where it has been measured and [`Perturbation::descend`] or the growth
    /// of weights may want it.
    pub here: Option<ParamVector>,
    /// Set if `ε` had to be given up.
    pub plain: Option<PlainReason>,
    /// The norm that a direction was divided by, on a device that nobody has waited for. If it is
    /// zero or not finite, there is no `ε`. The step reads it together with the loss.
    pub norm: Option<Tensor<1>>,
}

impl<M, E> Ascent<M, E> {
    /// Differentiate at `θ`.
    pub fn none() -> Self {
        Self {
            offset: None,
            forward: None,
            buffers: None,
            here: None,
            plain: None,
            norm: None,
        }
    }

    /// Differentiate at `θ`, for want of a usable estimate.
    pub fn given_up(reason: PlainReason) -> Self {
        Self {
            plain: Some(reason),
            ..Self::none()
        }
    }

    /// Differentiate at distance `ρ` from `θ` along a direction.
    pub fn along(direction: ParamVector, rho: f64) -> Self {
        match Along::new(direction, rho) {
            Ok(along) => along.into(),
            Err(reason) => Self::given_up(reason),
        }
    }

    /// Differentiate at `θ + offset`.
    pub fn to(offset: Offset) -> Self {
        Self {
            offset: Some(offset),
            ..Self::none()
        }
    }
}

impl<M, E> From<Along> for Ascent<M, E> {
    fn from(Along { offset, norm }: Along) -> Self {
        Self {
            norm,
            ..Self::to(offset)
        }
    }
}

/// What a perturbation knows about the step that it serves.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// The trainable parameters.
    pub leaves: &'a [Leaf],
    /// Their values `θ`, without a graph.
    pub weights: &'a ParamVector,
    /// The live weights; directions are projected onto them before their norm is taken.
    pub masks: &'a Masks,
    /// The optimizer's seed.
    pub seed: u64,
    /// The number of steps taken before this one.
    pub step: u64,
    /// The base learning rate, where the step knows it.
    pub lr: Option<f64>,
    /// What the [`Schedule`] multiplies radii by.
    pub strength: f64,
}

impl Site<'_> {
    /// The radius `ρ` at this step.
    pub fn radius(&self, rho: f64) -> f64 {
        self.strength * rho
    }

    /// The parameters that are perturbed.
    pub fn in_scope(&self, scope: Scope) -> impl Iterator<Item = &Leaf> {
        let perturbed = move |leaf: &&Leaf| match scope {
            Scope::AllTrainable => true,
            Scope::SparseWeights => self.masks.contains(leaf.id),
        };
        self.leaves.iter().filter(perturbed)
    }

    /// A random direction in the live subspace, not normalised, each component where its parameter
    /// lives.
    pub fn direction(
        &self,
        index: u64,
        distribution: tree::DirectionDistribution,
        scope: Scope,
    ) -> ParamVector {
        let key = DirectionKey {
            seed: self.seed,
            step: self.step,
            index,
        };
        let leaves = self.in_scope(scope);
        let direction = tree::draw_like(self.weights, leaves, key, distribution);
        self.masks.project(direction)
    }

    /// Restricts a vector to the live weights and to a scope.
    pub fn restrict(&self, vector: ParamVector, scope: Scope) -> ParamVector {
        let vector = self.masks.project(vector.whole());
        match scope {
            Scope::AllTrainable => vector,
            Scope::SparseWeights => vector.filter(|id| self.masks.contains(id)),
        }
    }
}

/// The gradients of a step: means over its batches.
#[derive(Debug, Clone)]
pub struct Gradients {
    /// At `θ + ε`, or at `θ` if there is no `ε`; dense.
    pub perturbed: ParamVector,
    /// At `θ`, if the ascent of every batch measured it; dense.
    pub here: Option<ParamVector>,
    /// `ε` of the last batch, if there is one.
    pub offset: Option<Offset>,
    /// Whether an ascent was made: the schedule or the method may leave it out.
    pub ascended: bool,
}

impl Gradients {
    /// A gradient at `θ`, of a step without an ascent.
    pub(crate) fn of(gradient: ParamVector) -> Self {
        Self {
            perturbed: gradient,
            here: None,
            offset: None,
            ascended: false,
        }
    }
}

/// What the base optimizer gets.
#[derive(Debug, Clone)]
pub struct Descent {
    /// The gradient that the base optimizer steps by.
    pub gradient: ParamVector,
    /// A vector that is subtracted after its step, times the learning rate; momentum and adaptive
    /// scaling do not see it.
    pub drift: Option<ParamVector>,
}

impl From<ParamVector> for Descent {
    fn from(gradient: ParamVector) -> Self {
        Self {
            gradient,
            drift: None,
        }
    }
}

/// Finds the point at which the gradient of a step is measured, and says what becomes of that
/// gradient.
///
/// Implementations never change the model: they evaluate the [`Objective`] at offsets. They are
/// configurations; what has to last from step to step is in the [`Memory`] that the optimizer keeps
/// for them.
///
/// A user's own, which looks ahead along the last gradient:
///
/// ```
/// use burn::module::Module;
/// use zosam::objective::{BatchLoss, Objective, Offset};
/// use zosam::perturb::{Ascent, Descent, Gradients, Memory, Perturbation, Site};
///
/// #[derive(Debug, Clone)]
/// struct LookAhead(f64);
///
/// impl Perturbation for LookAhead {
///     fn ascend<M: Module, F: BatchLoss<M>>(
///         &self,
///         _objective: &mut Objective<'_, M, F>,
///         site: Site<'_>,
///         memory: &Memory,
///     ) -> Ascent<M, F::Extra> {
///         match memory.vector("last", site.masks) {
///             Some(direction) => Ascent::to(Offset { direction, scale: -self.0 }),
///             None => Ascent::none(),
///         }
///     }
///
///     fn descend(&self, found: Gradients, site: Site<'_>, memory: &mut Memory) -> Descent {
///         memory.put("last", found.perturbed.clone(), site.masks);
///         found.perturbed.into()
///     }
///
///     fn vectors(&self) -> usize {
///         1
///     }
/// }
/// ```
pub trait Perturbation: Clone + std::fmt::Debug + Send + Sync + 'static {
    /// Finds `ε`, in the live subspace, for one batch of this step.
    fn ascend<M: Module, F: BatchLoss<M>>(
        &self,
        objective: &mut Objective<'_, M, F>,
        site: Site<'_>,
        memory: &Memory,
    ) -> Ascent<M, F::Extra>;

    /// Makes the base optimizer's gradient of the measured ones, once per step. By default it is
    /// the one at `θ + ε`.
    fn descend(&self, found: Gradients, _site: Site<'_>, _memory: &mut Memory) -> Descent {
        found.perturbed.into()
    }

    /// The largest number of vectors that the memory ever holds.
    fn vectors(&self) -> usize {
        0
    }

    /// Whether the loss has to be [`Samples`](crate::objective::Samples), not a closure.
    fn needs_samples(&self) -> bool {
        false
    }

    /// Whether a [`Descent`] may have a drift, which only
    /// [`step_with`](crate::SharpOptimizer::step_with), `step_on` and `step_accumulated` apply.
    fn drifts(&self) -> bool {
        false
    }
}

/// No perturbation: the base optimizer's own step, through the same code as the others.
#[derive(Debug, Clone, Copy, Default)]
pub struct Identity;

impl Perturbation for Identity {
    fn ascend<M: Module, F: BatchLoss<M>>(
        &self,
        _objective: &mut Objective<'_, M, F>,
        _site: Site<'_>,
        _memory: &Memory,
    ) -> Ascent<M, F::Extra> {
        Ascent::none()
    }
}

/// SAM's ascent: one forward and one backward at `θ`, then `ε = ρ g/‖g‖`.
fn ascend_along_gradient<M: Module, F: BatchLoss<M>>(
    objective: &mut Objective<'_, M, F>,
    site: Site<'_>,
    scope: Scope,
    rho: f64,
) -> Ascent<M, F::Extra> {
    let here = objective.gradient(None);
    let direction = site.restrict(here.vector.clone(), scope);
    Ascent {
        buffers: Some(here.twin),
        here: Some(here.vector),
        ..Ascent::along(direction, site.radius(rho))
    }
}
