//! Exact selection of the best-scored positions.

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

/// The positions of the `k` largest scores among `candidates`.
///
/// Exactly `k` come back whatever the ties: equal scores go to the lower position. Linear time on
/// average; scores must not be NaN.
pub(crate) fn top_k(scores: &[f32], mut candidates: Vec<u32>, k: usize) -> Vec<u32> {
    assert!(
        k <= candidates.len(),
        "no more positions can be chosen than exist"
    );
    if k == 0 {
        return Vec::new();
    }
    if k < candidates.len() {
        candidates.select_nth_unstable_by(k - 1, |a, b| {
            let (score_a, score_b) = (scores[*a as usize], scores[*b as usize]);
            // −0 and 0 are equal scores, which `total_cmp` alone would tell apart.
            (score_b + 0.0).total_cmp(&(score_a + 0.0)).then(a.cmp(b))
        });
    }
    candidates.truncate(k);
    candidates
}

/// All positions for which a condition holds.
pub(crate) fn positions(len: usize, mut condition: impl FnMut(usize) -> bool) -> Vec<u32> {
    assert!(u32::try_from(len).is_ok(), "positions are 32 bits wide");
    (0..len as u32).filter(|i| condition(*i as usize)).collect()
}

/// A generator that belongs to a seed, a step and a parameter.
pub(crate) fn generator(seed: u64, step: u64, path: &str) -> ChaCha8Rng {
    let mut bytes = [0; 32];
    let words = [seed, step, crate::tree::path_hash(path), 0x7370_6172_7365];
    for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(bytes)
}
