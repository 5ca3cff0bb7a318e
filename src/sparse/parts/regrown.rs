//! The value of a weight that has just grown.

use serde::{Deserialize, Serialize};

/// The value of a weight that has just grown.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Regrown {
    /// Zero, so that growth changes no output. The default.
    #[default]
    Zero,
    /// Drawn from `N(0, std²)`, as in the first code of SET with 0.1.
    Normal {
        /// Standard deviation.
        std: f64,
    },
}
