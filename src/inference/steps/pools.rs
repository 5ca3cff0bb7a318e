//! Layers that make images smaller, without weights.

use rayon::prelude::*;

use super::Kernel;
use crate::error::Result;
use crate::inference::graph::Window;
use crate::inference::run::Sources;
use crate::kernels::fewest;
use crate::kernels::reduce;
use crate::kernels::strided::Axes;

/// What is taken of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PoolKind {
    Most,
    /// What lies outside counts as zeros.
    Mean,
    /// What lies outside does not count.
    MeanInside,
}

/// The largest or mean number under a window, of plain images.
#[derive(Debug)]
pub(crate) struct Pool {
    pub kind: PoolKind,
    pub window: Window,
    /// Rows and columns of the input.
    pub input: [usize; 2],
    /// Rows and columns of the output.
    pub output: [usize; 2],
}

impl Kernel for Pool {
    fn run(&self, from: &Sources<'_>, to: &mut [f32]) -> Result<()> {
        let planes = from
            .floats(0)
            .par_chunks_exact((self.input[0] * self.input[1]).max(1));
        let each = (self.output[0] * self.output[1]).max(1);
        let planes = planes.zip(to.par_chunks_exact_mut(each));
        let planes = planes.with_min_len(fewest(self.input[0] * self.input[1]));
        planes.for_each(|(plane, output)| match self.kind {
            PoolKind::Most => self.plane(plane, output, f32::NEG_INFINITY, larger),
            PoolKind::Mean | PoolKind::MeanInside => {
                self.plane(plane, output, 0.0, |a, b| a + b);
                self.divide(output);
            }
        });
        Ok(())
    }
}

impl Pool {
    /// Windows of one plane: first over rows, then over columns.
    fn plane(
        &self,
        plane: &[f32],
        output: &mut [f32],
        nothing: f32,
        both: impl Fn(f32, f32) -> f32,
    ) {
        let Window {
            kernel,
            stride,
            padding,
            ..
        } = self.window;
        let (columns, padding_behind) = (self.input[1], kernel[1]);
        // Behind the last column, where a window may hang over.
        let mut line = vec![nothing; padding[1] + columns + padding_behind];
        for (row, output) in output.chunks_exact_mut(self.output[1].max(1)).enumerate() {
            let inside = self.inside(0, row);
            let middle = &mut line[padding[1]..padding[1] + columns];
            middle.fill(nothing);
            for row in inside {
                let at = row * columns;
                for (sum, &number) in middle.iter_mut().zip(&plane[at..at + columns]) {
                    *sum = both(*sum, number);
                }
            }
            let windows = line.windows(kernel[1]).step_by(stride[1]);
            for (window, output) in windows.zip(output) {
                *output = window.iter().fold(nothing, |a, &b| both(a, b));
            }
        }
    }

    /// The inputs under a window, on an axis.
    fn inside(&self, axis: usize, index: usize) -> std::ops::Range<usize> {
        let start = index * self.window.stride[axis];
        let end = start + self.window.kernel[axis];
        let size = self.input[axis];
        let inside = |at: usize| at.saturating_sub(self.window.padding[axis]).min(size);
        inside(start)..inside(end)
    }

    fn divide(&self, output: &mut [f32]) {
        let all = self.window.kernel[0] * self.window.kernel[1];
        for (row, output) in output.chunks_exact_mut(self.output[1].max(1)).enumerate() {
            for (column, output) in output.iter_mut().enumerate() {
                let inside = self.inside(0, row).len() * self.inside(1, column).len();
                let count = if self.kind == PoolKind::Mean {
                    all
                } else {
                    inside
                };
                *output /= count as f32;
            }
        }
    }
}

/// NaN if one of both is, as in PyTorch.
fn larger(a: f32, b: f32) -> f32 {
    if b > a || b.is_nan() { b } else { a }
}

/// Sums over axes, times a factor; the output is plain.
#[derive(Debug)]
pub(crate) struct Reduce {
    /// Axes that stay, with the output's strides.
    pub kept: Axes<2>,
    pub reduced: Axes<1>,
    pub factor: f32,
}

impl Kernel for Reduce {
    fn run(&self, from: &Sources<'_>, to: &mut [f32]) -> Result<()> {
        reduce::sum(&self.kept, &self.reduced, self.factor, from.floats(0), to);
        Ok(())
    }
}
