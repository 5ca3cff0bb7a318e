//! Masks that are there already.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::masks::{LiveSet, count};
use crate::sparse::method::SparsityMethod;
use crate::sparse::plan::{GradientUse, Plan};
use crate::sparse::weight::Weight;

/// Keeps masks and never changes them: those that are given by
/// [`Sparsity::starting_from`](crate::Sparsity::starting_from) or
/// [`Sparsity::from_masks`](crate::Sparsity::from_masks), or else the zeros of the model.
///
/// This is how a sparse net is fine-tuned. Without masks a weight is dead where it is ±0 when the
/// method is attached; it is an error if none is.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::{Linear, LinearConfig}, tensor::{Device, Tensor}};
/// use zosam::{Keep, Sparsity, tree};
/// let layer = LinearConfig::new(2, 2).init(&Device::flex().autodiff());
/// let layer = tree::replace(layer, |_, old| match old.dims() {
///     [4] => Some(Tensor::from_floats([0.5, 0.0, 0.0, -0.1], &old.device())),
///     _ => None,
/// });
/// let mut sparsity = Sparsity::new(Keep::new());
/// let layer = sparsity.attach(layer, |layer: &Linear| layer.weight.val().sum())?;
/// assert_eq!(sparsity.report(&layer).live_weights, 2);
/// # }
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Keep {
    /// Share of dead weights, once there are masks.
    #[serde(skip)]
    sparsity: f64,
}

impl Keep {
    /// Before there are masks.
    pub fn new() -> Self {
        Self::default()
    }
}

impl SparsityMethod for Keep {
    fn plan(&self) -> Plan {
        let plan = Plan::new("keep", self.sparsity).with_gradients(GradientUse::None);
        plan.with_layer_densities(true)
    }

    fn validate(&self) -> Result<()> {
        Ok(())
    }

    fn target_densities(&self, _shapes: &[Vec<usize>]) -> Result<Option<Vec<f64>>> {
        Ok(None)
    }

    /// There is nothing to reach.
    fn check_budget(&self, _weights: &[Weight]) -> Result<()> {
        Ok(())
    }

    fn initial(&mut self, weights: &[Weight], _seed: u64) -> Result<Vec<LiveSet>> {
        let nonzero = |weight: &Weight| weight.values.iter().map(|value| *value != 0.0).collect();
        let live: Vec<LiveSet> = weights.iter().map(nonzero).collect();
        if live.iter().flatten().all(|live| *live) {
            return Err(Error::Config {
                field: "method",
                value: "keep, without masks".to_string(),
                valid: "given masks (`Sparsity::starting_from`), or attached to a model some of whose weights are zero",
            });
        }
        self.note(&live);
        Ok(live)
    }

    fn start_from(&mut self, weights: &[Weight]) -> Result<()> {
        let live: Vec<LiveSet> = weights.iter().map(|weight| weight.live.clone()).collect();
        self.note(&live);
        Ok(())
    }

    fn state(&self) -> serde_json::Value {
        self.sparsity.into()
    }

    fn load_state(&mut self, state: serde_json::Value) -> Result<()> {
        self.sparsity = state.as_f64().ok_or_else(|| {
            Error::mismatch(
                "the state of `keep`",
                format!("it is {state}, not a sparsity"),
            )
        })?;
        Ok(())
    }
}

impl Keep {
    fn note(&mut self, live: &[LiveSet]) {
        let total: usize = live.iter().map(Vec::len).sum();
        let living: usize = live.iter().map(|live| count(live)).sum();
        self.sparsity = 1.0 - living as f64 / total.max(1) as f64;
    }
}
