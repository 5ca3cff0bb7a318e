//! What is looked for at every k-th ascent only, and serves those between.

use super::Memory;

const ASCENTS: &str = "ascents";

/// Whether the next ascent has to look for something new: the first and each k-th after it.
///
/// Ascents are counted, not steps, because a schedule or a method leaves steps out: periods of
/// steps could miss those that are perturbed for ever. The count is in the memory, which
/// checkpoints carry and a rewind clears.
pub(super) fn renews(memory: &Memory, every: u64) -> bool {
    (count(memory) as u64).is_multiple_of(every)
}

/// Takes note of an ascent. One that found nothing is not to be counted, so that the next looks
/// again.
pub(super) fn note(memory: &mut Memory) {
    memory.put_number(ASCENTS, count(memory) + 1.0);
}

fn count(memory: &Memory) -> f64 {
    memory.number(ASCENTS).unwrap_or(0.0)
}
