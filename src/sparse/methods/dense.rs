//! The null method.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::masks::LiveSet;
use crate::sparse::method::{SparsityMethod, no_choice_left};
use crate::sparse::weight::Weight;

/// No sparsity: the dense baseline, through the same code as the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Dense {}

impl SparsityMethod for Dense {
    fn name(&self) -> &'static str {
        "dense"
    }

    fn validate(&self) -> Result<()> {
        Ok(())
    }

    fn sparsity(&self) -> f64 {
        0.0
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
        Err(no_choice_left(self.name()))
    }

    fn needs_dense_gradient(&self) -> bool {
        false
    }

    fn needs_gradient(&self) -> bool {
        false
    }
}
