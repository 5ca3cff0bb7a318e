//! Any shape and any mask: the structure builder refuses with an error or builds something whose products stay in their slices.
//!
//! ```text
//! cargo install cargo-fuzz
//! cargo +nightly fuzz run structure
//! ```
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use zosam::kernels::{ConvShape, ConvStructure, Epilogue};

#[derive(Arbitrary, Debug)]
struct Input {
    channels: [u8; 2],
    kernel: [u8; 2],
    input: [u8; 2],
    stride: [u8; 2],
    padding: [u8; 2],
    dilation: [u8; 2],
    groups: u8,
    images: u8,
    live: Vec<bool>,
}

/// Numbers in an array, at most: products of more take too long for a fuzzer.
const MOST: usize = 1 << 16;

fuzz_target!(|input: Input| {
    let wide = |pair: [u8; 2]| pair.map(usize::from);
    let shape = ConvShape::new(wide(input.channels), wide(input.kernel), wide(input.input))
        .with_stride(wide(input.stride))
        .with_padding(wide(input.padding))
        .with_dilation(wide(input.dilation))
        .with_groups(usize::from(input.groups));
    let weights = wide(input.channels).iter().chain(&wide(input.kernel)).product::<usize>()
        / usize::from(input.groups).max(1);
    let images = usize::from(input.images % 20);
    if weights > MOST || images * shape.inputs().max(shape.outputs()) > MOST {
        return;
    }
    let live: Vec<bool> = (0..weights)
        .map(|index| *input.live.get(index % input.live.len().max(1)).unwrap_or(&true))
        .collect();
    let Ok(structure) = ConvStructure::new(shape, &live) else {
        return;
    };
    let (x, w) = (vec![1.0; images * shape.inputs()], vec![1.0; weights]);
    let mut y = vec![f32::NAN; images * shape.outputs()];
    structure.forward(&x, &w, Epilogue::default(), &mut y).expect("lengths fit");
    assert!(y.iter().all(|y| y.is_finite()), "all of the output is written");
    let mut dx = vec![f32::NAN; x.len()];
    structure.input_gradient(&y, &w, &mut dx).expect("lengths fit");
    assert!(dx.iter().all(|dx| dx.is_finite()), "all of the input gradient is written");
    let mut dw = vec![f32::NAN; weights];
    structure.weight_gradient(&x, &y, &mut dw).expect("lengths fit");
    let dead = dw.iter().zip(&live).filter(|(_, live)| !**live);
    assert!(dead.into_iter().all(|(dw, _)| *dw == 0.0), "dead weights have none");
});
