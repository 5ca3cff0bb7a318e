//! What a step of the learner has measured beside the gradients that burn carries.

use std::collections::BTreeMap;

use burn::module::Module;

use crate::objective::{Offset, Passes};
use crate::optim::Found;
use crate::perturb::Gradients;
use crate::tree::{self, ParamVector};

/// Sums over the micro-batches of a step, as burn's accumulated gradients are sums. Each worker has
/// its own, so that the order of the sums does not depend on which device is the fastest.
#[derive(Debug, Default)]
pub(super) struct Pending(BTreeMap<u64, OfWorker>);

#[derive(Debug, Default)]
struct OfWorker {
    here: Option<ParamVector>,
    clean: Option<ParamVector>,
    offset: Option<Offset>,
    passes: Passes,
    batches: u64,
    /// Micro-batches whose ascent measured the gradient at `θ`.
    with_here: u64,
}

impl Pending {
    pub fn add<M>(&mut self, worker: u64, found: Found<M>) {
        let sums = self.0.entry(worker).or_default();
        let Gradients { here, offset, .. } = found.gradients;
        sums.batches += 1;
        sums.with_here += u64::from(here.is_some());
        sums.here = summed(sums.here.take(), here);
        sums.clean = summed(sums.clean.take(), found.clean);
        sums.offset = offset;
        sums.passes += found.passes;
    }

    /// Everything that a step ends with.
    pub fn found<M: Module>(self, model: M, gradient: ParamVector, ascended: bool) -> Found<M> {
        let mut whole = OfWorker::default();
        for sums in self.0.into_values() {
            let near = |vector: Option<ParamVector>| Some(tree::near(&model, vector?));
            whole.here = summed(whole.here, near(sums.here));
            whole.clean = summed(whole.clean, near(sums.clean));
            whole.offset = whole.offset.or(sums.offset.map(|offset| Offset {
                direction: tree::near(&model, offset.direction),
                scale: offset.scale,
            }));
            whole.passes += sums.passes;
            whole.batches += sums.batches;
            whole.with_here += sums.with_here;
        }
        let complete = whole.with_here == whole.batches;
        Found {
            gradients: Gradients {
                perturbed: gradient,
                here: whole.here.filter(|_| complete),
                offset: whole.offset,
                ascended,
            },
            clean: whole.clean,
            passes: whole.passes,
            weights: None,
            model,
        }
    }
}

fn summed(sum: Option<ParamVector>, next: Option<ParamVector>) -> Option<ParamVector> {
    match (sum, next) {
        (Some(sum), Some(next)) => Some(sum.plus_scaled(&next, 1.0)),
        (sum, next) => sum.or(next),
    }
}
