//! The kernels against naive loops in `f64`, on every instruction set that the CPU has.

mod conv;
mod linear;
mod mosaic;
mod norm;
mod single;
mod stream;
mod twin;

use proptest::prelude::*;
use zosam::kernels::{Bounds, Instructions};

fn available() -> impl Iterator<Item = Instructions> {
    Instructions::ALL
        .into_iter()
        .filter(|set| set.is_available())
}

fn densities() -> impl Strategy<Value = f32> {
    prop_oneof![Just(0.0), Just(1.0), 0.0f32..0.3, 0.0f32..1.0]
}

fn bounds() -> impl Strategy<Value = Bounds> {
    (any::<bool>(), proptest::option::of(-1.0f32..2.0))
        .prop_map(|(relu, most)| Bounds { relu, most })
}

fn cases_count(count: u32) -> ProptestConfig {
    ProptestConfig {
        cases: if cfg!(miri) { 2 } else { count },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
