//! Functions of single numbers and of pairs.

use rayon::prelude::*;

use super::{Kernel, TOGETHER};
use crate::error::Result;
use crate::inference::run::Sources;
use crate::kernels::elementwise::{self, Binary, Instruction};
use crate::kernels::strided::Axes;

/// A program on slices that lie alike.
#[derive(Debug)]
pub(crate) struct Map {
    pub program: Vec<Instruction>,
    pub inputs: usize,
}

impl Kernel for Map {
    fn run(&self, from: &Sources<'_>, to: &mut [f32]) -> Result<()> {
        let inputs: Vec<&[f32]> = (0..self.inputs).map(|at| from.floats(at)).collect();
        to.par_chunks_mut(TOGETHER)
            .enumerate()
            .for_each(|(index, to)| {
                let start = index * TOGETHER;
                let parts: Vec<&[f32]> = inputs
                    .iter()
                    .map(|input| &input[start..start + to.len()])
                    .collect();
                elementwise::run(&self.program, &parts, to);
            });
        Ok(())
    }
}

/// A function of two tensors that lie in any way; the output has no gaps.
#[derive(Debug)]
pub(crate) struct Broadcast {
    pub function: Binary,
    pub axes: Axes<3>,
}

impl Kernel for Broadcast {
    fn run(&self, from: &Sources<'_>, to: &mut [f32]) -> Result<()> {
        let pair = [from.floats(0), from.floats(1)];
        elementwise::broadcast(self.function, &self.axes, pair, to);
        Ok(())
    }
}
