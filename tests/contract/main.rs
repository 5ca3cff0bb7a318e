//! The laws that every perturbation keeps with every sparsity method and base optimizer.
//!
//! The numbers are those of the list in `docs/VERIFICATION.md`. A law that a plain optimizer also
//! satisfies, like "the loss falls", is not among them.
#![cfg(feature = "flex")]

mod cost;
mod determinism;
mod elsewhere;
mod estimate;
mod forward_only;
mod isolation;
mod masks;
mod modules;
mod operations;
mod reductions;
mod replicas;
mod rewind;
mod rule;
mod samples;
mod setup;
