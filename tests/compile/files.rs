//! Networks in files, whole and damaged.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, Lstm, LstmConfig};
use burn::tensor::activation::{gelu, relu, softmax};
use burn::tensor::{Device, Tensor};
use safetensors::SafeTensors;
use safetensors::tensor::{Metadata, TensorView};
use zosam::inference::{Input, Output, SparseNetwork};
use zosam::models::{ResNet, ResNetConfig};

use crate::forge::forge;
use crate::{floats, numbers, tensor, trained};

/// Products of all kinds, an operation of burn's, and weights that many steps share.
#[derive(Module, Debug)]
struct Small {
    conv: Conv2d,
    norm: BatchNorm,
    up: ConvTranspose2d,
    lstm: Lstm,
    fc: Linear,
}

impl Small {
    fn forward(&self, x: Tensor<4>) -> (Tensor<2>, Tensor<2, burn::tensor::Int>) {
        let x = relu(self.norm.forward(self.conv.forward(x)));
        let x = self.up.forward(x).sin();
        let [batch, channels, height, width] = x.dims();
        let x = x.reshape([batch, channels * height, width]);
        let (x, _) = self.lstm.forward(gelu(x), None);
        let x = softmax(self.fc.forward(x.mean_dim(1).squeeze_dim::<2>(1)), 1);
        (x.clone(), x.argmax(1))
    }
}

fn small() -> SparseNetwork {
    let device = Device::flex();
    let model = Small {
        conv: Conv2dConfig::new([2, 4], [3, 3]).init(&device),
        norm: BatchNormConfig::new(4).init(&device),
        up: ConvTranspose2dConfig::new([4, 2], [2, 2])
            .with_stride([2, 2])
            .init(&device),
        lstm: LstmConfig::new(8, 6, true).init(&device),
        fc: LinearConfig::new(6, 3).init(&device),
    };
    let model = trained(model, 0.4);
    SparseNetwork::compile(&model, tensor([1, 2, 6, 6], 1), |m: &Small, x| m.forward(x)).unwrap()
}

fn outputs(network: &SparseNetwork) -> zosam::Result<Vec<Output>> {
    network.run(&[Input::Float(&numbers(3 * 72, 5))])
}

#[test]
fn a_loaded_network_is_the_network() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.safetensors");
    let network = small();
    network.save(&path).unwrap();
    let loaded = SparseNetwork::load(&path).unwrap();
    assert_eq!(outputs(&loaded).unwrap(), outputs(&network).unwrap());
    assert_eq!(loaded.to_bytes().unwrap(), network.to_bytes().unwrap());
    assert_eq!(loaded.report(), network.report());
    assert_eq!(
        [loaded.live(), loaded.bytes()],
        [network.live(), network.bytes()]
    );
    // The steps of a recurrent layer share their weights: those of 4 gates, twice, and the others.
    assert_eq!(
        network
            .report()
            .operations
            .iter()
            .filter(|op| op.path.as_deref() == Some("fc.weight"))
            .count(),
        1
    );
    let folder = folder.path().join("missing");
    assert!(network.save(folder.join("x")).is_err());
    assert!(SparseNetwork::load(folder.join("x")).is_err());
}

/// A bit for each weight, 4 bytes for each that lives, and what is no weight.
#[test]
fn files_follow_the_live_weights() {
    let network = |density| {
        let config = ResNetConfig::resnet32(10).with_depth(14).with_width(16);
        let model = trained(config.init(&Device::flex()).unwrap(), density);
        SparseNetwork::compile(&model, tensor([1, 3, 16, 16], 1), |m: &ResNet, x| {
            m.forward(x)
        })
        .unwrap()
    };
    let (dense, sparse) = (network(1.0), network(0.05));
    let weights = dense.live();
    let bytes = sparse.to_bytes().unwrap().len();
    let overhead = 25_000;
    assert!(
        bytes < 4 * sparse.live() + weights / 8 + overhead,
        "{bytes}"
    );
    let bytes = dense.to_bytes().unwrap().len();
    assert!(bytes < 4 * weights + overhead, "{bytes}");
}

/// A draw below a number.
struct Draws(u64);

