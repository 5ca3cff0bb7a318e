//! The core of both products with the weights: rows of live weights times tiles of positions.
//!
//! A tile of the output, up to [`TILE`] vectors of one row, stays in registers while the live weights of the row pass:
//! each is broadcast once and multiplied with the tile of the source that lies at its offset.

use super::simd::Simd;

/// The most vectors of a tile: what x86's 16 registers hold beside a weight.
pub(crate) const TILE: usize = 12;

/// Live weights, row by row: where each finds its source, and where its value lies in the dense weights.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    /// Row `r` owns the entries `starts[r]..starts[r + 1]`.
    pub(crate) starts: Vec<usize>,
    /// Distance in the packed source from the position of an output to what the weight multiplies.
    pub(crate) offsets: Vec<u32>,
    /// Index in the dense weights.
    pub(crate) positions: Vec<u32>,
}

/// A live weight and its offset, side by side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    offset: u32,
    weight: f32,
}

impl Rows {
    /// Without rows; `push` and `end_row` add to it.
    pub(crate) fn new() -> Self {
        Self {
            starts: vec![0],
            ..Self::default()
        }
    }

    pub(crate) fn push(&mut self, offset: usize, position: usize) {
        self.offsets.push(offset as u32);
        self.positions.push(position as u32);
    }

    pub(crate) fn end_row(&mut self) {
        self.starts.push(self.offsets.len());
    }

    pub(crate) fn count(&self) -> usize {
        self.starts.len() - 1
    }

    /// The live values of dense weights.
    pub(crate) fn gather(&self, weights: &[f32]) -> Vec<Entry> {
        let pairs = self.offsets.iter().zip(&self.positions);
        let entry = |(&offset, &position): (&u32, &u32)| Entry {
            offset,
            weight: weights[position as usize],
        };
        pairs.map(entry).collect()
    }
}

/// One tile of a row: `to[i] = bias + Σ weight · from[offset + i]` for the vectors `start..start + count`, at most [`TILE`].
///
/// # Safety
/// `from` is valid for the vectors of the tile at every offset of the entries, `to` for them; the CPU has the instructions
/// of `S`.
#[inline(always)]
pub(crate) unsafe fn multiply_tile<S: Simd>(
    entries: &[Entry],
    from: *const f32,
    bias: f32,
    to: *mut f32,
    start: usize,
    count: usize,
) {
    macro_rules! sizes {
        ($($size:literal)*) => {
            match count {
                $($size => unsafe {
                    // SAFETY: the caller's contract, moved to the tile's first number.
                    let at = start * S::LANES;
                    tile::<S, $size>(entries, from.add(at), bias, to.add(at));
                },)*
                _ => unreachable!("tiles have 1 to {TILE} vectors"),
            }
        };
    }
    sizes!(1 2 3 4 5 6 7 8 9 10 11 12);
}

/// The fewest tiles that cover the vectors, as equal as they come: (first vector, number of vectors).
#[inline(always)]
pub(crate) fn tiles(vectors: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = vectors.div_ceil(TILE);
    (0..count).map(move |tile| {
        let start = tile * vectors / count;
        (start, (tile + 1) * vectors / count - start)
    })
}

/// # Safety
/// As for [`multiply_tile`], for `T` vectors from `from` and `to` on.
#[inline(always)]
unsafe fn tile<S: Simd, const T: usize>(
    entries: &[Entry],
    from: *const f32,
    bias: f32,
    to: *mut f32,
) {
    // SAFETY: the caller's contract.
    unsafe {
        let mut sums = [S::splat(bias); T];
        for entry in entries {
            let weight = S::splat(entry.weight);
            let from = from.add(entry.offset as usize);
            for (index, sum) in sums.iter_mut().enumerate() {
                *sum = S::multiply_add(weight, S::load(from.add(index * S::LANES)), *sum);
            }
        }
        for (index, sum) in sums.into_iter().enumerate() {
            S::store(to.add(index * S::LANES), sum);
        }
    }
}
