//! What a step goes on with when its gradient is measured.

use burn::module::Module;

use crate::objective::Passes;
use crate::perturb::Gradients;
use crate::sparse::Sparsity;
use crate::tree::{self, ParamVector};

/// What a step goes on with when its gradient is measured.
pub(crate) struct Found<M> {
    /// The model with its running statistics advanced.
    pub model: M,
    pub gradients: Gradients,
    /// The gradient that grows weights, where it is not the one that the descent starts from.
    pub clean: Option<ParamVector>,
    pub passes: Passes,
    /// The model's weights, where they are known.
    pub weights: Option<ParamVector>,
}

impl<M: Module> Found<M> {
    /// The gradient that grows weights: a measured one, whatever becomes of it in the descent.
    pub fn growth(&self) -> ParamVector {
        let perturbed = &self.gradients.perturbed;
        self.clean.as_ref().unwrap_or(perturbed).clone()
    }

    /// With the means over all replicas in place of this replica's gradients.
    ///
    /// Replicas call the reduction equally often: a parameter that got no gradient here, because
    /// the loss did not depend on it or nothing finite was measured, counts as zero.
    pub fn reduced(self, sparsity: &Sparsity) -> Self {
        if !sparsity.reduces() {
            return self;
        }
        let Self {
            model,
            gradients,
            clean,
            passes,
            weights,
        } = self;
        let mean = |vector| sparsity.all_reduced(&model, completed(&model, vector));
        let gradients = Gradients {
            perturbed: mean(gradients.perturbed),
            here: gradients.here.map(mean),
            ..gradients
        };
        Self {
            clean: clean.map(mean),
            gradients,
            model,
            passes,
            weights,
        }
    }
}

/// Zero where a gradient has no component.
fn completed<M: Module>(model: &M, gradient: ParamVector) -> ParamVector {
    tree::values(model).map(|id, value| {
        let component = gradient.get(id);
        component.unwrap_or_else(|| value.zeros_like())
    })
}
