//! Planes cut into pieces, one for each lane of a vector: convolutions load whole vectors from
//! aligned places, and find their padding without a copy.

mod edges;

use super::shape::length;
use super::simd::{Instructions, MAX_LANES};
use crate::error::{Result, check};

pub(super) use edges::Edges;

/// Planes of a height and width, each cut into as many equal pieces as a vector has lanes.
///
/// A vector has one pixel of every piece, all of the same place within it; the vectors of a piece
/// follow row by row, with one more before and behind each row and one more row above and below.
/// Those hold the pixels next to each piece, which are its neighbours', or zero outside the plane.
/// So one vector further is one pixel to the right for all lanes, and a kernel of 3×3 never loads
/// across vectors.
///
/// With 16 lanes there are 4 × 4 pieces, with 8 lanes 2 × 4, with 4 lanes 2 × 2. Where sizes are no
/// multiples of these, the last pieces have fewer pixels and are filled up with zeros.
///
/// ```
/// use zosam::kernels::Mosaic;
///
/// let mosaic = Mosaic::new([6, 9])?;
/// let plane: Vec<f32> = (0..54).map(|pixel| pixel as f32).collect();
/// let mut pieces = vec![f32::NAN; mosaic.length()];
/// mosaic.put(&plane, &mut pieces)?;
///
/// let mut again = vec![f32::NAN; 54];
/// mosaic.take(&pieces, &mut again)?;
/// assert_eq!(again, plane);
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mosaic {
    instructions: Instructions,
    size: [usize; 2],
    /// Pieces down and across.
    pieces: [usize; 2],
    /// Rows and columns of a piece.
    piece: [usize; 2],
    length: usize,
}

impl Mosaic {
    /// For planes of a height and width, each at least 1 and at most 8192, with the lanes of this
    /// CPU's fastest instructions.
    ///
    /// # Errors
    /// Other sizes.
    pub fn new(size: [usize; 2]) -> Result<Self> {
        Self::with_instructions(size, Instructions::detect())
    }

    /// As [`new`](Self::new), with the lanes of other instructions.
    ///
    /// # Errors
    /// Other sizes, or instructions that the CPU lacks.
    pub fn with_instructions(size: [usize; 2], instructions: Instructions) -> Result<Self> {
        instructions.check()?;
        for (field, size) in ["height", "width"].into_iter().zip(size) {
            let holds = (1..=1 << 13).contains(&size);
            check(field, size as f64, holds, "at least 1 and at most 8192")?;
        }
        let pieces = Self::cut(instructions);
        let piece = [0, 1].map(|axis: usize| size[axis].div_ceil(pieces[axis]));
        let numbers = (piece[0] + 2) * (piece[1] + 2) * instructions.lanes();
        Ok(Self {
            instructions,
            size,
            pieces,
            piece,
            // An odd number of cache lines: planes at multiples of 4096 bytes would compete for the
            // same sets.
            length: (numbers.div_ceil(MAX_LANES) | 1) * MAX_LANES,
        })
    }

    /// Pieces down and across.
    fn cut(instructions: Instructions) -> [usize; 2] {
        match instructions.lanes() {
            16 => [4, 4],
            8 => [2, 4],
            _ => [2, 2],
        }
    }

    /// Numbers of a plane.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Rows and columns of a piece.
    pub(super) fn piece(&self) -> [usize; 2] {
        self.piece
    }

    /// Numbers from a row of the pieces to the next.
    pub(super) fn pitch(&self) -> usize {
        (self.piece[1] + 2) * self.instructions.lanes()
    }

    /// The place of the vector at a row and a column, counted from the halo above and before.
    pub(super) fn vector(&self, [row, column]: [usize; 2]) -> usize {
        row * self.pitch() + column * self.instructions.lanes()
    }

    /// Cuts planes `[planes, height, width]` into pieces `[planes, length]`, all of which is
    /// written.
    ///
    /// # Errors
    /// Slices of different numbers of planes, or not of whole ones.
    pub fn put(&self, planes: &[f32], pieces: &mut [f32]) -> Result<()> {
        self.check(planes, pieces)?;
        let firsts = self.firsts();
        let planes = planes.chunks_exact(self.size[0] * self.size[1]);
        for (plane, pieces) in planes.zip(pieces.chunks_exact_mut(self.length)) {
            for (at, [row, column]) in self.vectors() {
                let skipped = row * self.size[1] + column;
                let to = pieces[at..][..self.instructions.lanes()].iter_mut();
                for (to, first) in to.zip(&firsts) {
                    // Lanes without a pixel are what `border` makes zero.
                    *to = plane.get(first + skipped).copied().unwrap_or(0.0);
                }
            }
        }
        self.border(pieces)
    }

