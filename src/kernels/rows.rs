//! The core of both products with the weights: rows of live weights times tiles of positions.
//!
//! A tile of the output, up to [`TILE`] vectors of one row, stays in registers while the live
//! weights of the row pass: each is broadcast once and multiplied with the tile of the source that
//! lies at its offset. Where rows come in pairs with the same offsets (blocks of outputs, or a
//! dense layer), half a tile of both shares what it reads.

use std::ops::Range;

use super::bounds::Bounds;
use super::simd::Simd;

/// The most vectors of a tile in one line: what x86's 16 registers hold beside a weight.
pub(crate) const TILE: usize = 12;

/// Live weights, row by row: where each finds its source, and where its value lies in the dense
/// weights.
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
    /// Whether rows `2 k` and `2 k + 1` have the same offsets, for every `k`.
    pub(crate) paired: bool,
}

/// A live weight and its offset, side by side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    offset: u32,
    weight: f32,
}

impl Entry {
    pub(crate) fn offset(&self) -> usize {
        self.offset as usize
    }

    pub(crate) fn weight(&self) -> f32 {
        self.weight
    }
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

    /// Finds out whether rows come in pairs, after the last of them; each block of sources has
    /// `targets` rows.
    pub(crate) fn finish(mut self, targets: usize) -> Self {
        let row = |row: usize| &self.offsets[self.starts[row]..self.starts[row + 1]];
        let pairs = (1..self.starts.len() - 1).step_by(2);
        self.paired = targets.is_multiple_of(2)
            && pairs
                .into_iter()
                .all(|second| row(second - 1) == row(second));
        self
    }

    /// The live values of dense weights.
    pub(crate) fn gather(&self, weights: &[f32]) -> Vec<Entry> {
        self.gather_at(&self.offsets, weights)
    }

    /// The entries of a row, of those that were gathered.
    pub(crate) fn of<'a>(&self, entries: &'a [Entry], row: usize) -> &'a [Entry] {
        &entries[self.starts[row]..self.starts[row + 1]]
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

/// A row of a tile.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) entries: &'a [Entry],
    pub(crate) start: Start,
    /// The tile's first number.
    pub(crate) to: *mut f32,
}

/// The vectors of a tile: lines of as many each.
#[derive(Clone, Copy)]
pub(crate) struct Tile {
    /// The source's first.
    pub(crate) from: *const f32,
    /// From a vector to the next of its line, on both sides.
    pub(crate) steps: [usize; 2],
    /// From a line to the next, on both sides.
    pub(crate) pitches: [usize; 2],
    /// Lines, 1 to 4, and vectors of each: at most [`TILE`] in one line, 4 in several, and 6 in all where rows are paired.
    pub(crate) size: [usize; 2],
    /// Of the results.
    pub(crate) bounds: Bounds,
}

impl Tile {
    /// One line of so many vectors.
    pub(crate) fn line(from: *const f32, steps: [usize; 2], count: usize) -> Self {
        Self {
            from,
            steps,
            pitches: [0; 2],
            size: [1, count],
            bounds: Bounds::default(),
        }
    }
}

/// One tile of some rows: `to[i] = start + Σ weight · from[offset + i]` for the tile's vectors,
/// then bounds. Tiles of several `LINES` are compiled only for whoever has them.
///
/// # Safety
/// The tile's source is valid for its vectors at every offset of the entries, the rows' targets and
/// what they start on for them; rows `2 k` and `2 k + 1` have the same offsets if rows are
/// `paired`; the CPU has the instructions of `S`.
#[inline(always)]
pub(crate) unsafe fn multiply_rows<'a, S: Simd, const LINES: bool>(
    rows: Range<usize>,
    paired: bool,
    tile: Tile,
    row: impl Fn(usize) -> Row<'a>,
) {
    let mut at = rows.start;
    while at < rows.end {
        // SAFETY: the caller's contract.
        unsafe {
            if paired && at.is_multiple_of(2) && at + 1 < rows.end {
                multiply_pair::<S, LINES>([row(at), row(at + 1)], tile);
                at += 2;
            } else {
                multiply_row::<S, LINES>(row(at), tile);
                at += 1;
            }
        }
    }
}

/// Calls [`multiply`] with the size of the tile as constants.
macro_rules! multiply_vectors {
    ($size:expr, $rows:expr, $tile:expr, $first:expr, $($lines:literal: $($count:literal)*),*) => {
        match $size {
            [_, 0] => {}
            $($([$lines, $count] => multiply::<S, _, $lines, $count>($rows, $tile, $first),)*)*
            size => unreachable!("there is no tile of {size:?} vectors"),
        }
    };
}

