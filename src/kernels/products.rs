//! The core of the weight gradient: products of an output's gradient with the inputs of its live
//! weights.
//!
//! Up to [`SHARED`] weights of a row share each load of the output gradient. Their sums stay in
//! registers over a span of positions and rest in memory, a vector per weight, between spans; lanes
//! are added once, at the end of a batch's part.

use super::simd::Simd;

/// Weights that share a load of the output gradient: their pointers fit in x86's general registers.
const SHARED: usize = 8;

/// Adds `Σ_i gradient[i] · source[offset + i]`, by lanes, to the sums of the weights of one row.
///
/// The products run over `runs` runs of `vectors` vectors, both at the given distances.
///
/// # Safety
/// `gradient` is valid for these vectors, `source` for as many at every offset, `sums` for `LANES`
/// numbers per offset; the CPU has the instructions of `S`.
#[inline(always)]
pub(crate) unsafe fn accumulate_row<S: Simd>(
    offsets: &[u32],
    gradient: Strided,
    source: Strided,
    runs: usize,
    vectors: usize,
    sums: *mut f32,
) {
    // As equal as they come: a chunk of few weights is a chain of few sums, each waiting for the
    // last.
    let chunks = offsets.len().div_ceil(SHARED);
    for chunk in 0..chunks {
        let first = chunk * offsets.len() / chunks;
        let offsets = &offsets[first..(chunk + 1) * offsets.len() / chunks];
        macro_rules! sizes {
            ($($size:literal)*) => {
                match offsets.len() {
                    $($size => unsafe {
                        // SAFETY: the caller's contract; the chunk's sums follow those of earlier
                        // chunks.
                        let sums = sums.add(first * S::LANES);
                        shared::<S, $size>(offsets, gradient, source, runs, vectors, sums);
                    },)*
                    _ => unreachable!("chunks have 1 to {SHARED} weights"),
                }
            };
        }
        sizes!(1 2 3 4 5 6 7 8);
    }
}

/// The first number of the first run, and the distances to the next run and to a run's next vector.
#[derive(Clone, Copy)]
pub(crate) struct Strided {
    pub(crate) first: *const f32,
    pub(crate) stride: usize,
    pub(crate) step: usize,
}

/// # Safety
/// As for [`accumulate_row`], with `K` offsets.
#[inline(always)]
unsafe fn shared<S: Simd, const K: usize>(
    offsets: &[u32],
    gradient: Strided,
    source: Strided,
    runs: usize,
    vectors: usize,
    sums: *mut f32,
) {
    // SAFETY: the caller's contract.
    unsafe {
        let mut totals = [S::splat(0.0); K];
        for (index, total) in totals.iter_mut().enumerate() {
            *total = S::load(sums.add(index * S::LANES));
        }
        for run in 0..runs {
            let first = gradient.first.add(run * gradient.stride);
            let mut sources = [source.first.add(run * source.stride); K];
            for (index, source) in sources.iter_mut().enumerate() {
                *source = source.add(offsets[index] as usize);
            }
            for vector in 0..vectors {
                let shared = S::load(first.add(vector * gradient.step));
                let at = vector * source.step;
                for (index, total) in totals.iter_mut().enumerate() {
                    *total = S::multiply_add(shared, S::load(sources[index].add(at)), *total);
                }
            }
        }
        for (index, total) in totals.into_iter().enumerate() {
            S::store(sums.add(index * S::LANES), total);
        }
    }
}
