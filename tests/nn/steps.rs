//! Training steps on either path: the same masks, the same weights but for rounding.

use burn::module::Module;
use burn::nn::LinearConfig;
use burn::nn::conv::{Conv1dConfig, Conv2dConfig, ConvTranspose2dConfig};
use burn::optim::SgdConfig;
use burn::tensor::activation::relu;
use burn::tensor::{Distribution, Tensor};
use zosam::masks::Execution;
use zosam::nn::{Conv1d, Conv2d, ConvTranspose2d, Linear};
use zosam::objective::seeded;
use zosam::sparse::{Method, RandomStatic};
use zosam::{RigL, SamConfig, Set, Snfs, Sparsity, TopKast, ZoSamConfig, tree};

use super::device;

#[derive(Module, Debug)]
struct Net {
    conv: Conv2d,
    up: ConvTranspose2d,
    row: Conv1d,
    linear: Linear,
}

impl Net {
    fn new() -> Self {
        seeded(&device(), 7, || {
            let up = ConvTranspose2dConfig::new([8, 4], [2, 2]).with_stride([2, 2]);
            let net = Self {
                conv: Conv2d::new(&Conv2dConfig::new([2, 8], [3, 3]), &device()),
                up: ConvTranspose2d::new(&up, &device()),
                row: Conv1d::new(&Conv1dConfig::new(4, 8, 5), &device()),
                linear: Linear::new(&LinearConfig::new(8, 20), &device()),
            };
            tree::values(&net);
            net
        })
    }

    fn loss(&self, x: &Tensor<4>) -> Tensor<1> {
        let hidden = relu(self.conv.forward(x.clone()));
        let row = self.up.forward(hidden).flatten(2, 3);
        let features = relu(self.row.forward(row)).mean_dim(2).flatten(1, 2);
        (self.linear.forward::<2>(features) - 1.0)
            .powi_scalar(2)
            .mean()
    }
}

struct End {
    fingerprint: String,
    weights: Vec<f32>,
    calls: [[u64; 3]; 2],
}

fn train(method: Method, how: Execution, sam: bool) -> End {
    let model = Net::new();
    let normal = Distribution::Normal(0.0, 1.0);
    let x = seeded(&device(), 8, || {
        Tensor::random([20, 2, 8, 8], normal, &device())
    });
    let loss = |model: &Net| model.loss(&x);
    let mut sparsity = Sparsity::from_boxed(method.boxed()).with_execution(how);
    let mut model = sparsity.attach(model, loss).unwrap();
    let mut first = SamConfig::new()
        .with_rho(0.02)
        .init(SgdConfig::new().build())
        .unwrap();
    let mut zero = ZoSamConfig::new()
        .with_rho(0.02)
        .init(SgdConfig::new().build())
        .unwrap();
    for _ in 0..9 {
        (model, _) = match sam {
            true => first.step_with(0.1, model, &mut sparsity, loss).unwrap(),
            false => zero.step_with(0.1, model, &mut sparsity, loss).unwrap(),
        };
    }
    let values = tree::named_tensors(&model);
    let values = values.iter().flat_map(|(_, data)| data.iter::<f32>());
    let layers = sparsity.masks().execution_report().layers;
    let sum = |pick: fn(&zosam::nn::LayerExecution) -> [u64; 3]| {
        let calls = layers.iter().map(pick);
        calls.fold([0; 3], |sum, calls| [0, 1, 2].map(|i| sum[i] + calls[i]))
    };
    End {
        fingerprint: sparsity.masks().fingerprint(),
        weights: values.collect(),
        calls: [
            sum(|layer| layer.dense.calls),
            sum(|layer| layer.sparse.calls),
        ],
    }
}

fn methods() -> Vec<Method> {
    vec![
        Method::Random(RandomStatic::new(0.7)),
        Method::RigL(RigL::new(0.7).until(9).every(4)),
        Method::Set(Set::new(0.7).every(4).until(9)),
        Method::Snfs(Snfs::new(0.7).every(4).until(9)),
        Method::TopKast(TopKast::new(0.7).with_backward_sparsity(0.4)),
    ]
}

#[test]
fn every_kind_of_method() {
    for sam in [true, false] {
        for method in methods() {
            let dense = train(method.clone(), Execution::Dense, sam);
            let sparse = train(method.clone(), Execution::Sparse, sam);
            assert_eq!(dense.fingerprint, sparse.fingerprint, "{method:?}");
            for (a, b) in dense.weights.iter().zip(&sparse.weights) {
                assert!((a - b).abs() < 1e-5, "{method:?}: {a} and {b}");
            }
            assert_eq!(
                dense.calls, [[0; 3]; 2],
                "no kernel is asked on the dense path"
            );
            assert!(
                sparse.calls[1][0] > 0 && sparse.calls[0][0] == 0,
                "{method:?}"
            );
        }
    }
}

/// Only the weight gradient is ever dense, and only in steps that rank or train dead weights. A convolution's is made by the kernels
/// all the same, so that burn's arithmetic is used by the linear layer alone.
#[test]
fn dense_gradients_where_they_are_needed() {
    let dense_weight_gradients = |method| train(method, Execution::Sparse, true).calls[0][2];
    let layers = 1;
    let backwards = 2;
    let counts = methods().into_iter().map(dense_weight_gradients);
    let every_step = 9 * layers * backwards;
    // RigL changes masks in steps 4 and 8; SNFS remembers every gradient, Top-KAST trains dead weights.
    let expected = [0, 2 * layers * backwards, 0, every_step, every_step];
    assert_eq!(counts.collect::<Vec<u64>>(), expected);
}

#[test]
fn the_same_bits_again() {
    let run = || {
        train(
            Method::RigL(RigL::new(0.7).until(9).every(4)),
            Execution::Auto,
            false,
        )
    };
    assert_eq!(run().weights, run().weights);
}
