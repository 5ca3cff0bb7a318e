//! What lies around the pixels of pieces.

use super::super::simd::{Job, MAX_LANES, Simd};
use super::Mosaic;

/// Which lanes of which vectors are pixels, and which pieces have neighbours: 1 where so, else 0.
#[derive(Clone, Debug)]
pub(in crate::kernels) struct Edges {
    mosaic: Mosaic,
    /// Of each row and each column of the pieces, the lanes where it lies in the plane.
    inside: [Vec<[f32; MAX_LANES]>; 2],
    /// Rows and columns from which on some lanes lie outside.
    whole: [usize; 2],
    /// The lanes whose piece is not the first or not the last, on each axis.
    next: [[[f32; MAX_LANES]; 2]; 2],
}

impl Edges {
    pub(in crate::kernels) fn new(mosaic: &Mosaic) -> Self {
        let place = |axis: usize, lane: usize| mosaic.place(lane)[axis];
        let lanes = |holds: &dyn Fn(usize) -> bool| -> [f32; MAX_LANES] {
            std::array::from_fn(|lane| f32::from(u8::from(holds(lane))))
        };
        let inside = [0, 1].map(|axis: usize| {
            let step = mosaic.piece[axis];
            let each = |at| lanes(&|lane| place(axis, lane) * step + at < mosaic.size[axis]);
            (0..step).map(each).collect()
        });
        let whole = mosaic.whole();
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

    /// Writes what lies around the pixels of all planes.
    pub(super) fn write(&self, planes: &mut [f32]) {
        self.mosaic.instructions.run(Border {
            edges: self,
            planes,
        });
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
    pub(in crate::kernels) unsafe fn border<S: Simd>(&self, plane: *mut f32) {
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
    planes: &'a mut [f32],
}

impl Job for Border<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for plane in self.planes.chunks_exact_mut(self.edges.mosaic.length) {
            // SAFETY: a chunk has the mosaic's length; the caller vouches for the instructions,
            // which are the mosaic's.
            unsafe { self.edges.border::<S>(plane.as_mut_ptr()) };
        }
    }
}