/// # Safety
/// As for [`multiply_rows`].
#[inline(always)]
unsafe fn multiply_row<S: Simd, const LINES: bool>(row: Row<'_>, tile: Tile) {
    // SAFETY: the caller's contract.
    unsafe {
        match LINES {
            false => {
                multiply_vectors!(tile.size, [row], tile, 0, 1: 1 2 3 4 5 6 7 8 9 10 11 12)
            }
            true => {
                multiply_vectors!(tile.size, [row], tile, 0,
                    1: 1 2 3 4, 2: 1 2 3 4, 3: 1 2 3 4, 4: 1 2 3 4)
            }
        }
    }
}

/// Two rows with the same offsets, one half of a long line after the other, so that their sums fit
/// in the registers.
///
/// # Safety
/// As for [`multiply_rows`].
#[inline(always)]
unsafe fn multiply_pair<S: Simd, const LINES: bool>(rows: [Row<'_>; 2], tile: Tile) {
    let [lines, count] = tile.size;
    let half = match count <= TILE / 2 {
        true => count,
        false => count.div_ceil(2),
    };
    for (first, count) in [(0, half), (half, count - half)] {
        // SAFETY: the caller's contract.
        unsafe {
            match LINES {
                false => {
                    multiply_vectors!([lines, count], rows, tile, first, 1: 1 2 3 4 5 6)
                }
                true => {
                    multiply_vectors!([lines, count], rows, tile, first,
                        1: 1 2 3, 2: 1 2 3, 3: 1 2, 4: 1)
                }
            }
        }
    }
}

/// The fewest tiles that cover the vectors, as equal as they come: (first vector, number of
/// vectors).
#[inline(always)]
pub(crate) fn tiles(vectors: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = vectors.div_ceil(TILE);
    (0..count).map(move |tile| {
        let start = tile * vectors / count;
        (start, (tile + 1) * vectors / count - start)
    })
}

/// `L` lines of `T` vectors of `R` rows, from vector `first` of each line on.
///
/// # Safety
/// As for [`multiply_rows`]; all rows have the offsets of the first.
#[inline(always)]
unsafe fn multiply<S: Simd, const R: usize, const L: usize, const T: usize>(
    rows: [Row<'_>; R],
    tile: Tile,
    first: usize,
) {
    let [from_step, to_step] = tile.steps;
    let [from_pitch, to_pitch] = tile.pitches;
    // SAFETY: the caller's contract.
    unsafe {
        let from = tile.from.add(first * from_step);
        // Loops and not closures: one that is not inlined has no vector instructions, and every
        // operation becomes a call.
        let mut sums = [[[S::splat(0.0); T]; L]; R];
        for (row, sums) in rows.iter().zip(&mut sums) {
            let to = row.to.add(first * to_step);
            match row.start {
                Start::Bias(bias) => *sums = [[S::splat(bias); T]; L],
                Start::Sums => {
                    for (line, sums) in sums.iter_mut().enumerate() {
                        for (index, sum) in sums.iter_mut().enumerate() {
                            *sum = S::load(to.add(line * to_pitch + index * to_step));
                        }
                    }
                }
                Start::Onto(numbers, bias) => {
                    let (numbers, bias) = (numbers.add(first * to_step), S::splat(bias));
                    for (line, sums) in sums.iter_mut().enumerate() {
                        for (index, sum) in sums.iter_mut().enumerate() {
                            let number = S::load(numbers.add(line * to_pitch + index * to_step));
                            *sum = S::add(number, bias);
                        }
                    }
                }
            }
        }
        for (at, entry) in rows[0].entries.iter().enumerate() {
            let from = from.add(entry.offset as usize);
            let mut weights = [S::splat(0.0); R];
            for (row, weight) in rows.iter().zip(&mut weights) {
                *weight = S::splat(row.entries.get_unchecked(at).weight);
            }
            for line in 0..L {
                for index in 0..T {
                    let source = S::load(from.add(line * from_pitch + index * from_step));
                    for (sums, &weight) in sums.iter_mut().zip(&weights) {
                        sums[line][index] = S::multiply_add(weight, source, sums[line][index]);
                    }
                }
            }
        }
        for (row, sums) in rows.iter().zip(sums) {
            let to = row.to.add(first * to_step);
            for (line, sums) in sums.into_iter().enumerate() {
                for (index, sum) in sums.into_iter().enumerate() {
                    let sum = tile.bounds.of_all::<S>(sum);
                    S::store(to.add(line * to_pitch + index * to_step), sum);
                }
            }
        }
    }
}
