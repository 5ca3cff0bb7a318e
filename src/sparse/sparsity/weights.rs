//! From a model to the flat arrays that methods see.

use burn::module::{Module, ParamGroup};
use burn::tensor::Tensor;

use super::layer_rules::LayerRule;
use crate::error::{Error, Result};
use crate::masks::LiveSet;
use crate::sparse::weight::Weight;
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

/// Whether a parameter is the weight of a convolution or linear layer.
pub(super) fn is_selected(leaf: &Leaf) -> bool {
    let is_weight = leaf.path.rsplit('.').next() == Some("weight");
    is_weight && LAYERS.contains(&leaf.layer.as_str())
}

/// Whether a parameter is of a group, by any of its places.
pub(super) fn matches(group: &ParamGroup, leaf: &Leaf) -> bool {
    let mut paths = leaf.paths();
    paths.any(|path| group.matches(&leaf.id, Some(path)))
}

/// Whether a parameter is to be sparse if it is trainable: one of the group or, by default, the
/// weight of a convolution or linear layer.
pub(super) fn is_sparse(group: Option<&ParamGroup>, leaf: &Leaf) -> bool {
    match group {
        Some(group) => matches(group, leaf),
        None => is_selected(leaf),
    }
}

/// The trainable parameters that are to be sparse.
pub(super) fn select<M: Module>(model: &M, group: Option<&ParamGroup>) -> Result<Vec<Leaf>> {
    let mut selected = tree::leaves(model);
    let trainable = selected.len();
    selected.retain(|leaf| is_sparse(group, leaf));
    match selected.is_empty() {
        false => Ok(selected),
        true if trainable == 0 => Err(Error::NotTrainable),
        true => Err(Error::NoWeights {
            reason: match group {
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

/// A component as numbers on the host.
pub(super) fn numbers(component: Tensor<1>) -> Vec<f32> {
    let data = component.to_data_as::<f32>();
    data.iter::<f32>().collect()
}

/// Reads the sparse weights to the host, without gradients.
pub(super) fn read_weights(
    values: &ParamVector,
    leaves: &[Leaf],
    rules: &[LayerRule],
    live: impl Fn(&Leaf) -> Option<LiveSet>,
) -> Result<Vec<Weight>> {
    let one = |(leaf, rule): (&Leaf, &LayerRule)| -> Result<Weight> {
        let gone = || {
            Error::mismatch(
                "the set of masks",
                format!("the model has no parameter `{}`", leaf.path),
            )
        };
        Ok(Weight {
            path: leaf.path.clone(),
            layer: leaf.layer.clone(),
            shape: leaf.shape.clone(),
            values: values.get(leaf.id).map(numbers).ok_or_else(gone)?,
            gradient: Vec::new(),
            live: live(leaf).ok_or_else(gone)?,
            granularity: rule.granularity,
            density: rule.density,
            sits_out: false,
        })
    };
    leaves.iter().zip(rules).map(one).collect()
}

/// Adds the gradient, or what else a score needs, which every weight has to have.
pub(super) fn add_gradients(
    weights: &mut [Weight],
    leaves: &[Leaf],
    gradient: &ParamVector,
) -> Result<()> {
    for (weight, leaf) in weights.iter_mut().zip(leaves) {
        let component = gradient.get(leaf.id);
        weight.gradient = component.map(numbers).ok_or_else(|| Error::NoGradient {
            path: leaf.path.clone(),
        })?;
    }
    Ok(())
}
