//! Records go from burn's layers to ours and back.

use burn::module::Module;
use burn::nn::conv::{Conv2d as BurnConv2d, Conv2dConfig};
use burn::nn::{BatchNorm as BurnBatchNorm, BatchNormConfig, Linear as BurnLinear, LinearConfig};
use burn::tensor::Tensor;
use zosam::nn::{BatchNorm, Conv2d, Linear};
use zosam::tree;

use super::{device, drawn, random};

#[derive(Module, Debug)]
struct Ours {
    conv: Conv2d,
    norm: BatchNorm,
    linear: Linear,
}

#[derive(Module, Debug)]
struct Burns {
    conv: BurnConv2d,
    norm: BurnBatchNorm,
    linear: BurnLinear,
}

impl Ours {
    fn new() -> Self {
        drawn(Self {
            conv: Conv2d::new(&Conv2dConfig::new([2, 3], [3, 3]), &device()),
            norm: BatchNorm::new(&BatchNormConfig::new(3), &device()),
            linear: Linear::new(&LinearConfig::new(3, 2), &device()),
        })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let hidden = self.norm.forward(self.conv.forward(x));
        self.linear
            .forward(hidden.mean_dim(3).mean_dim(2).flatten(1, 3))
    }
}

impl Burns {
    fn new() -> Self {
        drawn(Self {
            conv: Conv2dConfig::new([2, 3], [3, 3]).init(&device()),
            norm: BatchNormConfig::new(3).init(&device()),
            linear: LinearConfig::new(3, 2).init(&device()),
        })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let hidden = self.norm.forward(self.conv.forward(x));
        self.linear
            .forward(hidden.mean_dim(3).mean_dim(2).flatten(1, 3))
    }
}

#[test]
fn names_and_values_are_the_same() {
    let burns = Burns::new();
    for _ in 0..3 {
        burns.forward(random([4, 2, 5, 5]));
    }
    // burn keeps the last update of running statistics pending until somebody asks for them.
    let burns = burns.valid().train();
    let ours = Ours::new().load_record(burns.clone().into_record());
    assert_eq!(tree::named_tensors(&ours), tree::named_tensors(&burns));
    let layers = |leaves: Vec<tree::Leaf>| -> Vec<(String, String)> {
        let leaves = leaves.into_iter();
        leaves.map(|leaf| (leaf.path, leaf.layer)).collect()
    };
    assert_eq!(layers(tree::leaves(&ours)), layers(tree::leaves(&burns)));
    let x = random([4, 2, 5, 5]).inner();
    let (a, b) = (ours.valid().forward(x.clone()), burns.valid().forward(x));
    super::assert_close("logits", a, b);
    let back = Burns::new().load_record(ours.clone().into_record());
    assert_eq!(tree::named_tensors(&back), tree::named_tensors(&ours));
}
