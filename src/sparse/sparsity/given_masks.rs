//! First masks that are given, not chosen.

use burn::module::{Module, ParamGroup};

use super::layer_rules::LayerRule;
use super::weights::{is_selected, matches, numbers};
use crate::error::{Error, Result};
use crate::masks::{LiveSet, Masks, count};
use crate::sparse::method::SparsityMethod;
use crate::sparse::parts::Granularity;
use crate::sparse::parts::distribution::live_budget;
use crate::tree::{self, Leaf};

/// How far the number of live weights may be from what a method asks for, relative to that: leaving
/// a classifier out of the masks, or the rounding of another program, moves a sparsity by less.
const NEAR: f64 = 0.05;

impl Masks {
    /// Masks that say dead where a model's weights are zero, for the weights of convolutions and
    /// linear layers that have a zero. The others have no mask: they are dense.
    ///
    /// A live weight that happens to be exactly zero, as one that has just been regrown is, counts
    /// as dead: where masks were saved, load those.
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn::{nn::LinearConfig, tensor::Device};
    /// use zosam::masks::Masks;
    /// let layer = LinearConfig::new(20, 10).init(&Device::flex());
    /// let masks = Masks::from_nonzeros(&layer);
    /// assert!(masks.is_dense());
    /// # }
    /// ```
    pub fn from_nonzeros<M: Module>(model: &M) -> Self {
        let values = tree::float_values(model);
        let weights = tree::float_leaves(model).into_iter().filter(is_selected);
        let live = |leaf: Leaf| {
            let values = numbers(values.get(leaf.id)?);
            let live: LiveSet = values.iter().map(|value| *value != 0.0).collect();
            live.contains(&false).then_some((leaf, live))
        };
        let (leaves, live): (Vec<Leaf>, Vec<LiveSet>) = weights.filter_map(live).unzip();
        Self::new(&leaves, &live)
    }
}

/// The weights that given masks are about, and their live sets: those of the group, or all that
/// have a mask. A weight of the group without a mask begins dense.
pub(super) fn given_sets<M: Module>(
    model: &M,
    given: &Masks,
    group: Option<&ParamGroup>,
) -> Result<(Vec<Leaf>, Vec<LiveSet>)> {
    let all = tree::float_leaves(model);
    let of_mask = |masked: &Leaf| {
        let same = all.iter().find(|leaf| leaf.id == masked.id);
        same.or_else(|| all.iter().find(|leaf| leaf.path == masked.path))
    };
    let mut sets = vec![None; all.len()];
    for masked in given.leaves() {
        let leaf =
            of_mask(masked).ok_or_else(|| unfit(masked, "the model has no such parameter"))?;
        if leaf.shape != masked.shape {
            let shapes = format!(
                "it is of shape {:?}, the weight of {:?}",
                masked.shape, leaf.shape
            );
            return Err(unfit(masked, shapes));
        }
        if group.is_some_and(|group| !matches(group, leaf)) {
            return Err(unfit(masked, "the group of sparse weights leaves it out"));
        }
        let place = all.iter().position(|other| other.id == leaf.id);
        sets[place.expect("it is one of them")] = given.live_set(masked.id);
    }
    let trainable = tree::leaves(model);
    let begins_dense = |leaf: &Leaf| {
        let chosen = group.is_some_and(|group| matches(group, leaf));
        chosen && trainable.iter().any(|other| other.id == leaf.id)
    };
    let pairs = all.into_iter().zip(sets).filter_map(|(leaf, set)| {
        let dense = || begins_dense(&leaf).then(|| vec![true; leaf.len()]);
        let set = set.or_else(dense)?;
        Some((leaf, set))
    });
    let (leaves, sets): (Vec<Leaf>, Vec<LiveSet>) = pairs.unzip();
    match sets.iter().flatten().any(|live| *live) {
        true => Ok((leaves, sets)),
        false => Err(Error::NoWeights {
            reason: "the given masks have no live weight".to_string(),
        }),
    }
}

/// Checks that masks do what single layers were told, and are about as sparse as the method asks
/// for.
pub(super) fn check_given(
    leaves: &[Leaf],
    rules: &[LayerRule],
    live: &[LiveSet],
    method: &dyn SparsityMethod,
) -> Result<()> {
    for ((leaf, rule), live) in leaves.iter().zip(rules).zip(live) {
        let free = rule.granularity == Granularity::Unstructured;
        if !free && !rule.granularity.holds(leaf, live) {
            return Err(unfit(leaf, format!("it is not {}", rule.granularity)));
        }
        let (living, total) = (count(live), leaf.len());
        let asked = |density: f64| (density * total as f64).round() as usize;
        if let Some(density) = rule.density.filter(|density| asked(*density) != living) {
            let reason =
                format!("{living} of {total} are live, but its density is to be {density}");
            return Err(unfit(leaf, reason));
        }
    }
    check_sparsity(live, method)
}

/// The masks decide how many weights of each layer live, the method how many of all: a method that
/// prunes may start from anything denser than it ends, any other from about its own sparsity.
fn check_sparsity(live: &[LiveSet], method: &dyn SparsityMethod) -> Result<()> {
    let total: usize = live.iter().map(Vec::len).sum();
    let living: usize = live.iter().map(|live| count(live)).sum();
    let plan = method.plan();
    let bounds = [plan.sparsity, method.sparsity_after(0)];
    let counts = bounds.map(|sparsity| live_budget(total, sparsity) as f64);
    // Two weights a layer: the published codes round each layer on its own.
    let slack = |budget: f64| NEAR * budget + 2.0 * live.len() as f64;
    let (least, most) = (counts[0].min(counts[1]), counts[0].max(counts[1]));
    let (least, most) = (least - slack(least), most + slack(most));
    match (least..=most).contains(&(living as f64)) {
        true => Ok(()),
        false => Err(Error::Config {
            field: "sparsity",
            value: format!(
                "{} of `{}`, started from masks of sparsity {:.4},",
                plan.sparsity,
                plan.name,
                1.0 - living as f64 / total as f64
            ),
            valid: "about that of the given masks or, for a method that prunes, higher",
        }),
    }
}

fn unfit(masked: &Leaf, reason: impl std::fmt::Display) -> Error {
    Error::mismatch(
        "a given mask",
        format!("that of `{}`: {reason}", masked.path),
    )
}
