//! In what units weights live and die.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::tree::{Axes, Leaf};

/// The units in which the weights of a layer live and die.
///
/// A weight is seen as a matrix of outputs by inputs: a linear layer's as it is, that of a
/// convolution or a transposed convolution with all inputs `(channel, row, column)` of its kernel
/// in a row. The weight of a grouped transposed convolution does not tell its groups, so there an
/// output stands for that output of every group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Granularity {
    /// Each weight on its own. The default.
    #[default]
    Unstructured,
    /// `live` of every `of` consecutive input channels, at each output and each position of the
    /// kernel: 2:4 is what NVIDIA's sparse tensor cores run. It fixes the layer's density.
    NOfM {
        /// Live weights of a group.
        live: usize,
        /// Size of a group; it has to divide the number of input channels.
        of: usize,
    },
    /// Blocks of the matrix, ranked by the mean of their weights' scores.
    Block {
        /// Outputs of a block; it has to divide the layer's.
        outputs: usize,
        /// Inputs of a block; it has to divide the layer's.
        inputs: usize,
    },
    /// All weights of an output channel or feature, ranked by the mean of their scores.
    OutputChannel,
}

impl Granularity {
    /// Checks that a layer consists of whole units.
    ///
    /// # Errors
    ///
    /// A size of 0, or one that does not divide the layer's.
    pub fn validate(self, weight: &Leaf) -> Result<()> {
        let axes = weight.axes();
        let divides = |unit: usize, size: usize| unit > 0 && size.is_multiple_of(unit);
        let fits = match self {
            Self::Unstructured | Self::OutputChannel => true,
            Self::NOfM { live, of } => 0 < live && live <= of && divides(of, axes.channels),
            Self::Block { outputs, inputs } => {
                divides(outputs, axes.outputs) && divides(inputs, axes.inputs())
            }
        };
        match fits {
            true => Ok(()),
            false => Err(Error::Config {
                field: "granularity",
                value: format!("{self} for `{}` of shape {:?}", weight.path, weight.shape),
                valid: "whole units of the layer's input channels (N:M) or outputs and inputs (blocks); leave layers \
                        that do not fit out of the group",
            }),
        }
    }

    /// The density that N:M fixes.
    pub(in crate::sparse) fn density(self) -> Option<f64> {
        match self {
            Self::NOfM { live, of } => Some(live as f64 / of as f64),
            _ => None,
        }
    }

    /// Number of weights that live and die together.
    pub(in crate::sparse) fn unit_size(self, axes: Axes) -> usize {
        match self {
            Self::Unstructured | Self::NOfM { .. } => 1,
            Self::Block { outputs, inputs } => outputs * inputs,
            Self::OutputChannel => axes.inputs(),
        }
    }

    /// The unit or, for N:M, the group of each of `len` positions.
    pub(super) fn labels(self, axes: Axes, len: usize) -> Vec<u32> {
        let label = |position| {
            let (row, column) = axes.place(position);
            match self {
                Self::Unstructured => position,
                Self::NOfM { of, .. } => {
                    let (channel, offset) = (column / axes.kernel, column % axes.kernel);
                    (row * axes.kernel + offset) * (axes.channels / of) + channel / of
                }
                Self::Block { outputs, inputs } => {
                    (row / outputs) * (axes.inputs() / inputs) + column / inputs
                }
                Self::OutputChannel => row,
            }
        };
        (0..len).map(|position| label(position) as u32).collect()
    }

    /// Whether a live set consists of whole units, or has exactly N live weights in each group.
    pub(in crate::sparse) fn holds(self, leaf: &Leaf, live: &[bool]) -> bool {
        let size = self.unit_size(leaf.axes());
        let mut counts = vec![0; live.len()];
        for (label, live) in self.labels(leaf.axes(), live.len()).iter().zip(live) {
            counts[*label as usize] += usize::from(*live);
        }
        match self {
            Self::NOfM { live: n, of } => counts[..live.len() / of].iter().all(|count| *count == n),
            _ => counts.iter().all(|count| *count == 0 || *count == size),
        }
    }
}

impl std::fmt::Display for Granularity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unstructured => f.write_str("unstructured"),
            Self::NOfM { live, of } => write!(f, "{live}:{of}"),
            Self::Block { outputs, inputs } => write!(f, "{outputs}x{inputs}"),
            Self::OutputChannel => f.write_str("channel"),
        }
    }
}

/// `unstructured`, `N:M`, `OUTPUTSxINPUTS` or `channel`.
impl std::str::FromStr for Granularity {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let pair = |separator| {
            let (a, b) = text.split_once(separator)?;
            Some((a.parse().ok()?, b.parse().ok()?))
        };
        if let Some((live, of)) = pair(':') {
            return Ok(Self::NOfM { live, of });
        }
        if let Some((outputs, inputs)) = pair('x') {
            return Ok(Self::Block { outputs, inputs });
        }
        match text {
            "unstructured" => Ok(Self::Unstructured),
            "channel" => Ok(Self::OutputChannel),
            _ => Err(Error::Config {
                field: "granularity",
                value: text.to_string(),
                valid: "unstructured, N:M such as 2:4, OUTPUTSxINPUTS such as 4x4, or channel",
            }),
        }
    }
}
