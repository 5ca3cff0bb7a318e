//! How far a run has come, beside masks and method.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What a checkpoint keeps with the history of the masks.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Progress {
    /// The optimizer's step from which the method counts its own; none before its first.
    pub begun: Option<u64>,
    /// In how many changes of masks a weight had no gradient to go by, by path.
    pub without_gradient: BTreeMap<String, u64>,
    /// Weights that would have been sparse but were frozen when masks were chosen: they have none.
    pub left_out: BTreeSet<String>,
    /// Whether the first masks were given, which then say what is sparse.
    pub given: bool,
    /// What was trainable at the point to rewind to.
    pub rewound: BTreeSet<String>,
}

impl Progress {
    /// A checkpoint that says nothing is of a method that was attached at the start of its run.
    pub fn of_an_early_checkpoint() -> Self {
        Self {
            begun: Some(0),
            ..Self::default()
        }
    }

    /// In how many changes of masks a weight had no gradient to go by.
    pub fn without_gradient_of(&self, path: &str) -> u64 {
        self.without_gradient.get(path).copied().unwrap_or(0)
    }

    /// The method's own step. An optimizer that begins anew takes the count with it.
    pub fn own_step(&self, step: u64) -> u64 {
        step - self.beginning(step)
    }

    /// The optimizer's step from which its steps count up to one of them.
    pub fn beginning(&self, step: u64) -> u64 {
        self.begun.filter(|begun| *begun <= step).unwrap_or(step)
    }
}
