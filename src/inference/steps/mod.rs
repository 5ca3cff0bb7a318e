//! What the steps of a network do: kernels on slices.

mod attention;
mod elementwise;
mod mosaics;
mod moves;
mod norms;
mod pools;
mod product;

use std::fmt::Debug;

pub(crate) use attention::{Attention, MatMul, Matrices};
pub(crate) use elementwise::{Broadcast, Map};
pub(crate) use mosaics::{PutPieces, SumPieces, TakePieces};
pub(crate) use moves::{Assemble, Embedding, Part};
pub(crate) use norms::{Channels, GroupNorm, LayerNorm, Softmax};
pub(crate) use pools::{Pool, PoolKind, Reduce};
pub(crate) use product::Product;

use super::report::Arithmetic;
use super::run::Sources;
use crate::error::Result;

/// A step's arithmetic.
pub(crate) trait Kernel: Debug + Send + Sync {
    /// Writes all of `to`.
    fn run(&self, from: &Sources<'_>, to: &mut [f32]) -> Result<()>;

    /// Number of live weights.
    fn live(&self) -> usize {
        0
    }

    /// Bytes of weights, biases and of what finds the weights.
    fn bytes(&self) -> usize {
        0
    }

    /// In what way it multiplies.
    fn arithmetic(&self) -> Arithmetic {
        Arithmetic::Direct
    }

    /// The dense weight that it was made of, in the order of the graph's constant, if the kernel
    /// has taken it over.
    fn weight(&self) -> Option<Vec<f32>> {
        None
    }
}

/// Numbers of a task of what has next to no arithmetic.
pub(crate) const TOGETHER: usize = 1 << 14;
