//! Batch norm against its formulas.

mod case;
mod differences;
mod edges;
mod formulas;
mod laws;
