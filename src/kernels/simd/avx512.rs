//! AVX-512F: 16 lanes.

use std::arch::x86_64::*;

use super::avx2::transpose_8x8;
use super::{Job, Simd};

/// Compiles a job with these instructions.
///
/// # Safety
/// The CPU has AVX-512F, AVX2 and FMA.
#[target_feature(enable = "avx512f,avx2,fma")]
pub(super) unsafe fn run<J: Job>(job: J) {
    // SAFETY: the caller vouches for the instructions.
    unsafe { job.run::<Avx512>() }
}

pub(crate) struct Avx512;

// SAFETY of all blocks below: the trait's contract, which is the intrinsics': the CPU has the
// instructions and pointers are valid for the lanes they touch. Loads and stores are the unaligned
// forms.
impl Simd for Avx512 {
    type Vector = __m512;
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn splat(value: f32) -> __m512 {
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m512 {
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, vector: __m512) {
        unsafe { _mm512_storeu_ps(to, vector) }
    }

    #[inline(always)]
    unsafe fn multiply_add(a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn multiply(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_mul_ps(a, b) }
    }

    // "Not less or equal, or unordered" holds for positive numbers and NaN.
    #[inline(always)]
    unsafe fn pass_positive(gate: __m512, value: __m512) -> __m512 {
        unsafe {
            let passes = _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(gate, _mm512_setzero_ps());
            _mm512_maskz_mov_ps(passes, value)
        }
    }

    // The second operand if one is NaN.
    #[inline(always)]
    unsafe fn at_most(value: __m512, most: __m512) -> __m512 {
        unsafe { _mm512_min_ps(most, value) }
    }

    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize, fill: f32) -> __m512 {
        unsafe { _mm512_mask_loadu_ps(_mm512_set1_ps(fill), first_lanes(count), from) }
    }

    #[inline(always)]
    unsafe fn store_part(to: *mut f32, count: usize, vector: __m512) {
        unsafe { _mm512_mask_storeu_ps(to, first_lanes(count), vector) }
    }

    #[inline(always)]
    unsafe fn gather(from: *const f32, at: *const u32) -> __m512 {
        unsafe { _mm512_i32gather_ps::<4>(_mm512_loadu_si512(at.cast()), from) }
    }

    #[inline(always)]
    unsafe fn prefetch(from: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        for (row, column) in [(0, 0), (0, 8), (8, 0), (8, 8)] {
            // SAFETY: each quarter lies in the caller's 16 × 16 numbers.
            unsafe {
                let from = from.add(row * from_stride + column);
                transpose_8x8(
                    from,
                    from_stride,
                    to.add(column * to_stride + row),
                    to_stride,
                );
            }
        }
    }
}

/// A bit for each of the first `count` lanes, at most 16.
#[inline(always)]
fn first_lanes(count: usize) -> __mmask16 {
    ((1u32 << count) - 1) as __mmask16
}
