//! Vector instructions: one trait, one file per instruction set, one run-time dispatch.
//!
//! `std::arch` and not a portable layer, because the kernels need in-register transposition, which
//! the portable layers lack, and ten other operations, which is less code than adapting one.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;

use crate::error::{Error, Result};

/// A set of vector instructions.
///
/// Every method is unsafe for one reason: the CPU must have the instructions. [`Instructions::run`]
/// alone calls into code that is generic over this trait, after it has checked that. Pointers must
/// be valid for the lanes they touch.
pub(crate) trait Simd {
    /// `LANES` numbers.
    type Vector: Copy;
    /// Numbers in a vector; at most [`MAX_LANES`].
    const LANES: usize;

    unsafe fn splat(value: f32) -> Self::Vector;
    unsafe fn load(from: *const f32) -> Self::Vector;
    unsafe fn store(to: *mut f32, vector: Self::Vector);
    /// `a · b + c`, rounded once where the hardware can.
    unsafe fn multiply_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    unsafe fn add(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    unsafe fn multiply(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `value` in the lanes where `gate` is positive or NaN, zero elsewhere: ReLU where both are
    /// the same.
    unsafe fn pass_positive(gate: Self::Vector, value: Self::Vector) -> Self::Vector;
    /// The smaller of both; `value` where one is NaN.
    unsafe fn at_most(value: Self::Vector, most: Self::Vector) -> Self::Vector;
    /// The first `count` lanes from memory, at most `LANES`; the others are `fill`.
    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize, fill: f32) -> Self::Vector {
        let mut lanes = [fill; MAX_LANES];
        // SAFETY: the array holds MAX_LANES ≥ LANES ≥ count numbers; the caller vouches for `from`
        // and the instructions.
        unsafe {
            from.copy_to_nonoverlapping(lanes.as_mut_ptr(), count);
            Self::load(lanes.as_ptr())
        }
    }
    /// Stores the first `count` lanes, at most `LANES`.
    #[inline(always)]
    unsafe fn store_part(to: *mut f32, count: usize, vector: Self::Vector) {
        let mut lanes = [0.0f32; MAX_LANES];
        // SAFETY: the array holds MAX_LANES ≥ LANES ≥ count numbers; the caller vouches for `to`
        // and the instructions.
        unsafe {
            Self::store(lanes.as_mut_ptr(), vector);
            to.copy_from_nonoverlapping(lanes.as_ptr(), count);
        }
    }
    /// The numbers `from[at[lane]]`, which are below 2³¹.
    #[inline(always)]
    unsafe fn gather(from: *const f32, at: *const u32) -> Self::Vector {
        let mut lanes = [0.0f32; MAX_LANES];
        // SAFETY: the array holds MAX_LANES ≥ LANES numbers; the caller vouches for `from` at
        // every place, for LANES places, and for the instructions.
        unsafe {
            for (lane, number) in lanes.iter_mut().enumerate().take(Self::LANES) {
                *number = *from.add(*at.add(lane) as usize);
            }
            Self::load(lanes.as_ptr())
        }
    }
    /// Asks for a cache line that will be read soon, at any address.
    #[inline(always)]
    unsafe fn prefetch(_from: *const f32) {}
    /// Writes the transpose of a `LANES × LANES` block; strides in numbers.
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize);

    /// Sum of the lanes, by halves.
    #[inline(always)]
    unsafe fn sum(vector: Self::Vector) -> f32 {
        let mut lanes = [0.0f32; MAX_LANES];
        // SAFETY: the array holds MAX_LANES ≥ LANES numbers; the caller vouches for the
        // instructions.
        unsafe { Self::store(lanes.as_mut_ptr(), vector) };
        let mut half = Self::LANES / 2;
        while half > 0 {
            for lane in 0..half {
                lanes[lane] += lanes[lane + half];
            }
            half /= 2;
        }
        lanes[0]
    }
}

/// The most lanes of any instruction set.
pub(crate) const MAX_LANES: usize = 16;

/// Work that is compiled once per instruction set. Implementations of `run` and all they call are
/// `#[inline(always)]`, so that they are compiled with the caller's instructions.
pub(crate) trait Job {
    /// # Safety
    /// The CPU has the instructions of `S`.
    unsafe fn run<S: Simd>(self);
}

/// The instruction set that the kernels run on.
///
/// ```
/// use zosam::kernels::Instructions;
///
/// assert!(Instructions::detect().is_available());
/// assert!(Instructions::Scalar.is_available());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instructions {
    /// Plain Rust, on any CPU.
    Scalar,
    /// 8 lanes, x86-64 with AVX2 and FMA.
    Avx2,
    /// 16 lanes, x86-64 with AVX-512F.
    Avx512,
    /// 4 lanes, 64-bit ARM.
    Neon,
}

impl Instructions {
    /// All instruction sets, fastest first.
    pub const ALL: [Self; 4] = [Self::Avx512, Self::Avx2, Self::Neon, Self::Scalar];

    /// The fastest set that this CPU has.
    pub fn detect() -> Self {
        let available = Self::ALL.into_iter().find(|set| set.is_available());
        available.unwrap_or(Self::Scalar)
    }

    /// Whether this CPU has the instructions.
    pub fn is_available(self) -> bool {
        match self {
            Self::Scalar => true,
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            Self::Avx512 => Self::Avx2.is_available() && is_x86_feature_detected!("avx512f"),
            #[cfg(all(target_arch = "aarch64", not(miri)))]
            Self::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            #[allow(unreachable_patterns)]
            _ => false,
        }
    }

    pub(crate) fn check(self) -> Result<()> {
        if self.is_available() {
            return Ok(());
        }
        Err(Error::Config {
            field: "instructions",
            value: format!("{self:?}"),
            valid: "a set that this CPU has, see `Instructions::detect`",
        })
    }

    pub(crate) fn lanes(self) -> usize {
        match self {
            Self::Scalar | Self::Neon => 4,
            Self::Avx2 => 8,
            Self::Avx512 => 16,
        }
    }

    /// Runs a job with these instructions, or with plain Rust where the CPU lacks them.
    pub(crate) fn run<J: Job>(self, job: J) {
        match self {
            // SAFETY: each arm is guarded by the check that the CPU has the instructions.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 if self.is_available() => unsafe { avx512::run(job) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Self::Avx2 if self.is_available() => unsafe { avx2::run(job) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: as above.
            Self::Neon if self.is_available() => unsafe { neon::run(job) },
            // SAFETY: plain Rust runs everywhere.
            _ => unsafe { job.run::<scalar::Scalar>() },
        }
    }
}
