//! What single layers were told.

use burn::module::ParamGroup;

use crate::error::{Error, Result, check};
use crate::masks::LiveSet;
use crate::sparse::parts::Granularity;
use crate::sparse::plan::Plan;
use crate::tree::Leaf;

/// Granularities and densities by groups of parameters; later ones win.
#[derive(Debug, Default)]
pub(super) struct LayerRules {
    granularities: Vec<(ParamGroup, Granularity)>,
    densities: Vec<(ParamGroup, f64)>,
}

/// What one layer was told.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LayerRule {
    pub granularity: Granularity,
    pub density: Option<f64>,
}

impl LayerRules {
    pub fn add_granularity(&mut self, group: ParamGroup, granularity: Granularity) {
        self.granularities.push((group, granularity));
    }

    pub fn add_density(&mut self, group: ParamGroup, density: f64) {
        self.densities.push((group, density));
    }

    /// The rule of each layer.
    ///
    /// # Errors
    ///
    /// Units that do not fit a layer, a density out of (0, 1], or one that the method cannot take.
    pub fn settle(&self, leaves: &[Leaf], plan: &Plan) -> Result<Vec<LayerRule>> {
        let one = |leaf: &Leaf| {
            let last = |group: &ParamGroup| {
                let mut paths = leaf.paths();
                paths.any(|path| group.matches(&leaf.id, Some(path)))
            };
            let granularity = self
                .granularities
                .iter()
                .rev()
                .find(|(group, _)| last(group));
            let granularity = granularity.map_or(Granularity::Unstructured, |(_, value)| *value);
            granularity.validate(leaf)?;
            let density = self.densities.iter().rev().find(|(group, _)| last(group));
            let density = density.map(|(_, value)| *value);
            if let Some(density) = density {
                let valid = density > 0.0 && density <= 1.0;
                check("density", density, valid, "greater than 0, at most 1")?;
            }
            let density = match (granularity.density(), density) {
                (Some(fixed), Some(density)) if fixed != density => {
                    return Err(Error::Config {
                        field: "density",
                        value: format!("{density} for `{}`, which is {granularity}", leaf.path),
                        valid: "the density that N:M fixes, or none",
                    });
                }
                (fixed, density) => fixed.or(density),
            };
            if density.is_some_and(|density| density < 1.0) && !plan.layer_densities {
                return Err(Error::Config {
                    field: "density",
                    value: format!("that of `{}` under `{}`", leaf.path, plan.name),
                    valid: "1, or left to the method: it moves weights between layers or changes its sparsity (N:M \
                            fixes a density, too)",
                });
            }
            Ok(LayerRule {
                granularity,
                density,
            })
        };
        leaves.iter().map(one).collect()
    }
}

/// Checks that a method, which may be the user's, has kept to whole units.
pub(super) fn check_units(
    leaves: &[Leaf],
    rules: &[LayerRule],
    live: &[LiveSet],
    plan: &Plan,
) -> Result<()> {
    let layers = leaves.iter().zip(rules).zip(live);
    for ((leaf, rule), live) in layers {
        let free = rule.granularity == Granularity::Unstructured;
        if !free && !rule.granularity.holds(leaf, live) {
            return Err(Error::Config {
                field: "granularity",
                value: format!(
                    "{} for `{}` under `{}`",
                    rule.granularity, leaf.path, plan.name
                ),
                valid: "one that the method keeps to; `one_shot` and recipes do",
            });
        }
    }
    Ok(())
}
