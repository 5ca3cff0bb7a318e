//! A process whose default float type is f64: an optimizer's state in f64 included, which burn reads in the default type only.
//!
//! burn takes the default of a device once, before the first tensor, so this is a program of its own.
#![cfg(feature = "flex")]

#[path = "../precision/runs.rs"]
mod runs;

use burn::tensor::{Device, FloatDType};
use runs::*;

#[test]
fn every_step_and_every_resume_keeps_the_type() {
    Device::flex().configure(FloatDType::F64).unwrap();
    assert_kept(FloatDType::F64, sgd);
    assert_kept(FloatDType::F64, adamw);
    // Narrower parameters are stepped in f64.
    assert_kept(FloatDType::F32, sgd);
    assert_kept(FloatDType::BF16, sgd);
}
