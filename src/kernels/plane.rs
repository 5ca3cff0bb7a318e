//! Padded planes in which every weight of a convolution is one constant offset.
//!
//! A plane is stored row after row, its padding as zeros. Output position `(y, x)` has index
//! `q = y · pitch + x`; the input that a weight multiplies there lies at `q` plus an offset that
//! does not depend on `q`, so a run of outputs is a run of inputs. Columns between the end of one
//! row of outputs and the next are computed and dropped; a row's right padding doubles as the next
//! row's left padding to keep them few. A stride of `s` splits the input into its `s` phases by
//! rows and columns, each a plane in which the stride is one.

use super::simd::Simd;

/// One axis of a plane.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    /// Inputs.
    pub(crate) inputs: usize,
    /// Zeros before them.
    pub(crate) padding: usize,
    /// Inputs from one output to the next.
    pub(crate) stride: usize,
    /// Outputs.
    pub(crate) outputs: usize,
    /// The largest shift of a weight, in steps of the stride.
    pub(crate) reach: usize,
    /// The phases that weights read.
    pub(crate) phases: Vec<usize>,
}

impl Axis {
    /// Distance between two rows (or planes): covers what is read of the inputs, and wraps only
    /// into zeros.
    fn pitch(&self) -> usize {
        let read = self.outputs + self.reach;
        let real = (self.padding + self.inputs).div_ceil(self.stride);
        let wrapped = read.saturating_sub(self.padding / self.stride);
        self.outputs.max(real.min(read)).max(wrapped)
    }

    /// Indices of a phase that hold an input, and the input at the first of them.
    fn filled(&self, phase: usize) -> (std::ops::Range<usize>, usize) {
        let first = self.padding.saturating_sub(phase).div_ceil(self.stride);
        let input = first * self.stride + phase - self.padding;
        let count = self.inputs.saturating_sub(input).div_ceil(self.stride);
        let end = (first + count).min(self.pitch());
        (first.min(end)..end, input)
    }
}

/// The planes of one image: both axes, rounded up to whole vectors.
#[derive(Clone, Debug)]
pub(crate) struct Plane {
    pub(crate) rows: Axis,
    pub(crate) columns: Axis,
    /// Numbers from one row to the next.
    pub(crate) pitch: usize,
    /// Vectors that cover the outputs.
    pub(crate) vectors: usize,
    /// Numbers from one phase's plane to the next.
    pub(crate) length: usize,
}

/// A cache line of numbers.
const LINE: usize = 16;

impl Plane {
    pub(crate) fn new(rows: Axis, columns: Axis, lanes: usize) -> Self {
        let pitch = columns.pitch();
        let run = match rows.outputs * columns.outputs {
            0 => 0,
            _ => (rows.outputs - 1) * pitch + columns.outputs,
        };
        let vectors = run.div_ceil(lanes);
        let read = vectors * lanes + rows.reach * pitch + columns.reach;
        let lines = read.max(rows.pitch() * pitch).div_ceil(LINE);
        Self {
            pitch,
            vectors,
            // An odd number of lines: planes at multiples of 4096 bytes would compete for the same
            // cache sets.
            length: (lines | 1) * LINE,
            rows,
            columns,
        }
    }

    /// Planes per channel.
    pub(crate) fn phases(&self) -> usize {
        self.rows.phases.len() * self.columns.phases.len()
    }

    /// The offset of a weight from its channel's first plane: the input `(row, column)` steps of
    /// one from the padded corner.
    pub(crate) fn offset(&self, row: usize, column: usize) -> usize {
        let (rows, columns) = (&self.rows, &self.columns);
        let find = |axis: &Axis, tap: usize| {
            let phase = axis.phases.iter().position(|p| *p == tap % axis.stride);
            phase.expect("phases are those of the taps")
        };
        let phase = find(rows, row) * columns.phases.len() + find(columns, column);
        phase * self.length + row / rows.stride * self.pitch + column / columns.stride
    }

    /// Copies one channel of one image into its planes; what is padding stays as it is, zero.
    ///
    /// # Safety
    /// `from` is valid for the inputs, `to` for `phases · length` numbers.
    #[inline(always)]
    pub(crate) unsafe fn pack<S: Simd>(&self, from: *const f32, to: *mut f32) {
        let mut plane = to;
        for &row_phase in &self.rows.phases {
            let (rows, first_row) = self.rows.filled(row_phase);
            for &column_phase in &self.columns.phases {
                let (columns, first_column) = self.columns.filled(column_phase);
                for (index, row) in rows.clone().enumerate() {
                    // SAFETY: `filled` names rows and columns that exist on both sides.
                    unsafe {
                        let input = first_row + index * self.rows.stride;
                        let from = from.add(input * self.columns.inputs + first_column);
                        let to = plane.add(row * self.pitch + columns.start);
                        copy::<S>(from, self.columns.stride, to, columns.len());
                    }
                }
                // SAFETY: at most one past the last plane.
                plane = unsafe { plane.add(self.length) };
            }
        }
    }

    /// Copies a plane of outputs to their positions in the run; the columns between stay as they
    /// are, zero.
    ///
    /// # Safety
    /// `from` is valid for the outputs, `to` for `LANES · vectors` numbers.
    #[inline(always)]
    pub(crate) unsafe fn pack_outputs<S: Simd>(&self, from: *const f32, to: *mut f32) {
        let columns = self.columns.outputs;
        for row in 0..self.rows.outputs {
            // SAFETY: row `row` of the outputs and of the run exist.
            unsafe {
                copy::<S>(
                    from.add(row * columns),
                    1,
                    to.add(row * self.pitch),
                    columns,
                )
            };
        }
    }
}

/// Copies `count` numbers that lie `stride` apart.
///
/// # Safety
/// Both sides are valid for them and do not overlap.
#[inline(always)]
unsafe fn copy<S: Simd>(from: *const f32, stride: usize, to: *mut f32, count: usize) {
    // SAFETY: the caller's contract.
    unsafe {
        match stride {
            1 => copy_run::<S>(from, to, count),
            2 => {
                // Eight at a time, so that the compiler uses vectors; nothing is read after the
                // last number.
                let whole = count.saturating_sub(1) / 8 * 8;
                for index in (0..whole).step_by(8) {
                    let pairs = from.add(2 * index).cast::<[f32; 16]>().read();
                    let halves: [f32; 8] = std::array::from_fn(|i| pairs[2 * i]);
                    to.add(index).cast::<[f32; 8]>().write(halves);
                }
                (whole..count).for_each(|index| *to.add(index) = *from.add(2 * index));
            }
            _ => (0..count).for_each(|index| *to.add(index) = *from.add(stride * index)),
        }
    }
}

/// Copies `count` numbers, vector by vector: rows are so short that a call of the library's copy
/// would cost more.
///
/// # Safety
/// Both sides are valid for them and do not overlap.
#[inline(always)]
pub(crate) unsafe fn copy_run<S: Simd>(from: *const f32, to: *mut f32, count: usize) {
    // SAFETY: the caller's contract; whole vectors end at or before `count`, and the last one
    // overlaps with the one before.
    unsafe {
        if count < S::LANES {
            (0..count).for_each(|index| *to.add(index) = *from.add(index));
            return;
        }
        let last = count - S::LANES;
        let mut index = 0;
        while index < last {
            S::store(to.add(index), S::load(from.add(index)));
            index += S::LANES;
        }
        S::store(to.add(last), S::load(from.add(last)));
    }
}
