//! Units and densities of layers, and how their products are computed.

use anyhow::{Result, anyhow, bail};
use burn::module::{Module, ParamGroup};
use zosam::Sparsity;
use zosam::masks::{Execution, Masks};
use zosam::sparse::{Granularity, Method};
use zosam::tree;

/// What options say of the sparse layers.
pub struct Units<'a> {
    pub granularity: Granularity,
    /// Density of the layers whose path matches a pattern.
    pub densities: &'a [(String, f64)],
    pub execution: Execution,
    pub seed: u64,
}

impl Units<'_> {
    /// A method with these units and densities, for a model with the masks of a file, or with none.
    pub fn sparsity<M: Module>(
        &self,
        method: &Method,
        model: &M,
        masks: Masks,
    ) -> Result<Sparsity> {
        let mut sparsity = Sparsity::from_boxed(method.clone().boxed())
            .with_seed(self.seed)
            .with_execution(self.execution);
        if !masks.is_dense() {
            sparsity = sparsity.starting_from(masks);
        }
        let leaves = tree::leaves(model).into_iter();
        let whole = leaves.filter(|leaf| self.granularity.validate(leaf).is_ok());
        let whole: Vec<String> = whole.map(|leaf| leaf.path).collect();
        if whole.is_empty() {
            bail!(
                "--granularity {}: no layer consists of such units",
                self.granularity
            );
        }
        sparsity = sparsity.with_granularity(ParamGroup::from_paths(whole), self.granularity);
        for (pattern, density) in self.densities {
            let group = ParamGroup::from_regex(pattern)
                .map_err(|error| anyhow!("--density {pattern}: {error:?}"))?;
            sparsity = sparsity.with_density(group, *density);
        }
        Ok(sparsity)
    }
}
