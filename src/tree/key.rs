//! Which random direction is meant.

use serde::{Deserialize, Serialize};

/// How the components of a random direction are distributed.
///
/// All three have `E[u uᵀ] = I`, so one estimator formula serves them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DirectionDistribution {
    /// Independent standard normal components: the paper's choice and the default.
    #[default]
    Gaussian,
    /// Independent signs ±1 (simultaneous perturbation, SPSA).
    Rademacher,
    /// Uniform on the sphere of radius √d, with d the number of perturbed components.
    Sphere,
}

/// Which random direction is meant. Equal keys give equal directions, whenever they are drawn.
///
/// Directions are made again from their key rather than stored, so memory does not grow with their
/// number, and a resumed run needs no generator state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectionKey {
    /// The user's seed.
    pub seed: u64,
    /// The optimizer step.
    pub step: u64,
    /// Which of the step's directions.
    pub index: u64,
}

/// FNV-1a, which unlike the standard library's hasher is the same in every process and version.
pub(crate) fn path_hash(path: &str) -> u64 {
    path.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Takes a word into a seed: the mixing function of SplitMix64 (Steele, Lea and Flood, 2014).
pub(super) fn mixed(seed: u64, word: u64) -> u64 {
    let mut z = (seed ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
