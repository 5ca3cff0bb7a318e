//! Records go from burn's layers to ours and back.

use burn::module::Module;
use burn::nn::attention::{
    MhaInput as BurnMhaInput, MultiHeadAttention as BurnMultiHeadAttention,
    MultiHeadAttentionConfig,
};
use burn::nn::conv::{
    Conv1d as BurnConv1d, Conv1dConfig, Conv2d as BurnConv2d, Conv2dConfig,
    ConvTranspose2d as BurnConvTranspose2d, ConvTranspose2dConfig,
};
use burn::nn::{BatchNorm as BurnBatchNorm, BatchNormConfig, Linear as BurnLinear, LinearConfig};
use burn::tensor::Tensor;
use zosam::analysis::feature_maps;
use zosam::nn::{BatchNorm, Conv1d, Conv2d, ConvTranspose2d, Linear, MhaInput, MultiHeadAttention};
use zosam::tree;

use super::{device, drawn, random};

#[derive(Module, Debug)]
struct Ours {
    conv: Conv2d,
    norm: BatchNorm,
    up: ConvTranspose2d,
    row: Conv1d,
    attention: MultiHeadAttention,
    linear: Linear,
}

#[derive(Module, Debug)]
struct Burns {
    conv: BurnConv2d,
    norm: BurnBatchNorm,
    up: BurnConvTranspose2d,
    row: BurnConv1d,
    attention: BurnMultiHeadAttention,
    linear: BurnLinear,
}

impl Ours {
    fn new() -> Self {
        drawn(Self {
            conv: Conv2d::new(&Conv2dConfig::new([2, 3], [3, 3]), &device()),
            norm: BatchNorm::new(&BatchNormConfig::new(3), &device()),
            up: ConvTranspose2d::new(&ConvTranspose2dConfig::new([3, 2], [2, 2]), &device()),
            row: Conv1d::new(&Conv1dConfig::new(2, 8, 3), &device()),
            attention: MultiHeadAttention::new(&MultiHeadAttentionConfig::new(8, 2), &device()),
            linear: Linear::new(&LinearConfig::new(8, 2), &device()),
        })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let hidden = self.norm.forward(self.conv.forward(x));
        let row = self.row.forward(self.up.forward(hidden).flatten(2, 3));
        let tokens = MhaInput::self_attn(row.swap_dims(1, 2));
        let context = self.attention.forward(tokens).context;
        self.linear.forward(context.mean_dim(1).flatten(1, 2))
    }
}

impl Burns {
    fn new() -> Self {
        drawn(Self {
            conv: Conv2dConfig::new([2, 3], [3, 3]).init(&device()),
            norm: BatchNormConfig::new(3).init(&device()),
            up: ConvTranspose2dConfig::new([3, 2], [2, 2]).init(&device()),
            row: Conv1dConfig::new(2, 8, 3).init(&device()),
            attention: MultiHeadAttentionConfig::new(8, 2).init(&device()),
            linear: LinearConfig::new(8, 2).init(&device()),
        })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let hidden = self.norm.forward(self.conv.forward(x));
        let row = self.row.forward(self.up.forward(hidden).flatten(2, 3));
        let tokens = BurnMhaInput::self_attn(row.swap_dims(1, 2));
        let context = self.attention.forward(tokens).context;
        self.linear.forward(context.mean_dim(1).flatten(1, 2))
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

/// A sequence is heard as an image of one row.
#[test]
fn outputs_are_heard_in_their_order() {
    let net = Ours::new().valid();
    let (_, maps) = feature_maps(&net, |net| net.forward(random([4, 2, 5, 5]).inner()));
    let heard: Vec<(&str, [usize; 4])> = maps
        .iter()
        .map(|map| (map.layer.as_str(), map.values.dims()))
        .collect();
    let expected = [
        ("conv", [4, 3, 3, 3]),
        ("norm", [4, 3, 3, 3]),
        ("up", [4, 2, 4, 4]),
        ("row", [4, 8, 1, 14]),
    ];
    assert_eq!(heard, expected);
}
