//! Norms that no product can absorb, and softmax.

use rayon::prelude::*;

use super::Kernel;
use crate::error::Result;
use crate::inference::run::Sources;
use crate::kernels::standardise::{self, Statistics};
use crate::kernels::{Mosaic, fewest, softmax};

/// `relu(scale x + shift)` of each channel, as it lies: batch norm *before* a convolution, whose
/// padding is zero behind it.
#[derive(Debug)]
pub(crate) struct Channels {
    /// Scale and shift of each channel.
    pub factors: Vec<(f32, f32)>,
    /// Numbers of a channel of an image.
    pub length: usize,
    /// How images lie, if in pieces.
    pub mosaic: Option<Mosaic>,
    pub relu: bool,
}

impl Kernel for Channels {
    fn run(&self, from: &Sources<'_>, to: &mut [f32]) -> Result<()> {
        let length = self.length.max(1);
        let planes = from.floats(0).chunks_exact(length);
        let planes = planes.zip(to.chunks_exact_mut(length));
        let least = if self.relu { 0.0 } else { f32::NEG_INFINITY };
        for ((from, to), (scale, shift)) in planes.zip(self.factors.iter().cycle()) {
            for (to, from) in to.iter_mut().zip(from) {
                let value = scale * from + shift;
                *to = if value < least { least } else { value };
            }
        }
        // A shift reaches what lies around the pieces, too, which is zero again behind it.
        self.mosaic.map_or(Ok(()), |mosaic| mosaic.border(to))
    }

    fn bytes(&self) -> usize {
        size_of_val(&self.factors[..])
    }
}

/// Layer norm of the rows or, with their number, the columns.
#[derive(Debug)]
pub(crate) struct LayerNorm {
    pub statistics: Statistics,
    pub columns: Option<usize>,
}

impl Kernel for LayerNorm {
    fn run(&self, from: &Sources<'_>, to: &mut [f32]) -> Result<()> {
        let [x, gamma, beta] = [0, 1, 2].map(|at| from.floats(at));
        match self.columns {
            Some(columns) => {
                standardise::columns(self.statistics, [gamma, beta], columns, x, to);
            }
            None => standardise::rows(self.statistics, gamma, beta, x, to),
        }
        Ok(())
    }
}

/// Group norm of plain images.
#[derive(Debug)]
pub(crate) struct GroupNorm {
    pub statistics: Statistics,
    pub groups: usize,
    /// Numbers of a group.
    pub size: usize,
}

impl Kernel for GroupNorm {
    fn run(&self, from: &Sources<'_>, to: &mut [f32]) -> Result<()> {
        let [x, gamma, beta] = [0, 1, 2].map(|at| from.floats(at));
        let each = gamma.len() / self.groups;
        let size = self.size.max(1);
        let groups = to.par_chunks_exact_mut(size).zip(x.par_chunks_exact(size));
        let groups = groups.enumerate().with_min_len(fewest(size));
        groups.for_each(|(index, (to, from))| {
            let group = index % self.groups;
            let channels = group * each..(group + 1) * each;
            let (gamma, beta) = (&gamma[channels.clone()], &beta[channels]);
            standardise::group(self.statistics, gamma, beta, from, to);
        });
        Ok(())
    }
}

/// Softmax of numbers `[.., count, inner]` over the `count`.
#[derive(Debug)]
pub(crate) struct Softmax {
    pub count: usize,
    pub inner: usize,
    pub logarithm: bool,
}

impl Kernel for Softmax {
    fn run(&self, from: &Sources<'_>, to: &mut [f32]) -> Result<()> {
        to.copy_from_slice(from.floats(0));
        let each = (self.count * self.inner).max(1);
        let all = to.par_chunks_exact_mut(each).with_min_len(fewest(each));
        all.for_each(|to| {
            softmax::softmax(to, [self.count, self.inner], self.logarithm);
        });
        Ok(())
    }
}
