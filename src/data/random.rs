//! Generators that are addressed by what they are for, so nothing depends on who draws first.

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;

/// What a generator is for; keeps streams with equal seeds apart.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Order = 0x6f72_6465,
    Augmentation = 0x6175_676d,
    Corruption = 0x636f_7272,
}

/// The generator of one seed, epoch, purpose and index.
pub(super) fn generator(seed: u64, epoch: u64, purpose: Purpose, index: u64) -> ChaCha8Rng {
    let mut bytes = [0; 32];
    let words = [seed, epoch, purpose as u64, index];
    for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(bytes)
}

/// The order in which an epoch visits `len` images (Fisher-Yates).
pub(super) fn order(seed: u64, epoch: u64, len: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    order.shuffle(&mut generator(seed, epoch, Purpose::Order, 0));
    order
}
