//! A sparse weight as methods see it.

use super::parts::Granularity;
use crate::masks::LiveSet;

/// A sparse weight as a method sees it: flat, on the host.
#[derive(Debug, Clone, Default)]
pub struct Weight {
    /// Dotted path of the parameter.
    pub path: String,
    /// Type name of the layer that owns the parameter, for example `ConvTranspose2d`; it decides
    /// which axes are inputs and which outputs. If it is unknown, two axes are a linear layer's and
    /// more a convolution's.
    pub layer: String,
    /// Shape of the tensor in burn's layout: convolutions `[out, in, k, k]`, linear layers
    /// `[in, out]`, transposed convolutions `[in, out, k, k]`.
    pub shape: Vec<usize>,
    /// Values, zero at dead positions.
    pub values: Vec<f32>,
    /// Gradient at every position, dead ones included, or the method's
    /// [memory](crate::sparse::Plan::memory) of gradients; empty where a method does not
    /// [ask for it](crate::sparse::Plan::gradients), zero where the weight has none.
    pub gradient: Vec<f32>,
    /// Live positions.
    pub live: LiveSet,
    /// In what units positions live and die.
    pub granularity: Granularity,
    /// The layer's own density, where one was set; the other layers share the rest of the budget.
    pub density: Option<f64>,
    /// Whether it takes no part in this change of masks, because it is frozen or got no gradient.
    /// Its live set stays as it is, whatever an [update](crate::SparsityMethod::update) returns for
    /// it.
    /// Default: it takes part.
    pub sits_out: bool,
}

impl Weight {
    /// Number of positions.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether the weight has no position.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}