impl Draws {
    fn below(&mut self, most: usize) -> usize {
        // Numerical Recipes' generator; its upper bits.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % most.max(1)
    }
}

/// Bits flipped, bytes lost, doubled and changed, at places all over the file.
#[test]
fn damaged_files_are_refused() {
    let network = small();
    let (bytes, expected) = (network.to_bytes().unwrap(), outputs(&network).unwrap());
    let mut draws = Draws(7);
    for round in 0..2000 {
        let mut damaged = bytes.clone();
        // The header in every other round: it is what is read first.
        let area = if round % 2 == 0 {
            bytes.len()
        } else {
            bytes.len().min(6000)
        };
        let at = draws.below(area);
        match draws.below(5) {
            0 => damaged[at] ^= 1 << draws.below(8),
            1 => damaged.truncate(at),
            2 => drop(damaged.drain(at..(at + 1 + draws.below(40)).min(bytes.len()))),
            3 => damaged.insert(at, draws.below(256) as u8),
            _ => {
                for byte in damaged[at..].iter_mut().take(1 + draws.below(16)) {
                    *byte = draws.below(256) as u8;
                }
            }
        }
        if let Ok(loaded) = SparseNetwork::from_bytes(&damaged) {
            assert_eq!(outputs(&loaded).unwrap(), expected, "round {round}");
        }
    }
}

/// A file with another graph and a sum that is right.
fn forged(bytes: &[u8], change: impl FnOnce(String) -> String) -> Vec<u8> {
    let (_, metadata): (usize, Metadata) = SafeTensors::read_metadata(bytes).unwrap();
    let header = &metadata.metadata().as_ref().unwrap()["zosam.network"];
    let header: serde_json::Value = serde_json::from_str(header).unwrap();
    let graph = change(header["graph"].as_str().unwrap().to_string());
    let file = SafeTensors::deserialize(bytes).unwrap();
    forge(&graph, file.iter().collect())
}

/// Numbers and words of the graph exchanged, with a sum that is right: an error, or a network that runs.
#[test]
fn forged_graphs_are_checked() {
    let network = small();
    let bytes = network.to_bytes().unwrap();
    assert_eq!(forged(&bytes, |graph| graph).len(), bytes.len());
    let mut draws = Draws(11);
    let (mut refused, mut ran) = (0, 0);
    for _ in 0..600 {
        let forged = forged(&bytes, |graph| {
            // One of its numbers.
            let mut places = graph
                .match_indices(|c: char| c.is_ascii_digit())
                .map(|(at, _)| at);
            let count = places.clone().count();
            let at = places.nth(draws.below(count)).unwrap();
            let end = at + graph[at..].find(|c: char| !c.is_ascii_digit()).unwrap();
            let number = [
                "0",
                "1",
                "2",
                "7",
                "64",
                "100000",
                "4294967296",
                "18446744073709551615",
                "-1",
            ];
            let number = number[draws.below(number.len())];
            format!("{}{number}{}", &graph[..at], &graph[end..])
        });
        match SparseNetwork::from_bytes(&forged) {
            Ok(loaded) => {
                // Burn's operations check what they are given themselves.
                let _ = outputs(&loaded);
                ran += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 300 && ran > 10, "{refused} {ran}");
}

#[test]
fn other_files_are_refused() {
    let bytes = small().to_bytes().unwrap();
    let error = |bytes: &[u8]| SparseNetwork::from_bytes(bytes).unwrap_err().to_string();
    assert!(error(b"").contains("safetensors"));
    let none: Vec<(&str, TensorView<'_>)> = Vec::new();
    let other = safetensors::serialize(none, None).unwrap();
    assert!(error(&other).contains("zosam.network"));
    let (length, _): (usize, Metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let header = std::str::from_utf8(&bytes[8..8 + length]).unwrap();
    let newer = header.replacen("\\\"version\\\":2", "\\\"version\\\":3", 1);
    assert_ne!(newer, header);
    let newer = [&bytes[..8], newer.as_bytes(), &bytes[8 + length..]].concat();
    assert!(
        error(&newer).contains("version 3, this crate reads 1 to 2"),
        "{}",
        error(&newer)
    );
    let x = floats(tensor([1, 2, 6, 6], 1));
    assert!(small().logits(&x[1..]).is_err());
}
