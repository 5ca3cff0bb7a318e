//! Products of two tensors that are both computed.

use rayon::prelude::*;

use super::Kernel;
use crate::error::Result;
use crate::inference::run::Sources;
use crate::kernels::dense::{Matrix, product};
use crate::kernels::fewest;
use crate::kernels::softmax::softmax;
use crate::kernels::strided::Axes;

/// The matrices of a tensor: rows, columns and the distances of neighbours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrices {
    pub size: [usize; 2],
    pub strides: [usize; 2],
}

impl Matrices {
    fn at<'a>(&self, numbers: &'a [f32], offset: usize) -> Matrix<'a> {
        Matrix {
            numbers: &numbers[offset..],
            size: self.size,
            strides: self.strides,
        }
    }
}

/// Matrix products, one for each place of the axes before the last two; the output is plain.
#[derive(Debug)]
pub(crate) struct MatMul {
    /// Where the matrices of both sides begin, by the axes before the last two.
    pub places: Axes<2>,
    pub matrices: [Matrices; 2],
}

impl Kernel for MatMul {
    fn run(&self, from: &Sources<'_>, to: &mut [f32]) -> Result<()> {
        let [a, b] = self.matrices;
        let each = a.size[0] * b.size[1];
        let outputs = to.par_chunks_exact_mut(each.max(1)).enumerate();
        let outputs = outputs.with_min_len(fewest(each * a.size[1]));
        outputs.try_for_each(|(index, to)| {
            let places = self.places.at(index);
            let a = a.at(from.floats(0), places[0]);
            product(a, b.at(from.floats(1), places[1]), 1.0, to)
        })
    }
}

/// `softmax(factor q kᵀ) v` of each head; the output has its last two axes swapped.
#[derive(Debug)]
pub(crate) struct Attention {
    /// Where queries, keys, values and the masks' factors and summands begin, by the axes before
    /// the last two.
    pub places: Axes<5>,
    /// Of queries, keys and values.
    pub matrices: [Matrices; 3],
    pub factor: f32,
    /// The distances of neighbours of the masks' factors and summands, by key and query.
    pub masks: Option<[[usize; 2]; 2]>,
}

impl Kernel for Attention {
    fn run(&self, from: &Sources<'_>, to: &mut [f32]) -> Result<()> {
        let [queries, keys, values] = self.matrices;
        let each = queries.size[0] * values.size[1];
        let outputs = to.par_chunks_exact_mut(each.max(1)).enumerate();
        let pairs = queries.size[0] * keys.size[0];
        let outputs = outputs.with_min_len(fewest(pairs * (keys.size[1] + values.size[1])));
        outputs.try_for_each(|(index, to)| {
            let places = self.places.at(index);
            let matrix = |at: usize| self.matrices[at].at(from.floats(at), places[at]);
            let (tokens, others) = (queries.size[0], keys.size[0]);
            // A row per key, so that softmax goes down the columns and the last product needs no
            // transpose.
            let mut weights = vec![0.0; tokens * others];
            product(matrix(1), matrix(0).transposed(), self.factor, &mut weights)?;
            if let Some([factors, summands]) = self.masks {
                let (by, plus) = (&from.floats(3)[places[3]..], &from.floats(4)[places[4]..]);
                for (key, row) in weights.chunks_exact_mut(tokens.max(1)).enumerate() {
                    for (query, weight) in row.iter_mut().enumerate() {
                        let at = |strides: [usize; 2]| key * strides[0] + query * strides[1];
                        *weight = *weight * by[at(factors)] + plus[at(summands)];
                    }
                }
            }
            softmax(&mut weights, [others, tokens], false);
            let weights = Matrix::rows(&weights, [others, tokens]);
            product(matrix(2).transposed(), weights, 1.0, to)
        })
    }
}
