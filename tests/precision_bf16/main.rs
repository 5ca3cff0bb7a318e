//! A process whose default float type is bf16: where whatever is made without a type would be rounded to 8 bits.
//!
//! burn takes the default of a device once, before the first tensor, so this is a program of its own.
#![cfg(feature = "flex")]

#[path = "../precision/runs.rs"]
mod runs;

use burn::tensor::{DType, Device, FloatDType};
use runs::*;
use zosam::perturb::SharpnessConfig;

#[test]
fn every_step_and_every_resume_keeps_the_type() {
    Device::flex().configure(FloatDType::BF16).unwrap();
    assert_kept(FloatDType::BF16, sgd);
    assert_kept(FloatDType::BF16, adamw);
    // Directions, gradients and memories are in f32 nevertheless.
    let model = || {
        Run::start(
            FloatDType::BF16,
            &SharpnessConfig::None,
            &methods()[0],
            sgd(),
        )
        .net
    };
    let leaves = zosam::tree::leaves(&model());
    let key = zosam::tree::DirectionKey {
        seed: 1,
        step: 0,
        index: 0,
    };
    let direction = zosam::tree::draw(&leaves, key, Default::default(), &Device::flex());
    assert!(
        direction
            .iter()
            .all(|(_, component)| component.dtype() == DType::F32)
    );
    let (_, largest) = direction.iter().next().unwrap();
    let rounded = largest.clone().cast(FloatDType::BF16).cast(FloatDType::F32);
    assert!((largest.clone() - rounded).abs().max().into_scalar::<f32>() > 0.0);
}
