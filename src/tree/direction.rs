//! Random directions, addressed by a counter instead of a stream.

use burn::tensor::{DType, Device, Tensor, TensorData};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rayon::prelude::*;

use super::key::path_hash;
use super::{DirectionDistribution, DirectionKey, Leaf, ParamVector, on_host, threefry};

/// Elements that share one generator stream on the host; fixed, so that the result does not depend
/// on how many threads fill the blocks.
const BLOCK: usize = 4096;

/// Draws the direction that belongs to a key, one component per leaf.
///
/// Parameters are told apart by their path, because burn's parameter ids differ between processes.
/// CPU backends share one definition (ChaCha8 by block); an accelerator computes the direction
/// itself from the same key (Threefry-2x32), because sending one over at each step would cost more
/// than making it. The two definitions give different directions. Components are f32: what makes a
/// direction good is its distribution, not the last bits of its numbers. A
/// [`DirectionDistribution::Sphere`] direction is returned as a Gaussian one: the caller normalises it
/// after masking.
pub fn draw(
    leaves: &[Leaf],
    key: DirectionKey,
    distribution: DirectionDistribution,
    device: &Device,
) -> ParamVector {
    let mut direction = ParamVector::default();
    for leaf in leaves {
        direction.push(leaf.id, component(leaf, key, distribution, device));
    }
    direction
}

/// As [`draw`], each component of the float type and on the device of that of another vector, where it
/// has one.
pub(crate) fn draw_like<'a>(
    like: &ParamVector,
    leaves: impl IntoIterator<Item = &'a Leaf>,
    key: DirectionKey,
    distribution: DirectionDistribution,
) -> ParamVector {
    let mut direction = ParamVector::default();
    for leaf in leaves {
        if let Some(like) = like.get(leaf.id) {
            let component = component(leaf, key, distribution, &like.device());
            direction.push(leaf.id, component.cast(like.dtype()));
        }
    }
    direction
}

fn component(
    leaf: &Leaf,
    key: DirectionKey,
    distribution: DirectionDistribution,
    device: &Device,
) -> Tensor<1> {
    let device = device.clone().without_autodiff();
    if !on_host(&device) {
        return threefry::component(leaf, key, distribution, &device);
    }
    let values = on_the_host(leaf, key, distribution);
    let data = TensorData::new(values, [leaf.len()]);
    Tensor::from_data(data, (&device, DType::F32))
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
