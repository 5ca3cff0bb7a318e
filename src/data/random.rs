//! Generators that are addressed by what they are for, so nothing depends on who draws first.

use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

pub(super) type Generator = ChaCha8Rng;

/// What a generator is for; keeps streams with equal seeds apart.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Order = 0x6f72_6465,
    Augmentation = 0x6175_676d,
    Corruption = 0x636f_7272,
    Transforms = 0x7472_616e,
    Erasing = 0x6572_6173,
    Mixing = 0x6d69_7869,
    Sequence = 0x7365_7175,
}

/// The generator of one seed, epoch, purpose and index; `repeat` counts the times that an epoch shows
/// the same image (repeated augmentation), and is below 2³².
pub(super) fn generator(
    seed: u64,
    epoch: u64,
    purpose: Purpose,
    index: usize,
    repeat: usize,
) -> Generator {
    let mut bytes = [0; 32];
    let purpose = purpose as u64 | (repeat as u64) << 32;
    let words = [seed, epoch, purpose, index as u64];
    for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(bytes)
}

/// The order in which an epoch visits `len` images (Fisher-Yates).
pub(super) fn order(seed: u64, epoch: u64, len: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    order.shuffle(&mut generator(seed, epoch, Purpose::Order, 0, 0));
    order
}

/// Uniform in \[low, high), or `low` if they are equal.
pub(super) fn uniform(generator: &mut Generator, low: f64, high: f64) -> f64 {
    low + (high - low) * generator.random::<f64>()
}

/// `true` with this probability: never for 0, always for 1.
pub(super) fn happens(generator: &mut Generator, probability: f64) -> bool {
    generator.random::<f64>() < probability
}
