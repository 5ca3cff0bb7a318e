//! Planes cut into pieces, one for each lane of a vector: convolutions load whole vectors from
//! aligned places, and find their padding without a copy.

use super::shape::length;
use super::simd::{Instructions, Job, MAX_LANES, Simd};
use crate::error::{Result, check};

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
        let each = self.size[0] * self.size[1];
        let vectors = self.vectors();
        let planes = planes.chunks_exact(each);
        for (plane, pieces) in planes.zip(pieces.chunks_exact_mut(self.length)) {
            for Vector { at, pixels } in &vectors {
                let to = pieces[*at..][..self.instructions.lanes()].iter_mut();
                for (to, pixel) in to.zip(pixels) {
                    // Outside it is what `border` makes zero.
                    *to = plane.get(*pixel as usize).copied().unwrap_or(0.0);
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
        let each = self.size[0] * self.size[1];
        let vectors = self.vectors();
        let planes = planes.chunks_exact_mut(each);
        for (plane, pieces) in planes.zip(pieces.chunks_exact(self.length)) {
            for Vector { at, pixels } in &vectors {
                let from = pieces[*at..][..self.instructions.lanes()].iter();
                for (from, pixel) in from.zip(pixels) {
                    if let Some(to) = plane.get_mut(*pixel as usize) {
                        *to = *from;
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes what lies around the pixels of all pieces, after the pixels have been written.
    ///
    /// # Errors
    /// A slice that is not of whole planes.
    pub(crate) fn border(&self, pieces: &mut [f32]) -> Result<()> {
        super::shape::examples("the pieces", pieces, self.length)?;
        let edges = Edges::new(self);
        self.instructions.run(Border {
            edges: &edges,
            pieces,
        });
        Ok(())
    }

    /// All vectors of pixels of a plane.
    fn vectors(&self) -> Vec<Vector> {
        let inside = |axis: usize, piece: usize, at: usize| {
            let pixel = piece * self.piece[axis] + at;
            (pixel < self.size[axis]).then_some(pixel)
        };
        let across = self.pieces[1];
        let pixel = |lane: usize, row: usize, column: usize| {
            let [row, column] = [
                inside(0, lane / across, row)?,
                inside(1, lane % across, column)?,
            ];
            // At most 2²⁶ pixels, see `new`.
            Some((row * self.size[1] + column) as u32)
        };
        let [rows, columns] = self.piece;
        let places = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        let vector = |(row, column)| Vector {
            at: self.vector([row + 1, column + 1]),
            pixels: std::array::from_fn(|lane| pixel(lane, row, column).unwrap_or(u32::MAX)),
        };
        places.map(vector).collect()
    }

    /// Checks that both are as many planes.
    fn check(&self, planes: &[f32], pieces: &[f32]) -> Result<()> {
        let each = self.size[0] * self.size[1];
        let count = super::shape::examples("the planes", planes, each)?;
        length("the pieces", pieces.len(), count * self.length)
    }
}

/// A vector of pixels.
struct Vector {
    /// Its place in the pieces.
    at: usize,
    /// The pixel of each lane in the plane, beyond all of it for lanes without one.
    pixels: [u32; MAX_LANES],
}

/// Which lanes of which vectors are pixels, and which pieces have neighbours: 1 where so, else 0.
#[derive(Clone, Debug)]
pub(super) struct Edges {
    mosaic: Mosaic,
    /// Of each row and each column of the pieces, the lanes where it lies in the plane.
    inside: [Vec<[f32; MAX_LANES]>; 2],
    /// Rows and columns from which on some lanes lie outside.
    whole: [usize; 2],
    /// The lanes whose piece is not the first or not the last, on each axis.
    next: [[[f32; MAX_LANES]; 2]; 2],
}

impl Edges {
    pub(super) fn new(mosaic: &Mosaic) -> Self {
        let across = mosaic.pieces[1];
        let place = |axis: usize, lane: usize| [lane / across, lane % across][axis];
        let lanes = |holds: &dyn Fn(usize) -> bool| -> [f32; MAX_LANES] {
            std::array::from_fn(|lane| f32::from(u8::from(holds(lane))))
        };
        let inside = [0, 1].map(|axis: usize| {
            let step = mosaic.piece[axis];
            let each = |at| lanes(&|lane| place(axis, lane) * step + at < mosaic.size[axis]);
            (0..step).map(each).collect()
        });
        let whole = [0, 1].map(|axis: usize| {
            mosaic.size[axis].saturating_sub((mosaic.pieces[axis] - 1) * mosaic.piece[axis])
        });
        let next = [0, 1].map(|axis: usize| {
            let last = mosaic.pieces[axis] - 1;
            [
                lanes(&|lane| place(axis, lane) > 0),
                lanes(&|lane| place(axis, lane) < last),
            ]
        });
        Self {
            mosaic: *mosaic,
            inside,
            whole,
            next,
        }
    }

    /// Makes the lanes of a vector zero that are no pixels.
    ///
    /// # Safety
    /// `pixels` is valid for a vector; the CPU has the instructions of `S`.
    #[inline(always)]
    unsafe fn trim<S: Simd>(&self, [row, column]: [usize; 2], pixels: *mut f32) {
        // SAFETY: the arrays have at least a vector of numbers.
        unsafe {
            let down = S::load(self.inside[0][row].as_ptr());
            let right = S::load(self.inside[1][column].as_ptr());
            let inside = S::pass_positive(right, S::load(pixels));
            S::store(pixels, S::pass_positive(down, inside));
        }
    }

    /// Writes what lies around the pixels of a plane's pieces.
    ///
    /// # Safety
    /// `plane` is valid for the mosaic's length; the CPU has the instructions of `S`, whose lanes
    /// are the mosaic's.
    #[inline(always)]
    pub(super) unsafe fn border<S: Simd>(&self, plane: *mut f32) {
        let [rows, columns] = self.mosaic.piece;
        let lanes = S::LANES;
        let at =
            |row: usize, column: usize| plane.wrapping_add((row * (columns + 2) + column) * lanes);
        let across = self.mosaic.pieces[1];
        // SAFETY: all vectors lie in the plane. A load that is shifted by lanes starts at least one
        // vector behind its beginning and ends at least one before its end.
        unsafe {
            for row in self.whole[0].min(rows)..rows {
                for column in 0..columns {
                    self.trim::<S>([row, column], at(row + 1, column + 1));
                }
            }
            for column in self.whole[1].min(columns)..columns {
                for row in 0..rows {
                    self.trim::<S>([row, column], at(row + 1, column + 1));
                }
            }
            // The neighbour above is as many lanes back as there are pieces across, that to the
            // left one lane.
            let next = |axis: usize, side: usize| S::load(self.next[axis][side].as_ptr());
            let down = [(0, rows, across, next(0, 0)), (rows + 1, 1, 0, next(0, 1))];
            let right = [(0, columns, 1, next(1, 0)), (columns + 1, 1, 0, next(1, 1))];
            for (to, from, back, gate) in down {
                for column in 1..=columns {
                    let from = at(from, column).add(across).sub(2 * back);
                    S::store(at(to, column), S::pass_positive(gate, S::load(from)));
                }
            }
            for (to, from, back, gate) in right {
                for row in 1..=rows {
                    let from = at(row, from).add(1).sub(2 * back);
                    S::store(at(row, to), S::pass_positive(gate, S::load(from)));
                }
            }
            // Corners from the pixels themselves: what was written last cannot be read at once at
            // another place.
            for (row, from_row, up, gate_down) in down {
                for (column, from_column, back, gate_right) in right {
                    let from = at(from_row, from_column).add(across + 1);
                    let corner = S::load(from.sub(2 * (up + back)));
                    let corner = S::pass_positive(gate_down, S::pass_positive(gate_right, corner));
                    S::store(at(row, column), corner);
                }
            }
        }
        // What fills the last cache line is never read by a convolution, but is part of the plane.
        for rest in (rows + 2) * (columns + 2) * lanes..self.mosaic.length {
            // SAFETY: within the plane's length.
            unsafe { plane.add(rest).write(0.0) };
        }
    }
}

struct Border<'a> {
    edges: &'a Edges,
    pieces: &'a mut [f32],
}

impl Job for Border<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for plane in self.pieces.chunks_exact_mut(self.edges.mosaic.length) {
            // SAFETY: a chunk has the mosaic's length; the caller vouches for the instructions,
            // which are the mosaic's.
            unsafe { self.edges.border::<S>(plane.as_mut_ptr()) };
        }
    }
}
