//! What is trained besides the live weights.

use crate::masks::LiveSet;

/// What a method with latent values needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Training {
    /// The positions that the optimizer moves, one set per weight, live ones included.
    pub sets: Vec<LiveSet>,
    /// Added to the gradient of a live weight, times its value.
    pub decay: f64,
    /// Added to the gradient of a dead weight that is moved, times its latent value.
    pub latent_decay: f64,
}
