//! The null method.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::masks::LiveSet;
use crate::sparse::method::{SparsityMethod, no_choice_left};
use crate::sparse::plan::{GradientUse, Plan};
use crate::sparse::weight::Weight;

/// No sparsity: the dense baseline, through the same code as the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Dense {}

impl SparsityMethod for Dense {
    fn plan(&self) -> Plan {
        let plan = Plan::new("dense", 0.0).with_gradients(GradientUse::None);
        plan.without_masks()
    }

    fn validate(&self) -> Result<()> {
        Ok(())
    }

    fn target_densities(&self, shapes: &[Vec<usize>]) -> Result<Option<Vec<f64>>> {
        Ok(Some(vec![1.0; shapes.len()]))
    }

    fn initial(&mut self, weights: &[Weight], _seed: u64) -> Result<Vec<LiveSet>> {
        Ok(weights
            .iter()
            .map(|weight| vec![true; weight.len()])
            .collect())
    }

    fn start_from(&mut self, _weights: &[Weight]) -> Result<()> {
        Err(no_choice_left(self.plan().name))
    }
}
