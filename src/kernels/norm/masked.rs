//! The gradient behind a ReLU, and the deviations it meets.

use super::super::simd::Simd;
use super::normalise::Map;
use super::sweep::Access;

/// `GradientMask`, one type each, so that the loops are compiled for each.
pub(super) trait Mask: Copy + Sync {
    /// The gradient where it passes, given the normalisation and its deviation.
    ///
    /// # Safety
    /// As for `Step::step`.
    unsafe fn pass<S: Simd, A: Access>(
        self,
        at: usize,
        access: A,
        map: &Map<S>,
        deviation: S::Vector,
        gradient: S::Vector,
    ) -> S::Vector;

    /// As `Step::prefetch`, of what the mask reads.
    ///
    /// # Safety
    /// The CPU has the instructions of `S`.
    #[inline(always)]
    unsafe fn prefetch<S: Simd>(self, _at: usize) {}
}

#[derive(Clone, Copy)]
pub(super) struct Open;

impl Mask for Open {
    #[inline(always)]
    unsafe fn pass<S: Simd, A: Access>(
        self,
        _: usize,
        _: A,
        _: &Map<S>,
        _: S::Vector,
        gradient: S::Vector,
    ) -> S::Vector {
        gradient
    }
}

#[derive(Clone, Copy)]
pub(super) struct Recomputed;

impl Mask for Recomputed {
    #[inline(always)]
    unsafe fn pass<S: Simd, A: Access>(
        self,
        _: usize,
        _: A,
        map: &Map<S>,
        deviation: S::Vector,
        gradient: S::Vector,
    ) -> S::Vector {
        // SAFETY: the caller's contract.
        unsafe { S::pass_positive(map.output(deviation), gradient) }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Output<'a>(pub(super) &'a [f32]);

impl Mask for Output<'_> {
    #[inline(always)]
    unsafe fn pass<S: Simd, A: Access>(
        self,
        at: usize,
        access: A,
        _: &Map<S>,
        _: S::Vector,
        gradient: S::Vector,
    ) -> S::Vector {
        // SAFETY: the caller's contract.
        unsafe {
            let output = access.load::<S>(self.0.as_ptr().add(at), 0.0);
            S::pass_positive(output, gradient)
        }
    }

    #[inline(always)]
    unsafe fn prefetch<S: Simd>(self, at: usize) {
        // SAFETY: the caller's contract.
        unsafe { S::prefetch(self.0.as_ptr().wrapping_add(at)) }
    }
}

/// `x − μ` and `g′`.
pub(super) struct Masked<M, S: Simd> {
    pub(super) input: *const f32,
    pub(super) mean: f32,
    pub(super) map: Map<S>,
    pub(super) gradient: *const f32,
    pub(super) mask: M,
    /// How far off lies what is read next.
    pub(super) ahead: usize,
}

impl<M: Mask, S: Simd> Masked<M, S> {
    /// # Safety
    /// As for `Step::step`.
    #[inline(always)]
    pub(super) unsafe fn load<A: Access>(&self, at: usize, access: A) -> [S::Vector; 2] {
        // SAFETY: the caller's contract. Lanes that are filled up are zero in both.
        unsafe {
            let input = access.load::<S>(self.input.add(at), self.mean);
            let deviation = self.map.deviation(input);
            let gradient = access.load::<S>(self.gradient.add(at), 0.0);
            let masked = self.mask.pass(at, access, &self.map, deviation, gradient);
            [deviation, masked]
        }
    }

    /// # Safety
    /// As for `Step::prefetch`.
    #[inline(always)]
    pub(super) unsafe fn prefetch(&self, at: usize, written: Option<*mut f32>) {
        let at = at.wrapping_add(self.ahead);
        // SAFETY: the caller's contract.
        unsafe {
            S::prefetch(self.input.wrapping_add(at));
            S::prefetch(self.gradient.wrapping_add(at));
            self.mask.prefetch::<S>(at);
            if let Some(written) = written {
                S::prefetch(written.wrapping_add(at));
            }
        }
    }
}
