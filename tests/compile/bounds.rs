//! ReLU and an upper bound behind a product are a part of it, where that is the same.

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use crate::{agrees, trained};

#[derive(Module, Debug)]
struct Unit {
    conv: Conv2d,
    norm: BatchNorm,
}

#[test]
fn what_bounds_a_product() {
    let device = Device::flex();
    let unit = Unit {
        conv: Conv2dConfig::new([3, 20], [3, 3])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
            .init(&device),
        norm: BatchNormConfig::new(20).init(&device),
    };
    type Bounded = fn(Tensor<4>) -> Tensor<4>;
    let cases: [(&str, usize, Bounded); 7] = [
        ("Conv + Relu ≤ 0.6", 1, |x| x.clamp(0.0, 0.6)),
        ("Conv + Relu ≤ 0.6", 1, |x| relu(x).clamp_max(0.6)),
        ("Conv + Relu ≤ 0.6", 1, |x| relu(x.clamp_max(0.6))),
        ("Conv ≤ -0.1", 1, |x| x.clamp_max(0.3).clamp_max(-0.1)),
        ("Conv ≤ -0.1", 2, |x| relu(x.clamp_max(-0.1))),
        ("Conv", 2, |x| x.clamp(-0.2, 0.6)),
        ("Conv + Relu ≤ 0.6", 2, |x| x.clamp(0.0, 0.6) + 1.0),
    ];
    // Sparse in pieces, and dense.
    for density in [0.1, 1.0] {
        let unit = trained(unit.clone(), density);
        for (name, count, bounded) in cases {
            let shape = [2, 3, 9, 9];
            let network = agrees(name, &unit, shape, |unit, x| {
                bounded(unit.norm.forward(unit.conv.forward(x)))
            });
            let report = network.report();
            let operations = report.operations.iter();
            let names: Vec<_> = operations.map(|one| one.operation.as_str()).collect();
            assert_eq!((names[0], names.len()), (name, count), "{report}");
        }
    }
}
