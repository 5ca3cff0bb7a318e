//! Stands in for burn's operations in builds without them.

use super::graph::{Graph, Id, Node};
use super::plan::Step;
use super::run::{Sources, Target};
use crate::error::{Error, Result};

/// None can be made.
#[derive(Debug)]
pub(crate) enum Interpreter {}

/// Without operations.
#[derive(Debug, Default)]
pub(crate) struct Program;

impl Program {
    pub fn add(&mut self, _graph: &Graph, node: &Node, _json: &str) -> Result<usize> {
        let name = node.operation.name();
        Err(Error::network(format!(
            "`{name}` is burn's operation: build with the feature `interpreter`"
        )))
    }

    pub fn constant(&mut self, _graph: &Graph, _id: Id) {}

    pub fn finish(&mut self, _steps: &[Step], _outputs: &[Id]) {}

    pub fn interpreter(&self) -> Option<Interpreter> {
        None
    }

    pub fn give(&self, to: &mut Interpreter, _id: Id, _from: &Sources<'_>) -> Result<()> {
        match *to {}
    }

    pub fn operate(&self, on: &mut Interpreter, _index: usize) -> Result<()> {
        match *on {}
    }

    pub fn output(&self, from: &mut Interpreter, _id: Id, _to: &mut Target<'_>) -> Result<()> {
        match *from {}
    }
}
