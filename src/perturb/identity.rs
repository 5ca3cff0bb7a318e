//! No perturbation.

use burn::module::Module;

use super::{Ascent, Memory, Perturbation, Site};
use crate::objective::{BatchLoss, Objective};

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
