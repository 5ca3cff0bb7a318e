//! Which layers take part in a change of masks.

use super::distribution::live_budget;
use crate::error::Result;
use crate::masks::LiveSet;
use crate::sparse::weight::Weight;

/// Makes a change of masks on the weights that take part in it; the others keep their live sets.
pub(in crate::sparse) fn among_participants(
    weights: &[Weight],
    change: impl FnOnce(&[Weight]) -> Result<Vec<LiveSet>>,
) -> Result<Vec<LiveSet>> {
    if everybody(weights) {
        return change(weights);
    }
    let participants: Vec<Weight> = weights.iter().filter(|w| !w.sits_out).cloned().collect();
    let mut changed = change(&participants)?.into_iter();
    let live = |weight: &Weight| match weight.sits_out {
        true => weight.live.clone(),
        false => changed.next().expect("one live set for each participant"),
    };
    Ok(weights.iter().map(live).collect())
}

/// Whether all weights take part.
pub(in crate::sparse) fn everybody(weights: &[Weight]) -> bool {
    weights.iter().all(|weight| !weight.sits_out)
}

/// How many of the weights that take part are to live at a sparsity over all weights: those of
/// dense layers, and of the rest as large a share as they are of the other layers. With everybody
/// it is the whole budget.
pub(in crate::sparse) fn budget_of_participants(weights: &[Weight], sparsity: f64) -> usize {
    let size = |which: &dyn Fn(&Weight) -> bool| -> usize {
        let chosen = weights.iter().filter(|weight| which(weight));
        chosen.map(Weight::len).sum()
    };
    let budget = live_budget(size(&|_| true), sparsity);
    if everybody(weights) {
        return budget;
    }
    let dense = |weight: &Weight| weight.density == Some(1.0);
    let rest = budget.saturating_sub(size(&dense)) as f64;
    let (open, others) = (
        size(&|weight| !weight.sits_out && !dense(weight)),
        size(&|weight| !dense(weight)),
    );
    let share = (rest * open as f64 / others.max(1) as f64).round() as usize;
    // At least one, so that no layer dies of rounding.
    let share = share.max(usize::from(open > 0));
    size(&|weight| !weight.sits_out && dense(weight)) + share
}
