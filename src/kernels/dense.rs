//! Dense products of matrices, by the crate `gemm`: for what has too few dead weights to skip them.

use super::shape::length;
use crate::error::Result;

/// A matrix in a slice: element (row, column) is number `row · strides[0] + column · strides[1]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a> {
    pub(crate) numbers: &'a [f32],
    /// Rows and columns.
    pub(crate) size: [usize; 2],
    pub(crate) strides: [usize; 2],
}

impl<'a> Matrix<'a> {
    /// Row after row.
    pub(crate) fn rows(numbers: &'a [f32], size: [usize; 2]) -> Self {
        let strides = [size[1], 1];
        Self {
            numbers,
            size,
            strides,
        }
    }

    pub(crate) fn transposed(self) -> Self {
        let ([rows, columns], [down, across]) = (self.size, self.strides);
        Self {
            numbers: self.numbers,
            size: [columns, rows],
            strides: [across, down],
        }
    }

    /// The numbers that a slice must have for every element to lie in it.
    fn span(&self) -> usize {
        let last = |axis: usize| (self.size[axis] - 1) * self.strides[axis];
        last(0) + last(1) + 1
    }
}

/// `to = factor · A B`, row after row.
///
/// On one thread, so that the order of a sum depends on the sizes alone.
///
/// # Errors
///
/// Sizes that do not match, or a slice of another length than its matrix.
pub(crate) fn product(a: Matrix, b: Matrix, factor: f32, to: &mut [f32]) -> Result<()> {
    multiply(a, b, factor, to, false)
}

/// `to += factor · A B`, as [`product`].
///
/// # Errors
///
/// As [`product`].
#[cfg(feature = "flex")]
pub(crate) fn product_onto(a: Matrix, b: Matrix, factor: f32, to: &mut [f32]) -> Result<()> {
    multiply(a, b, factor, to, true)
}

fn multiply(a: Matrix, b: Matrix, factor: f32, to: &mut [f32], onto: bool) -> Result<()> {
    let ([rows, shared], [found, columns]) = (a.size, b.size);
    length("a matrix's row", found, shared)?;
    length("the product", to.len(), rows * columns)?;
    if rows * columns == 0 {
        return Ok(());
    }
    if shared == 0 {
        if !onto {
            to.fill(0.0);
        }
        return Ok(());
    }
    for matrix in [&a, &b] {
        let numbers = matrix.numbers.len();
        length("a matrix", numbers, numbers.max(matrix.span()))?;
    }
    // SAFETY: every element of `a` and `b` lies in its slice by the check of their spans; `to` has
    // `rows · columns` numbers and is borrowed exclusively.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            shared,
            to.as_mut_ptr(),
            1,
            columns as isize,
            onto,
            a.numbers.as_ptr(),
            a.strides[1] as isize,
            a.strides[0] as isize,
            b.numbers.as_ptr(),
            b.strides[1] as isize,
            b.strides[0] as isize,
            // Of what is there already.
            f32::from(u8::from(onto)),
            factor,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small whole numbers, so that sums are exact in any order.
    #[test]
    fn products_are_the_sums() {
        for [rows, shared, columns] in [[1, 1, 1], [3, 5, 2], [17, 9, 33], [64, 70, 1]] {
            let number = |i: usize| (i * 7 % 11) as f32 - 5.0;
            let a: Vec<f32> = (0..rows * shared).map(number).collect();
            let b: Vec<f32> = (0..shared * columns).map(number).collect();
            let mut to = vec![1.0; rows * columns];
            let (left, right) = (
                Matrix::rows(&a, [rows, shared]),
                Matrix::rows(&b, [columns, shared]),
            );
            product(left, right.transposed(), 2.0, &mut to).unwrap();
            for (index, found) in to.iter().enumerate() {
                let (row, column) = (index / columns, index % columns);
                let terms = (0..shared).map(|i| a[row * shared + i] * b[column * shared + i]);
                assert_eq!(*found, 2.0 * terms.sum::<f32>());
            }
            let once = to.clone();
            multiply(left, right.transposed(), 2.0, &mut to, true).unwrap();
            assert!(
                to.iter()
                    .zip(&once)
                    .all(|(twice, once)| *twice == 2.0 * once)
            );
            product(left, right.transposed(), 1.0, &mut to[1..]).unwrap_err();
            let short = Matrix::rows(&b[1..], [shared, columns]);
            product(left, short, 1.0, &mut to).unwrap_err();
        }
    }
}
