//! Parameters that a module uses in several places are one parameter.

mod files;
mod modules;
mod steps;
mod tree;
