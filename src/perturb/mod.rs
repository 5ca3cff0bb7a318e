//! Where the gradient is measured.
//!
//! A sharpness-aware step differentiates the loss at `θ + ε` instead of at `θ`. A [`Perturbation`]
//! finds `ε`; what it may spend on that is the difference between the methods.
//!
//! | | `ε` | passes of a step |
//! |---|---|---|
//! | [`Identity`] | 0 | 1 forward, 1 backward |
//! | [`FirstOrder`] (SAM) | `ρ g/‖g‖` | 2 forwards, 2 backwards |
//! | [`ZeroOrder`] (ZO-SAM), m = 1 | `±ρ u/‖u‖` | 2 forwards, 1 backward |
//! | [`ZeroOrder`], otherwise | `ρ ĝ/‖ĝ‖` | 2m + 1 forwards (one-sided m + 2), 1 backward |

mod first_order;
mod random;
mod sharpness;
mod zero_order;

pub use first_order::{FirstOrder, SamConfig};
pub use random::{RandomSign, RandomSignConfig};
pub use sharpness::{Sharpness, SharpnessConfig};
pub use zero_order::{Delta, Sides, ZeroOrder, ZeroOrderMemory, ZoSamConfig};

use burn::module::Module;
use serde::{Deserialize, Serialize};

use crate::masks::Masks;
use crate::objective::{Forward, Loss, Objective, Offset};
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
    /// The estimate is zero: nothing tells up from down.
    ZeroEstimate,
    /// The sparsity method wants none at this step: a lottery ticket's search.
    Method,
    /// The estimate, or the loss at the perturbed point, is infinite or not a number.
    NonFinite,
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
    /// Set if `ε` had to be given up.
    pub plain: Option<PlainReason>,
}

impl<M, E> Ascent<M, E> {
    /// Differentiate at `θ`.
    pub fn none() -> Self {
        Self {
            offset: None,
            forward: None,
            buffers: None,
            plain: None,
        }
    }

    /// Differentiate at `θ`, for want of a usable estimate.
    pub fn given_up(reason: PlainReason) -> Self {
        Self {
            plain: Some(reason),
            ..Self::none()
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

/// What a perturbation knows about the step that it serves.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// The trainable parameters.
    pub leaves: &'a [Leaf],
    /// The live weights; directions are projected onto them before their norm is taken.
    pub masks: &'a Masks,
    /// The optimizer's seed.
    pub seed: u64,
    /// The number of steps taken before this one.
    pub step: u64,
}

impl Site<'_> {
    /// A random direction in the live subspace, not normalised.
    pub fn direction<M: Module>(
        &self,
        model: &M,
        index: u64,
        distribution: tree::DirectionDistribution,
        scope: Scope,
    ) -> ParamVector {
        let Some(device) = tree::device(model) else {
            return ParamVector::default();
        };
        let in_scope: Vec<Leaf> = match scope {
            Scope::AllTrainable => self.leaves.to_vec(),
            Scope::SparseWeights => {
                let sparse = |leaf: &&Leaf| self.masks.contains(leaf.id);
                self.leaves.iter().filter(sparse).cloned().collect()
            }
        };
        let key = DirectionKey {
            seed: self.seed,
            step: self.step,
            index,
        };
        let direction = tree::draw(&in_scope, key, distribution, &device);
        self.masks.project(direction)
    }

    /// Restricts a vector to the live weights and to a scope.
    pub fn restrict(&self, vector: ParamVector, scope: Scope) -> ParamVector {
        let vector = self.masks.project(vector);
        match scope {
            Scope::AllTrainable => vector,
            Scope::SparseWeights => vector.filter(|id| self.masks.contains(id)),
        }
    }
}

/// Finds the point at which the gradient of a step is measured.
///
/// Implementations never change the model: they evaluate the [`Objective`] at offsets.
pub trait Perturbation: Clone + std::fmt::Debug + Send + Sync + 'static {
    /// Finds `ε`, in the live subspace, for this step.
    fn ascend<M, L, F>(
        &mut self,
        objective: &mut Objective<'_, M, F>,
        site: Site<'_>,
    ) -> Ascent<M, L::Extra>
    where
        M: Module,
        L: Loss,
        F: Fn(&M) -> L;
}

/// No perturbation: the base optimizer's own step, through the same code as the others.
#[derive(Debug, Clone, Copy, Default)]
pub struct Identity;

impl Perturbation for Identity {
    fn ascend<M, L, F>(
        &mut self,
        _objective: &mut Objective<'_, M, F>,
        _site: Site<'_>,
    ) -> Ascent<M, L::Extra>
    where
        M: Module,
        L: Loss,
        F: Fn(&M) -> L,
    {
        Ascent::none()
    }
}

/// `ρ v/‖v‖`, or the reason why there is no such vector.
fn normalised(direction: ParamVector, rho: f64) -> Result<Offset, PlainReason> {
    let norm = direction.norm();
    if !norm.is_finite() {
        return Err(PlainReason::NonFinite);
    }
    if norm < SMALLEST_NORM {
        return Err(PlainReason::ZeroEstimate);
    }
    Ok(Offset {
        direction,
        scale: rho / norm,
    })
}

/// Below this a norm counts as zero. Squares of f32 components underflow not far below it.
const SMALLEST_NORM: f64 = 1e-30;
