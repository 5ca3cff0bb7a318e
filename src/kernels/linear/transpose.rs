//! Between examples and blocks of lanes.

use std::ops::Range;

use super::super::simd::Simd;

/// Transposes some columns of `count` examples to rows of `block` numbers; examples that fill the
/// last vector are zeros.
///
/// # Safety
/// `from` is valid for the examples, `to` for the rows, rounded up to whole vectors; the CPU has
/// the instructions of `S`.
#[inline(always)]
pub(super) unsafe fn pack<S: Simd>(
    from: *const f32,
    stride: usize,
    columns: Range<usize>,
    count: usize,
    to: *mut f32,
    block: usize,
) {
    let whole_columns = columns.len() / S::LANES * S::LANES;
    let mut example = 0;
    while example < count {
        let together = S::LANES.min(count - example);
        let whole = if together == S::LANES {
            whole_columns
        } else {
            0
        };
        // SAFETY: whole blocks lie inside on both sides; the rest goes number by number.
        unsafe {
            let from = from.add(example * stride + columns.start);
            let to = to.add(example);
            let mut column = 0;
            while column < whole {
                S::transpose(from.add(column), stride, to.add(column * block), block);
                column += S::LANES;
            }
            for column in whole..columns.len() {
                for lane in 0..S::LANES {
                    let value = if lane < together {
                        *from.add(lane * stride + column)
                    } else {
                        0.0
                    };
                    *to.add(column * block + lane) = value;
                }
            }
        }
        example += S::LANES;
    }
}

/// The way back: `rows` rows of `block` numbers to columns of `count` examples.
///
/// # Safety
/// `from` is valid for `LANES` rows, `to` for the columns of all examples, `corner` for `LANES²`
/// numbers; the CPU has the instructions of `S`.
#[inline(always)]
pub(super) unsafe fn unpack<S: Simd>(
    from: *const f32,
    block: usize,
    rows: usize,
    count: usize,
    to: *mut f32,
    stride: usize,
    corner: *mut f32,
) {
    let mut example = 0;
    while example < count {
        let together = S::LANES.min(count - example);
        // SAFETY: a whole block goes to its place, a part of one by way of the corner.
        unsafe {
            let (from, to) = (from.add(example), to.add(example * stride));
            if together == S::LANES && rows == S::LANES {
                S::transpose(from, block, to, stride);
            } else {
                S::transpose(from, block, corner, S::LANES);
                for lane in 0..together {
                    let from = corner.add(lane * S::LANES);
                    from.copy_to_nonoverlapping(to.add(lane * stride), rows);
                }
            }
        }
        example += S::LANES;
    }
}
