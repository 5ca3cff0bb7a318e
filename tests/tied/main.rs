//! Parameters that a module uses in several places are one parameter.
#![cfg(feature = "flex")]

mod files;
mod modules;
mod steps;
mod tree;
