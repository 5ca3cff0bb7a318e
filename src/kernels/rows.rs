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
    /// The same where lanes are images, if that layout is used.
    pub(crate) interleaved: Vec<u32>,
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

    /// The live values of dense weights.
    pub(crate) fn gather(&self, weights: &[f32]) -> Vec<Entry> {
        self.gather_at(&self.offsets, weights)
    }

    /// The live values of dense weights, with offsets in another layout.
    pub(crate) fn gather_at(&self, offsets: &[u32], weights: &[f32]) -> Vec<Entry> {
        let pairs = offsets.iter().zip(&self.positions);
        let entry = |(&offset, &position): (&u32, &u32)| Entry {
            offset,
            weight: weights[position as usize],
        };
        pairs.map(entry).collect()
    }
}

/// What the products of a tile are added to.
#[derive(Clone, Copy)]
pub(crate) enum Start {
    /// One number.
    Bias(f32),
    /// The numbers that the tile is to replace.
    Sums,
    /// Numbers that lie as the tile does, and one number.
    Onto(*const f32, f32),
}

/// A tile's first number, and the distance to its next vector.
#[derive(Clone, Copy)]
pub(crate) struct Vectors<P> {
    pub(crate) first: P,
    pub(crate) step: usize,
}

/// One tile of a row: `to[i] = start + Σ weight · from[offset + i]` for `count` vectors, at most [`TILE`], then ReLU if wanted.
///
/// # Safety
/// `from` is valid for the vectors of the tile at every offset of the entries, `to` and what it starts on for them; the CPU has the
/// instructions of `S`.
#[inline(always)]
pub(crate) unsafe fn multiply_tile<S: Simd>(
    entries: &[Entry],
    from: Vectors<*const f32>,
    start: Start,
    to: Vectors<*mut f32>,
    count: usize,
    relu: bool,
) {
    macro_rules! sizes {
        ($($size:literal)*) => {
            match count {
                // SAFETY: the caller's contract.
                $($size => unsafe { tile::<S, $size>(entries, from, start, to, relu) },)*
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
    from: Vectors<*const f32>,
    start: Start,
    to: Vectors<*mut f32>,
    relu: bool,
) {
    // SAFETY: the caller's contract.
    unsafe {
        let mut sums = match start {
            Start::Bias(bias) => [S::splat(bias); T],
            Start::Sums => std::array::from_fn(|index| S::load(to.first.add(index * to.step))),
            Start::Onto(numbers, bias) => {
                let bias = S::splat(bias);
                std::array::from_fn(|index| S::add(S::load(numbers.add(index * to.step)), bias))
            }
        };
        for entry in entries {
            let weight = S::splat(entry.weight);
            let first = from.first.add(entry.offset as usize);
            for (index, sum) in sums.iter_mut().enumerate() {
                *sum = S::multiply_add(weight, S::load(first.add(index * from.step)), *sum);
            }
        }
        for (index, sum) in sums.into_iter().enumerate() {
            let sum = match relu {
                true => S::pass_positive(sum, sum),
                false => sum,
            };
            S::store(to.first.add(index * to.step), sum);
        }
    }
}
