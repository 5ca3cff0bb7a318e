//! Planes in vectors: what each pass does to one vector, the loop over a plane, and sums that do
//! not lose digits.

use std::ops::Range;

use super::super::simd::Simd;

/// Vectors that are summed side by side, so that one addition need not wait for the last.
const SIDES: usize = 2;

/// A cache line of numbers.
const LINE: usize = 16;

/// Numbers of a channel that are summed in `f32` before the sums go on in `f64`: 32 to 128
/// additions in a lane where planes fill the vectors, up to 1024 where a plane is one number.
pub(super) const BLOCK: usize = 1024;

/// How a vector meets memory: all of its lanes, or the last numbers of a plane.
pub(super) trait Access: Copy {
    /// Loads the lanes there are; the others are `fill`.
    ///
    /// # Safety
    /// `from` is valid for the lanes there are; the CPU has the instructions of `S`.
    unsafe fn load<S: Simd>(self, from: *const f32, fill: f32) -> S::Vector;

    /// Stores the lanes there are.
    ///
    /// # Safety
    /// As for `load`, of `to`.
    unsafe fn store<S: Simd>(self, to: *mut f32, vector: S::Vector);
}

#[derive(Clone, Copy)]
struct Whole;

impl Access for Whole {
    #[inline(always)]
    unsafe fn load<S: Simd>(self, from: *const f32, _: f32) -> S::Vector {
        // SAFETY: the caller's contract.
        unsafe { S::load(from) }
    }

    #[inline(always)]
    unsafe fn store<S: Simd>(self, to: *mut f32, vector: S::Vector) {
        // SAFETY: the caller's contract.
        unsafe { S::store(to, vector) }
    }
}

/// Fewer numbers than lanes. They make a vector all the same, so that a number's result does not
/// depend on where in its plane it lies.
#[derive(Clone, Copy)]
struct Part(usize);

impl Access for Part {
    #[inline(always)]
    unsafe fn load<S: Simd>(self, from: *const f32, fill: f32) -> S::Vector {
        // SAFETY: the caller's contract.
        unsafe { S::load_part(from, self.0, fill) }
    }

    #[inline(always)]
    unsafe fn store<S: Simd>(self, to: *mut f32, vector: S::Vector) {
        // SAFETY: the caller's contract.
        unsafe { S::store_part(to, self.0, vector) }
    }
}

/// What a pass does to the vector at a place of the slices; what it adds up goes into two sums.
pub(super) trait Step<S: Simd> {
    /// # Safety
    /// The slices of the step are valid from `at` on for the lanes of `access`; the CPU has the
    /// instructions of `S`.
    unsafe fn step<A: Access>(&self, at: usize, access: A, sums: &mut [S::Vector; 2]);

    /// Asks for the line at this place of the plane that comes next, where the CPU does not guess
    /// it.
    ///
    /// # Safety
    /// The CPU has the instructions of `S`.
    #[inline(always)]
    unsafe fn prefetch(&self, _at: usize) {}
}

/// Runs a step over the numbers of a range.
///
/// # Safety
/// The slices of the step are valid for the range; the CPU has the instructions of `S`.
#[inline(always)]
pub(super) unsafe fn sweep<S: Simd, P: Step<S>>(step: &P, range: Range<usize>, sums: &mut Sums<S>) {
    // A copy that nothing points to stays in registers.
    let mut sides = sums.sides;
    let Range { start: mut at, end } = range;
    sums.count += end - at;
    // SAFETY: every vector lies in the range, whose last numbers are a part of one.
    unsafe {
        while at + SIDES * S::LANES <= end {
            for line in 0..SIDES * S::LANES / LINE {
                step.prefetch(at + line * LINE);
            }
            for (side, sums) in sides.iter_mut().enumerate() {
                step.step(at + side * S::LANES, Whole, sums);
            }
            at += SIDES * S::LANES;
        }
        for sums in &mut sides {
            if at + S::LANES > end {
                break;
            }
            step.prefetch(at);
            step.step(at, Whole, sums);
            at += S::LANES;
        }
        if at < end {
            step.prefetch(at);
            step.step(at, Part(end - at), &mut sides[SIDES - 1]);
        }
    }
    sums.sides = sides;
}

/// Two sums in `f32` lanes, for one block of a channel.
pub(super) struct Sums<S: Simd> {
    sides: [[S::Vector; 2]; SIDES],
    /// Numbers that were swept.
    pub(super) count: usize,
}

impl<S: Simd> Sums<S> {
    /// # Safety
    /// The CPU has the instructions of `S`.
    #[inline(always)]
    pub(super) unsafe fn zero() -> Self {
        Self {
            // SAFETY: the caller's contract.
            sides: [[unsafe { S::splat(0.0) }; 2]; SIDES],
            count: 0,
        }
    }

    /// The sums; from here on they are zero.
    ///
    /// # Safety
    /// The CPU has the instructions of `S`.
    #[inline(always)]
    pub(super) unsafe fn take(&mut self) -> [f64; 2] {
        let mut both = self.sides[0];
        // SAFETY: the caller's contract.
        unsafe {
            for side in &self.sides[1..] {
                both[0] = S::add(both[0], side[0]);
                both[1] = S::add(both[1], side[1]);
            }
            *self = Self::zero();
            [f64::from(S::sum(both[0])), f64::from(S::sum(both[1]))]
        }
    }
}
