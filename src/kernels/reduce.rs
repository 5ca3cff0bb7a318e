//! Sums over some axes of an array.

use super::simd::{Instructions, Job, Simd};
use super::strided::Axes;

/// Sums of the elements over `reduced`, times a factor, for each element of `kept`, whose second
/// strides are the output's.
///
/// # Panics
/// If an element lies outside of its slice.
pub(crate) fn sum(kept: &Axes<2>, reduced: &Axes<1>, factor: f32, from: &[f32], to: &mut [f32]) {
    Instructions::detect().run(Sum {
        kept,
        reduced,
        factor,
        from,
        to,
    });
}

struct Sum<'a> {
    kept: &'a Axes<2>,
    reduced: &'a Axes<1>,
    factor: f32,
    from: &'a [f32],
    to: &'a mut [f32],
}

impl Job for Sum<'_> {
    /// Safe code throughout: only the compiler uses the instructions.
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self {
            kept,
            reduced,
            factor,
            from,
            to,
        } = self;
        let near = |axes: &Vec<(usize, [usize; 1])>, axis: usize| axes[axis].1[0];
        let along = reduced.nearest(0);
        let down = kept.nearest(0);
        let rows = along.map_or(usize::MAX, |axis| near(&reduced.axes, axis));
        let columns = down.map_or(usize::MAX, |axis| kept.axes[axis].1[0]);
        match down.filter(|axis| columns < rows && kept.axes[*axis].1[1] == 1) {
            // Neighbours of the output are neighbours of the input: vectors are added up.
            Some(axis) => {
                let (outer, (count, _)) = kept.clone().split(Some(axis));
                outer.each(|[start, at]| {
                    let to = &mut to[at..at + count];
                    to.fill(0.0);
                    reduced.each(|[offset]| {
                        let from = &from[start + offset..];
                        for (index, to) in to.iter_mut().enumerate() {
                            *to += from[index * columns];
                        }
                    });
                    to.iter_mut().for_each(|to| *to *= factor);
                });
            }
            None => {
                let (outer, (count, [step])) = reduced.clone().split(along);
                kept.each(|[start, at]| {
                    let mut sum = 0.0;
                    outer.each(|[offset]| sum += line(&from[start + offset..], step, count));
                    to[at] = sum * factor;
                });
            }
        }
    }
}

/// Partial sums, so that a line's sum is made of vectors, and its rounding grows more slowly.
const LANES: usize = 16;

#[inline(always)]
fn line(from: &[f32], step: usize, count: usize) -> f32 {
    if step != 1 {
        return (0..count).map(|at| from[at * step]).sum();
    }
    let mut sums = [0.0; LANES];
    for part in from[..count].chunks(LANES) {
        for (sum, number) in sums.iter_mut().zip(part) {
            *sum += number;
        }
    }
    sums.iter().sum()
}
