//! How the numbers of a tensor lie in memory.

use crate::kernels::Mosaic;

/// The ways in which tensors like to lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Manner {
    Plain,
    Columns,
    Pieces(Mosaic),
}

impl Manner {
    pub fn layout(self, shape: &[usize]) -> Layout {
        match self {
            Self::Plain => Layout::plain(shape),
            Self::Columns => Layout::columns(shape),
            Self::Pieces(mosaic) => Layout::pieces(shape, mosaic),
        }
    }
}

/// The distance of neighbours on each axis; or planes that are cut into pieces, whose pixels have no
/// such distance.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layout {
    pub strides: Vec<usize>,
    pub mosaic: Option<Mosaic>,
}

impl Layout {
    /// Row after row.
    pub fn plain(shape: &[usize]) -> Self {
        let mut strides = vec![1; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis] * shape[axis];
        }
        Self {
            strides,
            mosaic: None,
        }
    }

    /// The last axis outermost: tokens `[tokens, width]` as the positions of an image,
    /// `[width, tokens]`.
    pub fn columns(shape: &[usize]) -> Self {
        let Some((_, others)) = shape.split_last() else {
            return Self::plain(shape);
        };
        let mut layout = Self::plain(others);
        layout.strides.push(others.iter().product());
        layout
    }

    /// The last two axes swapped: heads `[heads, tokens, width]` as `[heads, width, tokens]`.
    pub fn swapped(shape: &[usize]) -> Self {
        let axes = shape.len();
        let mut layout = Self::plain(shape);
        layout.strides[axes - 1] = shape[axes - 2];
        layout.strides[axes - 2] = 1;
        layout
    }

    /// Images `[N, C, H, W]` in pieces: strides of images and channels, and none within a plane.
    pub fn pieces(shape: &[usize], mosaic: Mosaic) -> Self {
        let length = mosaic.length();
        Self {
            strides: vec![shape[1] * length, length, 0, 0],
            mosaic: Some(mosaic),
        }
    }

    /// Whether another is the same, axes of one element left aside.
    pub fn is(&self, other: &Self, shape: &[usize]) -> bool {
        self.mosaic == other.mosaic && same(&self.strides, &other.strides, shape)
    }

    /// Whether numbers lie side by side without gaps, in whatever order.
    pub fn is_dense(&self, shape: &[usize]) -> bool {
        let axes = self.strides.iter().zip(shape);
        let mut axes: Vec<_> = axes.filter(|(_, size)| **size != 1).collect();
        axes.sort();
        let mut expected = 1;
        axes.into_iter().all(|(stride, size)| {
            let fits = *stride == expected;
            expected *= size;
            fits
        })
    }

    /// Numbers from the first to the last, those between pieces included.
    pub fn span(&self, shape: &[usize]) -> usize {
        if shape.contains(&0) {
            return 0;
        }
        match self.mosaic {
            Some(mosaic) => shape[0] * shape[1] * mosaic.length(),
            None => {
                let axes = self.strides.iter().zip(shape);
                axes.map(|(stride, size)| stride * (size - 1))
                    .sum::<usize>()
                    + 1
            }
        }
    }

    /// The same numbers in another shape, where they can stay.
    pub fn reshaped(&self, from: &[usize], to: &[usize]) -> Option<Self> {
        if self.mosaic.is_some() {
            return None;
        }
        let axes = from.iter().zip(&self.strides);
        let mut axes = axes.filter(|(size, _)| **size != 1).peekable();
        let mut strides = vec![0; to.len()];
        let mut at = 0;
        // Axes of one side are matched with axes of the other that have as many elements together.
        while let Some((&size, &stride)) = axes.next() {
            let (mut whole, mut last, mut count) = (size, (size, stride), 0);
            let start = at;
            while count != whole {
                if count < whole {
                    while *to.get(at)? == 1 {
                        at += 1;
                    }
                    count = count.max(1) * to[at];
                    at += 1;
                } else {
                    let (&size, &stride) = axes.next()?;
                    // Both have to be one axis in memory.
                    if last.1 != stride * size {
                        return None;
                    }
                    (whole, last) = (whole * size, (size, stride));
                }
            }
            let mut step = last.1;
            for axis in (start..at).rev() {
                strides[axis] = step;
                step *= to[axis];
            }
        }
        Some(Self {
            strides,
            mosaic: None,
        })
    }
}

fn same(a: &[usize], b: &[usize], shape: &[usize]) -> bool {
    let pairs = a.iter().zip(b).zip(shape);
    pairs.into_iter().all(|((a, b), size)| *size == 1 || a == b)
}

/// A tensor in a slot, or a part of what is in it.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub slot: usize,
    /// Where the layout begins in the slot.
    pub offset: usize,
    pub layout: Layout,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reshapes_keep_what_they_can() {
        let from = [1, 6, 4];
        let plain = Layout::plain(&from);
        // Columns: the width can be split into heads, but not joined with the tokens.
        let columns = Layout::columns(&from);
        let cases: [(&Layout, &[usize], &[usize]); 5] = [
            (&plain, &[24], &[1]),
            (&plain, &[2, 3, 1, 4], &[12, 4, 0, 1]),
            (&plain, &[3, 8], &[8, 1]),
            (&columns, &[1, 6, 2, 2], &[0, 1, 12, 6]),
            (&columns, &[6, 4], &[1, 6]),
        ];
        for (layout, to, strides) in cases {
            let reshaped = layout.reshaped(&from, to).unwrap();
            assert!(same(&reshaped.strides, strides, to), "{reshaped:?}");
        }
        assert_eq!(columns.reshaped(&from, &[24]), None);
        let one = Layout::plain(&[1, 1]).reshaped(&[1, 1], &[1]).unwrap();
        assert_eq!(one.strides.len(), 1);
    }
}
