//! Random directions, addressed by a counter instead of a stream.

use burn::tensor::{Device, Tensor, TensorData};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Leaf, ParamVector, on_host, threefry};

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

/// Elements that share one generator stream on the host; fixed, so that the result does not depend
/// on how many threads fill the blocks.
const BLOCK: usize = 4096;

/// Draws the direction that belongs to a key, one component per leaf.
///
/// Parameters are told apart by their path, because burn's parameter ids differ between processes.
/// CPU backends share one definition (ChaCha8 by block); an accelerator computes the direction
/// itself from the same key (Threefry-2x32), because sending one over at each step would cost more
/// than making it. The two definitions give different directions. A [`DirectionDistribution::Sphere`]
/// direction is returned as a Gaussian one: the caller normalises it after masking.
pub fn draw(
    leaves: &[Leaf],
    key: DirectionKey,
    distribution: DirectionDistribution,
    device: &Device,
) -> ParamVector {
    let device = device.clone().without_autodiff();
    let mut direction = ParamVector::default();
    for leaf in leaves {
        let component = if on_host(&device) {
            let values = on_the_host(leaf, key, distribution);
            Tensor::from_data(TensorData::new(values, [leaf.len()]), &device)
        } else {
            threefry::component(leaf, key, distribution, &device)
        };
        direction.push(leaf.id, component);
    }
    direction
}

fn on_the_host(leaf: &Leaf, key: DirectionKey, distribution: DirectionDistribution) -> Vec<f32> {
    let seed = seed_bytes(leaf, key);
    let mut values = vec![0.0; leaf.len()];
    let blocks = values.par_chunks_mut(BLOCK).enumerate();
    blocks.for_each(|(block, values)| {
        let mut generator = ChaCha8Rng::from_seed(seed);
        generator.set_stream(block as u64);
        match distribution {
            DirectionDistribution::Gaussian | DirectionDistribution::Sphere => values
                .iter_mut()
                .for_each(|value| *value = generator.sample(StandardNormal)),
            DirectionDistribution::Rademacher => fill_signs(&mut generator, values),
        }
    });
    values
}

fn fill_signs(generator: &mut ChaCha8Rng, values: &mut [f32]) {
    for signs in values.chunks_mut(64) {
        let bits: u64 = generator.random();
        for (position, value) in signs.iter_mut().enumerate() {
            *value = if bits >> position & 1 == 0 { 1.0 } else { -1.0 };
        }
    }
}

fn seed_bytes(leaf: &Leaf, key: DirectionKey) -> [u8; 32] {
    let mut bytes = [0; 32];
    let words = [key.seed, key.step, key.index, path_hash(&leaf.path)];
    for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// FNV-1a, which unlike the standard library's hasher is the same in every process and version.
pub(crate) fn path_hash(path: &str) -> u64 {
    path.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
