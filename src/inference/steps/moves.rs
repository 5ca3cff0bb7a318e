//! Numbers that only change their places.

use super::Kernel;
use crate::error::{Error, Result};
use crate::inference::run::Sources;
use crate::kernels::strided::{self, Axes};

/// A part of an output: where its numbers come from and go to, from place `to` on.
#[derive(Debug)]
pub(crate) struct Part {
    pub axes: Axes<2>,
    pub to: usize,
}

/// An output that is put together of parts, later ones over earlier ones.
#[derive(Debug)]
pub(crate) struct Assemble {
    /// What is where no part is, if there is such a place.
    pub fill: Option<f32>,
    pub parts: Vec<Part>,
}

impl Assemble {
    /// A copy.
    pub fn of(part: Part) -> Self {
        Self {
            fill: None,
            parts: vec![part],
        }
    }
}

impl Kernel for Assemble {
    fn run(&self, from: &Sources<'_>, to: &mut [f32]) -> Result<()> {
        if let Some(value) = self.fill {
            to.fill(value);
        }
        for (at, part) in self.parts.iter().enumerate() {
            let to = to.get_mut(part.to..).unwrap_or(&mut []);
            strided::copy(&part.axes, from.floats(at), to);
        }
        Ok(())
    }
}

/// Rows of a table by indices.
#[derive(Debug)]
pub(crate) struct Embedding {
    pub width: usize,
    pub rows: usize,
}

impl Kernel for Embedding {
    fn run(&self, from: &Sources<'_>, to: &mut [f32]) -> Result<()> {
        let (table, indices) = (from.floats(0), from.ints(1));
        let width = self.width.max(1);
        for (to, &index) in to.chunks_exact_mut(width).zip(indices) {
            let row = usize::try_from(index).ok().filter(|row| *row < self.rows);
            let Some(row) = row else {
                return Err(Error::mismatch(
                    "an index of the input",
                    format!("{index}, and the table has {} rows", self.rows),
                ));
            };
            to.copy_from_slice(&table[row * width..(row + 1) * width]);
        }
        Ok(())
    }
}
