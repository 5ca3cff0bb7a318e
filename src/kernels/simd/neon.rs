//! NEON on 64-bit ARM: 4 lanes.

use std::arch::aarch64::*;

use super::{Job, Simd};

/// Compiles a job with these instructions.
///
/// # Safety
/// The CPU has NEON.
#[target_feature(enable = "neon")]
pub(super) unsafe fn run<J: Job>(job: J) {
    // SAFETY: the caller vouches for the instructions.
    unsafe { job.run::<Neon>() }
}

pub(crate) struct Neon;

// SAFETY of all blocks below: the trait's contract, which is the intrinsics': the CPU has the
// instructions and pointers are valid for the lanes they touch.
impl Simd for Neon {
    type Vector = float32x4_t;
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn splat(value: f32) -> float32x4_t {
        unsafe { vdupq_n_f32(value) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> float32x4_t {
        unsafe { vld1q_f32(from) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, vector: float32x4_t) {
        unsafe { vst1q_f32(to, vector) }
    }

    #[inline(always)]
    unsafe fn multiply_add(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        unsafe { vfmaq_f32(c, a, b) }
    }

    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vaddq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn multiply(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vmulq_f32(a, b) }
    }

    // Clears the lanes where the gate is at most zero, which NaN is not.
    #[inline(always)]
    unsafe fn pass_positive(gate: float32x4_t, value: float32x4_t) -> float32x4_t {
        unsafe {
            let blocked = vcleq_f32(gate, vdupq_n_f32(0.0));
            vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(value), blocked))
        }
    }

    // A comparison, because the minimum would take NaN from either.
    #[inline(always)]
    unsafe fn at_most(value: float32x4_t, most: float32x4_t) -> float32x4_t {
        unsafe { vbslq_f32(vcgtq_f32(value, most), most, value) }
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        // SAFETY: the caller's pointers cover four rows of four numbers at their strides.
        unsafe {
            let (a, b) = (vld1q_f32(from), vld1q_f32(from.add(from_stride)));
            let (c, d) = (
                vld1q_f32(from.add(2 * from_stride)),
                vld1q_f32(from.add(3 * from_stride)),
            );
            let (ab_low, ab_high) = (vzip1q_f32(a, b), vzip2q_f32(a, b));
            let (cd_low, cd_high) = (vzip1q_f32(c, d), vzip2q_f32(c, d));
            let columns = [
                vcombine_f32(vget_low_f32(ab_low), vget_low_f32(cd_low)),
                vcombine_f32(vget_high_f32(ab_low), vget_high_f32(cd_low)),
                vcombine_f32(vget_low_f32(ab_high), vget_low_f32(cd_high)),
                vcombine_f32(vget_high_f32(ab_high), vget_high_f32(cd_high)),
            ];
            for (index, column) in columns.into_iter().enumerate() {
                vst1q_f32(to.add(index * to_stride), column);
            }
        }
    }
}
