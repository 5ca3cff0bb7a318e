//! From a model to the flat arrays that methods see.

use burn::module::{Module, ParamGroup};

use super::Weight;
use super::layer_rules::LayerRule;
use crate::error::{Error, Result};
use crate::masks::LiveSet;
use crate::tree::{self, Leaf, ParamVector};

/// Layers whose weights are sparse unless a [`ParamGroup`] says otherwise.
const LAYERS: [&str; 8] = [
    "Linear",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "DeformConv2d",
];

/// Why a model may have nothing to train.
pub(crate) const UNTRAINABLE: &str =
    "the model has no trainable parameter, create it on a device with `.autodiff()`";

/// The parameters of a group, or by default the weights of convolutions and linear layers.
pub(super) fn select<M: Module>(model: &M, group: Option<&ParamGroup>) -> Result<Vec<Leaf>> {
    let all = tree::leaves(model);
    let trainable = all.len();
    let selected: Vec<Leaf> = match group {
        Some(group) => {
            let matches = |leaf: &Leaf| {
                let mut paths = leaf.paths();
                paths.any(|path| group.matches(&leaf.id, Some(path)))
            };
            all.into_iter().filter(matches).collect()
        }
        None => {
            let is_weight = |leaf: &Leaf| leaf.path.rsplit('.').next() == Some("weight");
            let is_layer = |leaf: &Leaf| LAYERS.contains(&leaf.layer.as_str());
            let both = |leaf: &Leaf| is_weight(leaf) && is_layer(leaf);
            all.into_iter().filter(both).collect()
        }
    };
    match selected.is_empty() {
        false => Ok(selected),
        true => Err(Error::NoWeights {
            reason: match group {
                _ if trainable == 0 => UNTRAINABLE.to_string(),
                Some(_) => {
                    format!("the group matches none of {trainable} trainable parameters")
                }
                None => format!(
                    "none of {trainable} trainable parameters is the weight of a convolution or linear layer"
                ),
            },
        }),
    }
}

/// Reads the sparse weights, and their gradients if there are any, to the host.
pub(super) fn read_weights<M: Module>(
    model: &M,
    leaves: &[Leaf],
    gradient: Option<&ParamVector>,
    rules: &[LayerRule],
    live: impl Fn(&Leaf) -> Option<LiveSet>,
) -> Result<Vec<Weight>> {
    let values = tree::values(model);
    let read = |vector: &ParamVector, leaf: &Leaf| -> Option<Vec<f32>> {
        let data = vector.get(leaf.id)?.to_data_as::<f32>();
        Some(data.iter::<f32>().collect())
    };
    let one = |(leaf, rule): (&Leaf, &LayerRule)| -> Result<Weight> {
        let gone = || Error::Mismatch {
            what: "the masks",
            reason: format!("the model has no trainable parameter `{}`", leaf.path),
        };
        let gradient = match gradient {
            Some(gradient) => read(gradient, leaf).ok_or_else(|| Error::NoGradient {
                path: leaf.path.clone(),
            })?,
            None => Vec::new(),
        };
        Ok(Weight {
            path: leaf.path.clone(),
            shape: leaf.shape.clone(),
            values: read(&values, leaf).ok_or_else(gone)?,
            gradient,
            live: live(leaf).ok_or_else(gone)?,
            granularity: rule.granularity,
            density: rule.density,
        })
    };
    leaves.iter().zip(rules).map(one).collect()
}
