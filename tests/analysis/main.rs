//! Instruments against matrices and functions that are known.
#![cfg(feature = "flex")]

mod landscape;
mod similarity;
mod spectrum;
mod tangent;
