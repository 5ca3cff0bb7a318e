//! The meter's reading, layer by layer.

use std::fmt;

use super::meter::{Meter, Spent};
use crate::masks::Masks;

/// Which path a masked layer took, and how long it took there.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LayerExecution {
    /// Dotted path of the weight.
    pub name: String,
    /// Share of live weights now.
    pub density: f64,
    /// On burn's dense arithmetic, masks in scope. Its products are those of forward and backward
    /// passes alike.
    pub dense: Spent,
    /// On the kernels.
    pub sparse: Spent,
}

/// What the layers of [`nn`](super) have computed under masks since the first ones, on either
/// path.
///
/// Layers of burn's own are not seen. Times are wall-clock, summed over all threads that evaluate
/// the model.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ExecutionReport {
    /// The masked layers that have computed something.
    pub layers: Vec<LayerExecution>,
}

impl Masks {
    /// What the layers of [`nn`](super) have computed under these masks and those that they
    /// have replaced.
    pub fn execution_report(&self) -> ExecutionReport {
        let layers = self.leaves().filter_map(|leaf| {
            let meter = self.lasting::<Meter>(leaf.id)?;
            Some(LayerExecution {
                name: leaf.path.clone(),
                density: self.density(leaf.id)?,
                dense: meter.spent(false),
                sparse: meter.spent(true),
            })
        });
        let has_run = |layer: &LayerExecution| {
            [layer.dense, layer.sparse].map(|spent| spent.calls) != [[0; 3]; 2]
        };
        ExecutionReport {
            layers: layers.filter(has_run).collect(),
        }
    }
}

impl fmt::Display for ExecutionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.layers.iter().map(|layer| layer.name.len()).max();
        let width = width.unwrap_or(0).max("layer".len());
        write!(
            f,
            "{:width$}  {:>7}  {:6}  {:>23}  {:>23}  {:>23}",
            "layer", "density", "path", "forward", "input gradient", "weight gradient"
        )?;
        for layer in &self.layers {
            for (path, spent) in [("sparse", layer.sparse), ("dense", layer.dense)] {
                if spent.calls == [0; 3] {
                    continue;
                }
                let (name, density) = (&layer.name, layer.density);
                write!(f, "\n{name:width$}  {density:>7.4}  {path:6}")?;
                for (calls, time) in spent.calls.iter().zip(spent.time) {
                    let each = time.as_secs_f64() * 1e3 / (*calls).max(1) as f64;
                    write!(f, "  {calls:>7} x {each:>9.3} ms")?;
                }
            }
        }
        Ok(())
    }
}
