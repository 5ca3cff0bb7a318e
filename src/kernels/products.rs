//! The core of the weight gradient: products of an output's gradient with the inputs of its live weights.
//!
//! Up to [`SHARED`] weights of a row share each load of the output gradient. Their sums stay in registers over a span of
//! positions and rest in memory, a vector per weight, between spans; lanes are added once, at the end of a batch's part.

use super::simd::Simd;

/// Weights that share a load of the output gradient: their pointers fit in x86's general registers.
const SHARED: usize = 8;

/// Adds `Σ_i gradient[i] · source[offset + i]`, `i < LANES · vectors`, to the sums of the weights of one row.
///
/// Planes of several images may be strung together: `images` of them, at the given strides.
///
/// # Safety
/// `gradient` is valid for `LANES · vectors` numbers in each image, `source` for as many at every offset, `sums` for
/// `LANES` numbers per offset; the CPU has the instructions of `S`.
#[inline(always)]
pub(crate) unsafe fn accumulate_row<S: Simd>(
    offsets: &[u32],
    gradient: Strided,
    source: Strided,
    images: usize,
    vectors: usize,
    sums: *mut f32,
) {
    for (chunk, offsets) in offsets.chunks(SHARED).enumerate() {
        macro_rules! sizes {
            ($($size:literal)*) => {
                match offsets.len() {
                    $($size => unsafe {
                        // SAFETY: the caller's contract; the chunk's sums follow those of earlier chunks.
                        let sums = sums.add(chunk * SHARED * S::LANES);
                        shared::<S, $size>(offsets, gradient, source, images, vectors, sums);
                    },)*
                    _ => unreachable!("chunks have 1 to {SHARED} weights"),
                }
            };
        }
        sizes!(1 2 3 4 5 6 7 8);
    }
}

/// The first number of the first image, and the distance to the next image's.
#[derive(Clone, Copy)]
pub(crate) struct Strided {
    pub(crate) first: *const f32,
    pub(crate) stride: usize,
}

/// # Safety
/// As for [`accumulate_row`], with `K` offsets.
#[inline(always)]
unsafe fn shared<S: Simd, const K: usize>(
    offsets: &[u32],
    gradient: Strided,
    source: Strided,
    images: usize,
    vectors: usize,
    sums: *mut f32,
) {
    // SAFETY: the caller's contract.
    unsafe {
        let mut totals = [S::splat(0.0); K];
        for (index, total) in totals.iter_mut().enumerate() {
            *total = S::load(sums.add(index * S::LANES));
        }
        for image in 0..images {
            let gradient = gradient.first.add(image * gradient.stride);
            let source = source.first.add(image * source.stride);
            let mut sources = [source; K];
            for (index, source) in sources.iter_mut().enumerate() {
                *source = source.add(offsets[index] as usize);
            }
            for vector in 0..vectors {
                let at = vector * S::LANES;
                let shared = S::load(gradient.add(at));
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
