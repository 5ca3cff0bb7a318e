//! Arrays whose elements lie at any distances: how to walk over several of them at once, and to
//! copy from one to another.

/// The axes of some arrays of one shape, outermost first, with the distance of neighbours in each
/// array.
///
/// Axes of size 1 are left out, and neighbouring axes are one where that makes no difference.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axes<const N: usize> {
    pub(crate) axes: Vec<(usize, [usize; N])>,
}

impl<const N: usize> Axes<N> {
    /// All strides have an entry for every axis of the shape.
    pub(crate) fn new(shape: &[usize], strides: [&[usize]; N]) -> Self {
        let mut axes: Vec<(usize, [usize; N])> = Vec::new();
        for (axis, &size) in shape.iter().enumerate() {
            let steps = strides.map(|strides| strides[axis]);
            match axes.last_mut() {
                _ if size == 1 => {}
                Some((outer, before)) if (0..N).all(|i| before[i] == steps[i] * size) => {
                    (*outer, *before) = (*outer * size, steps);
                }
                _ => axes.push((size, steps)),
            }
        }
        Self { axes }
    }

    /// Number of elements.
    pub(crate) fn count(&self) -> usize {
        self.axes.iter().map(|(size, _)| size).product()
    }

    /// The places of an element, the last axis fastest.
    pub(crate) fn at(&self, mut index: usize) -> [usize; N] {
        let mut at = [0; N];
        for (size, steps) in self.axes.iter().rev() {
            let place = index % size;
            index /= size;
            (0..N).for_each(|array| at[array] += place * steps[array]);
        }
        at
    }

    /// The axis moved to the end, or an axis of one element if there is none.
    pub(crate) fn split(mut self, inner: Option<usize>) -> (Self, (usize, [usize; N])) {
        let inner = inner.map(|axis| self.axes.remove(axis));
        (self, inner.unwrap_or((1, [0; N])))
    }

    /// The axis whose neighbours are nearest in an array, the last of them if several are.
    pub(crate) fn nearest(&self, array: usize) -> Option<usize> {
        let axes = self.axes.iter().enumerate();
        let axes = axes.filter(|(_, (_, steps))| steps[array] > 0);
        axes.min_by_key(|(axis, (_, steps))| (steps[array], usize::MAX - axis))
            .map(|(axis, _)| axis)
    }

    /// Calls a function with the places of every element, the last axis fastest.
    #[inline(always)]
    pub(crate) fn each(&self, mut call: impl FnMut([usize; N])) {
        let count = self.count();
        let mut index = vec![0; self.axes.len()];
        let mut at = [0; N];
        for _ in 0..count {
            call(at);
            for (place, (size, steps)) in index.iter_mut().zip(&self.axes).rev() {
                *place += 1;
                for (at, step) in at.iter_mut().zip(steps) {
                    *at += step;
                }
                if *place < *size {
                    break;
                }
                for (at, step) in at.iter_mut().zip(steps) {
                    *at -= step * size;
                }
                *place = 0;
            }
        }
    }
}

/// Side of the squares in which an array is transposed: both sides' lines stay in the first cache.
const SQUARE: usize = 16;

/// Copies elements at the first strides to those at the second.
///
/// # Panics
/// If an element lies outside of its slice.
pub(crate) fn copy(axes: &Axes<2>, from: &[f32], to: &mut [f32]) {
    if axes.count() == 0 {
        return;
    }
    let (near, other) = (axes.nearest(1), axes.nearest(0));
    if near == other || other.is_none() || near.is_none() {
        let inner = near.or(axes.axes.len().checked_sub(1));
        let (outer, (count, [step, stride])) = axes.clone().split(inner);
        outer.each(|[a, b]| line(&from[a..], step, &mut to[b..], stride, count));
        return;
    }
    // A transposition: `down` has near neighbours where it is read, `across` where it is written.
    let (near, other) = (near.unwrap_or(0), other.unwrap_or(0));
    let (rest, (across, [far, stride])) = axes.clone().split(Some(near));
    let other = other - usize::from(other > near);
    let (rest, (down, [step, apart])) = rest.split(Some(other));
    rest.each(|[a, b]| {
        for i in (0..down).step_by(SQUARE) {
            let rows = SQUARE.min(down - i);
            for j in (0..across).step_by(SQUARE) {
                let columns = SQUARE.min(across - j);
                for row in i..i + rows {
                    let from = &from[a + row * step + j * far..];
                    let to = &mut to[b + row * apart + j * stride..];
                    line(from, far, to, stride, columns);
                }
            }
        }
    });
}

#[inline(always)]
fn line(from: &[f32], step: usize, to: &mut [f32], stride: usize, count: usize) {
    match (step, stride) {
        (1, 1) => to[..count].copy_from_slice(&from[..count]),
        (0, 1) => to[..count].fill(from[0]),
        (_, 1) => {
            for (to, from) in to[..count].iter_mut().zip(from.iter().step_by(step)) {
                *to = *from;
            }
        }
        _ => (0..count).for_each(|at| to[at * stride] = from[at * step]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_merged() {
        let axes = Axes::new(&[2, 1, 3, 4], [&[12, 9, 4, 1], &[1, 7, 8, 2]]);
        assert_eq!(axes.axes, [(2, [12, 1]), (12, [1, 2])]);
        assert_eq!(Axes::new(&[1, 1], [&[3, 4]]).count(), 1);
        let mut index = 0;
        axes.each(|at| {
            assert_eq!(axes.at(index), at);
            index += 1;
        });
        assert_eq!(index, 24);
    }

    /// Every permutation of three axes, sizes on both sides of the squares.
    #[test]
    fn copies_are_where_they_belong() {
        for shape in [[2, 3, 5], [1, 40, 17], [3, 16, 33], [2, 1, 1]] {
            let strides = [shape[1] * shape[2], shape[2], 1];
            let from: Vec<f32> = (0..shape.iter().product()).map(|i| i as f32).collect();
            for order in [
                [0, 1, 2],
                [0, 2, 1],
                [1, 0, 2],
                [1, 2, 0],
                [2, 0, 1],
                [2, 1, 0],
            ] {
                let mut apart = [0; 3];
                apart[order[2]] = 1;
                apart[order[1]] = shape[order[2]];
                apart[order[0]] = shape[order[2]] * shape[order[1]];
                let mut to = vec![f32::NAN; from.len()];
                copy(&Axes::new(&shape, [&strides, &apart]), &from, &mut to);
                for i in 0..shape[0] {
                    for j in 0..shape[1] {
                        for k in 0..shape[2] {
                            let found = to[i * apart[0] + j * apart[1] + k * apart[2]];
                            assert_eq!(found, from[i * strides[0] + j * strides[1] + k]);
                        }
                    }
                }
            }
        }
    }
}