    /// Puts the pieces of planes together.
    ///
    /// # Errors
    /// As for [`put`](Self::put).
    pub fn take(&self, pieces: &[f32], planes: &mut [f32]) -> Result<()> {
        self.check(planes, pieces)?;
        let firsts = self.firsts();
        let whole = self.whole();
        let planes = planes.chunks_exact_mut(self.size[0] * self.size[1]);
        for (plane, pieces) in planes.zip(pieces.chunks_exact(self.length)) {
            for (at, [row, column]) in self.vectors() {
                let skipped = row * self.size[1] + column;
                let from = pieces[at..][..self.instructions.lanes()].iter();
                let pixels = from.zip(&firsts);
                if row < whole[0] && column < whole[1] {
                    pixels.for_each(|(from, first)| plane[first + skipped] = *from);
                    continue;
                }
                for (lane, (from, first)) in pixels.enumerate() {
                    if self.is_inside(lane, [row, column]) {
                        plane[first + skipped] = *from;
                    }
                }
            }
        }
        Ok(())
    }

    /// The sum of each plane's pixels times a factor.
    ///
    /// # Errors
    /// Pieces that are not a plane for each sum.
    pub(crate) fn sums(&self, pieces: &[f32], factor: f32, sums: &mut [f32]) -> Result<()> {
        length("the pieces", pieces.len(), sums.len() * self.length)?;
        let lanes = self.instructions.lanes();
        let whole = self.whole();
        for (pieces, to) in pieces.chunks_exact(self.length).zip(sums) {
            let mut sum = [0.0; MAX_LANES];
            for (at, [row, column]) in self.vectors() {
                let vector = sum.iter_mut().zip(&pieces[at..][..lanes]);
                if row < whole[0] && column < whole[1] {
                    vector.for_each(|(sum, pixel)| *sum += pixel);
                    continue;
                }
                // Zero times an infinite factor is NaN, also where no pixel is.
                for (lane, (sum, pixel)) in vector.enumerate() {
                    if self.is_inside(lane, [row, column]) {
                        *sum += pixel;
                    }
                }
            }
            *to = sum.iter().sum::<f32>() * factor;
        }
        Ok(())
    }

    /// Writes what lies around the pixels of all pieces, after the pixels have been written.
    ///
    /// # Errors
    /// A slice that is not of whole planes.
    pub(crate) fn border(&self, pieces: &mut [f32]) -> Result<()> {
        super::shape::examples("the pieces", pieces, self.length)?;
        Edges::new(self).write(pieces);
        Ok(())
    }

    /// The vectors of pixels of a plane: their places in the pieces, and the row and the column of
    /// their pixels in each piece.
    fn vectors(&self) -> impl Iterator<Item = (usize, [usize; 2])> + use<> {
        let (mosaic, [rows, columns]) = (*self, self.piece);
        let places = (0..rows).flat_map(move |row| (0..columns).map(move |column| [row, column]));
        places.map(move |[row, column]| (mosaic.vector([row + 1, column + 1]), [row, column]))
    }

    /// The piece of a lane, down and across.
    fn place(&self, lane: usize) -> [usize; 2] {
        [lane / self.pieces[1], lane % self.pieces[1]]
    }

    /// The first pixel of each lane's piece, also where a small plane has none.
    fn firsts(&self) -> [usize; MAX_LANES] {
        std::array::from_fn(|lane| {
            let [down, across] = self.place(lane);
            down * self.piece[0] * self.size[1] + across * self.piece[1]
        })
    }

    /// Rows and columns of the pieces from which on some lanes lie outside of the plane.
    fn whole(&self) -> [usize; 2] {
        [0, 1].map(|axis: usize| {
            self.size[axis].saturating_sub((self.pieces[axis] - 1) * self.piece[axis])
        })
    }

    /// Whether a lane has a pixel of the plane at a row and a column of its piece.
    fn is_inside(&self, lane: usize, at: [usize; 2]) -> bool {
        let place = self.place(lane);
        [0, 1]
            .into_iter()
            .all(|axis: usize| place[axis] * self.piece[axis] + at[axis] < self.size[axis])
    }

    /// Checks that both are as many planes.
    fn check(&self, planes: &[f32], pieces: &[f32]) -> Result<()> {
        let each = self.size[0] * self.size[1];
        let count = super::shape::examples("the planes", planes, each)?;
        length("the pieces", pieces.len(), count * self.length)
    }
}
