//! Plain Rust: the fallback, and what Miri runs.

use super::Simd;

pub(crate) struct Scalar;

impl Simd for Scalar {
    type Vector = [f32; 4];
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn splat(value: f32) -> [f32; 4] {
        [value; 4]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 4] {
        // SAFETY: the caller's pointer is valid for four numbers; arrays have the alignment of
        // their elements.
        unsafe { from.cast::<[f32; 4]>().read() }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, vector: [f32; 4]) {
        // SAFETY: as for `load`.
        unsafe { to.cast::<[f32; 4]>().write(vector) }
    }

    // Two roundings: `f32::mul_add` is a library call on CPUs without FMA, which are those that
    // come here.
    #[inline(always)]
    unsafe fn multiply_add(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        [
            a[0] * b[0] + c[0],
            a[1] * b[1] + c[1],
            a[2] * b[2] + c[2],
            a[3] * b[3] + c[3],
        ]
    }

    #[inline(always)]
    unsafe fn add(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]]
    }

    #[inline(always)]
    unsafe fn multiply(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        [a[0] * b[0], a[1] * b[1], a[2] * b[2], a[3] * b[3]]
    }

    #[inline(always)]
    unsafe fn pass_positive(gate: [f32; 4], value: [f32; 4]) -> [f32; 4] {
        let mut passed = value;
        for lane in 0..4 {
            if gate[lane] <= 0.0 {
                passed[lane] = 0.0;
            }
        }
        passed
    }

    #[inline(always)]
    unsafe fn at_most(value: [f32; 4], most: [f32; 4]) -> [f32; 4] {
        let mut bounded = value;
        for lane in 0..4 {
            if value[lane] > most[lane] {
                bounded[lane] = most[lane];
            }
        }
        bounded
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        for row in 0..4 {
            for column in 0..4 {
                // SAFETY: the caller's pointers cover four rows of four numbers at their strides.
                unsafe { *to.add(column * to_stride + row) = *from.add(row * from_stride + column) }
            }
        }
    }
}
