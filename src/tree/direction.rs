//! Random directions, each made from its key, so that none has to be stored.

use std::sync::Arc;

use burn::tensor::{DType, Device, Tensor, TensorData};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rayon::prelude::*;

use super::counter;
use super::key::{mixed, path_hash};
use super::{DirectionDistribution, DirectionKey, Joined, Layout, Leaf, ParamVector, on_host};

/// Elements that share one generator stream on the host; fixed, so that the result does not depend
/// on how many threads fill the blocks.
const BLOCK: usize = 4096;

/// Draws the direction that belongs to a key, one component per leaf.
///
/// On the host parameters are told apart by their path, because burn's parameter ids differ between
/// processes, and all CPU backends share one definition (ChaCha8 by block). Any other device draws
/// all leaves together from a counter, whose key takes in the leaves' paths, in operations that the
/// device fuses into one pass. The two definitions give different directions. Components are f32:
/// what makes a direction good is its distribution, not the last bits of its numbers. A
/// [`DirectionDistribution::Sphere`] direction is returned as a Gaussian one: the caller normalises
/// it after masking.
pub fn draw(
    leaves: &[Leaf],
    key: DirectionKey,
    distribution: DirectionDistribution,
    device: &Device,
) -> ParamVector {
    let device = device.clone().without_autodiff();
    let places = leaves.iter().map(|leaf| (leaf, device.clone(), DType::F32));
    drawn(places.collect(), key, distribution)
}

/// As [`draw`], each component of the float type and on the device of that of another vector, where
/// it has one.
pub(crate) fn draw_like<'a>(
    like: &ParamVector,
    leaves: impl IntoIterator<Item = &'a Leaf>,
    key: DirectionKey,
    distribution: DirectionDistribution,
) -> ParamVector {
    let place = |leaf: &'a Leaf| {
        let like = like.get(leaf.id)?;
        Some((leaf, like.device(), like.dtype()))
    };
    let places = leaves.into_iter().filter_map(place);
    drawn(places.collect(), key, distribution)
}

fn drawn(
    places: Vec<(&Leaf, Device, DType)>,
    key: DirectionKey,
    distribution: DirectionDistribution,
) -> ParamVector {
    let mut direction = ParamVector::default();
    let Some((_, device, _)) = places.first() else {
        return direction;
    };
    let together = !on_host(device) && places.iter().all(|(_, other, _)| other == device);
    if together {
        let leaves: Vec<&Leaf> = places.iter().map(|(leaf, ..)| *leaf).collect();
        let joined = on_the_device(&leaves, key, distribution, device);
        if places.iter().all(|(.., kind)| *kind == DType::F32) {
            return joined.into();
        }
        for ((id, component), (.., kind)) in joined.iter().zip(&places) {
            direction.push(id, component.cast(*kind));
        }
        return direction;
    }
    for (leaf, device, kind) in places {
        let component = match on_host(&device) {
            true => {
                let values = on_the_host(leaf, key, distribution);
                let data = TensorData::new(values, [leaf.len()]);
                Tensor::from_data(data, (&device, DType::F32))
            }
            false => on_the_device(&[leaf], key, distribution, &device).tensor,
        };
        direction.push(leaf.id, component.cast(kind));
    }
    direction
}

fn on_the_device(
    leaves: &[&Leaf],
    key: DirectionKey,
    distribution: DirectionDistribution,
    device: &Device,
) -> Joined {
    let layout = Layout::new(leaves.iter().map(|leaf| (leaf.id, leaf.len())));
    let paths = leaves.iter().map(|leaf| path_hash(&leaf.path));
    let words = [key.seed, key.step, key.index].into_iter().chain(paths);
    let key = words.fold(0, mixed);
    let numbers = match distribution {
        DirectionDistribution::Gaussian | DirectionDistribution::Sphere => counter::normal,
        DirectionDistribution::Rademacher => counter::signs,
    };
    let tensor = match layout.len() {
        0 => Tensor::zeros([0], (device, DType::F32)),
        count => numbers(count, key, device),
    };
    Joined {
        layout: Arc::new(layout),
        tensor,
    }
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
