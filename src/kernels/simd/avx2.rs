//! AVX2 with FMA: 8 lanes.

use std::arch::x86_64::*;

use super::{Job, Simd};

/// Compiles a job with these instructions.
///
/// # Safety
/// The CPU has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run<J: Job>(job: J) {
    // SAFETY: the caller vouches for the instructions.
    unsafe { job.run::<Avx2>() }
}

pub(crate) struct Avx2;

// SAFETY of all blocks below: the trait's contract, which is the intrinsics': the CPU has the
// instructions and pointers are valid for the lanes they touch. Loads and stores are the unaligned
// forms.
impl Simd for Avx2 {
    type Vector = __m256;
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn splat(value: f32) -> __m256 {
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m256 {
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, vector: __m256) {
        unsafe { _mm256_storeu_ps(to, vector) }
    }

    #[inline(always)]
    unsafe fn multiply_add(a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn multiply(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_mul_ps(a, b) }
    }

    // "Not less or equal, or unordered" holds for positive numbers and NaN.
    #[inline(always)]
    unsafe fn pass_positive(gate: __m256, value: __m256) -> __m256 {
        unsafe {
            let passes = _mm256_cmp_ps::<_CMP_NLE_UQ>(gate, _mm256_setzero_ps());
            _mm256_and_ps(passes, value)
        }
    }

    // The second operand if one is NaN.
    #[inline(always)]
    unsafe fn at_most(value: __m256, most: __m256) -> __m256 {
        unsafe { _mm256_min_ps(most, value) }
    }

    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize, fill: f32) -> __m256 {
        unsafe {
            let part = first_lanes(count);
            let loaded = _mm256_maskload_ps(from, part);
            _mm256_blendv_ps(_mm256_set1_ps(fill), loaded, _mm256_castsi256_ps(part))
        }
    }

    #[inline(always)]
    unsafe fn store_part(to: *mut f32, count: usize, vector: __m256) {
        unsafe { _mm256_maskstore_ps(to, first_lanes(count), vector) }
    }

    #[inline(always)]
    unsafe fn gather(from: *const f32, at: *const u32) -> __m256 {
        unsafe { _mm256_i32gather_ps::<4>(from, _mm256_loadu_si256(at.cast())) }
    }

    #[inline(always)]
    unsafe fn prefetch(from: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        unsafe { transpose_8x8(from, from_stride, to, to_stride) }
    }
}

/// All bits set in the first `count` lanes.
///
/// # Safety
/// The CPU has AVX2; `count` is at most 8.
#[inline(always)]
unsafe fn first_lanes(count: usize) -> __m256i {
    const LANES: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    // SAFETY: eight numbers from 8 − count on, within the sixteen.
    unsafe { _mm256_loadu_si256(LANES.as_ptr().add(8 - count).cast()) }
}

/// Transposes 8 × 8 numbers: 4 × 4 blocks by unpacking pairs, then their exchange.
///
/// # Safety
/// The CPU has AVX2; both pointers cover eight rows of eight numbers at their strides.
#[inline(always)]
pub(super) unsafe fn transpose_8x8(
    from: *const f32,
    from_stride: usize,
    to: *mut f32,
    to_stride: usize,
) {
    // SAFETY: the caller's contract.
    unsafe {
        let mut column = 0;
        while column < 8 {
            let from = from.add(column);
            let (a, b) = (halves(from, 0, from_stride), halves(from, 1, from_stride));
            let (c, d) = (halves(from, 2, from_stride), halves(from, 3, from_stride));
            let (ab_low, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            let (cd_low, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
            let to = to.add(column * to_stride);
            _mm256_storeu_ps(to, _mm256_shuffle_ps::<0x44>(ab_low, cd_low));
            _mm256_storeu_ps(to.add(to_stride), _mm256_shuffle_ps::<0xee>(ab_low, cd_low));
            _mm256_storeu_ps(
                to.add(2 * to_stride),
                _mm256_shuffle_ps::<0x44>(ab_high, cd_high),
            );
            _mm256_storeu_ps(
                to.add(3 * to_stride),
                _mm256_shuffle_ps::<0xee>(ab_high, cd_high),
            );
            column += 4;
        }
    }
}

/// Four numbers of a row and four of the row four below: the last exchange is done by the loads.
///
/// # Safety
/// As for `transpose_8x8`.
#[inline(always)]
unsafe fn halves(from: *const f32, row: usize, stride: usize) -> __m256 {
    // SAFETY: the caller's contract.
    unsafe {
        let low = _mm_loadu_ps(from.add(row * stride));
        let high = _mm_loadu_ps(from.add((row + 4) * stride));
        _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(low), high)
    }
}
