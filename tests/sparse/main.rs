//! Methods at work: which layers take part in a change of masks, from which step a method counts, what its
//! budget holds, and what it starts from.
#![cfg(feature = "flex")]

mod budgets;
mod by_hand;
mod counting;
mod freezing;
mod given;
mod granularity;
mod layouts;
mod missing_gradients;
mod properties;
mod recurrent;
mod transposed;

#[path = "../contract/setup.rs"]
#[allow(dead_code, reason = "the contract suite uses the rest")]
mod contract;

pub use contract::{device, methods, perturbations, sgd};

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::LinearConfig;
use burn::optim::{Sgd, SgdConfig};
use burn::tensor::{Distribution, Int, Tensor};
use zosam::nn::Linear;
use zosam::objective::seeded;
use zosam::sparse::{Classification, Method, Sparsity};
use zosam::{SharpOptimizer, SharpnessConfig, tree};

pub type Optim = SharpOptimizer<SharpnessConfig, Sgd>;

/// Two heads on one body, of which a loss may use either or both.
#[derive(Module, Debug)]
pub struct Heads {
    pub body: Linear,
    pub main: Linear,
    pub aux: Linear,
}

/// Which heads a loss uses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Uses {
    Main,
    Aux,
    Both,
}

impl Heads {
    fn new() -> Self {
        let linear = |inputs, outputs| Linear::new(&LinearConfig::new(inputs, outputs), &device());
        drawn(Self {
            body: linear(12, 20),
            main: linear(20, 8),
            aux: linear(20, 8),
        })
    }

    pub fn forward(&self, uses: Uses, x: Tensor<2>) -> Tensor<2> {
        let hidden = self.body.forward(x).tanh();
        match uses {
            Uses::Main => self.main.forward(hidden),
            Uses::Aux => self.aux.forward(hidden),
            Uses::Both => self.main.forward(hidden.clone()) + self.aux.forward(hidden),
        }
    }

    /// The loss on a batch that depends on its number only.
    pub fn loss(&self, uses: Uses, number: u64) -> Tensor<1> {
        let (x, y) = (batch(number, 12), batch(number + 1, 8));
        (self.forward(uses, x) - y).powi_scalar(2).mean()
    }

    /// With the body, and the auxiliary head with it, frozen or trainable again.
    pub fn freeze(mut self, frozen: bool) -> Self {
        self.body = require_gradients(self.body, !frozen);
        self.aux = require_gradients(self.aux, !frozen);
        self
    }
}

/// Has a module draw its parameters while no other test draws: burn draws them when they are first read.
pub fn drawn<M: Module>(module: M) -> M {
    seeded(&device(), 7, || {
        tree::values(&module);
        module
    })
}

pub fn batch(number: u64, features: usize) -> Tensor<2> {
    let normal = Distribution::Normal(0.0, 1.0);
    seeded(&device(), 1000 + number, || {
        Tensor::random([16, features], normal, &device())
    })
}

struct RequireGradients(bool);

impl ModuleMapper for RequireGradients {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.set_require_grad(self.0)
    }
}

pub fn require_gradients<M: Module>(module: M, required: bool) -> M {
    module.map(&mut RequireGradients(required))
}

/// What any method can choose its first masks from.
pub fn evidence() -> Classification<'static, Heads, 2> {
    let labels = Tensor::<1, Int>::from_ints([0, 1, 2, 3, 4, 5, 6, 7], &device());
    let images = batch(0, 12).slice([0..8, 0..12]);
    Classification::new([(images, labels)], |heads: &Heads, x| {
        heads.forward(Uses::Both, x)
    })
}

pub fn attach(method: &Method) -> (Heads, Sparsity) {
    let mut sparsity = contract::unattached(method);
    let heads = sparsity.attach_on(Heads::new(), &evidence()).unwrap();
    (heads, sparsity)
}

pub fn plain() -> Optim {
    let sgd = SgdConfig::new().build();
    SharpnessConfig::None.init(sgd).unwrap()
}

pub fn live_sets(sparsity: &Sparsity) -> BTreeMap<String, Vec<bool>> {
    let masks = sparsity.masks();
    let set = |leaf: &tree::Leaf| (leaf.path.clone(), masks.live_set(leaf.id).unwrap());
    masks.leaves().map(set).collect()
}

/// The bits of every float tensor by path.
pub fn bits<M: Module>(model: &M) -> BTreeMap<String, Vec<u32>> {
    let tensors = tree::named_tensors(model).into_iter();
    tensors
        .map(|(path, data)| (path, data.iter::<f32>().map(f32::to_bits).collect()))
        .collect()
}

/// `round((1 − S) N)` at the sparsity that a method has after a number of its own steps.
pub fn budget(sparsity: &Sparsity, steps: u64) -> usize {
    let density = 1.0 - sparsity.method().sparsity_after(steps);
    (density * sparsity.masks().prunable_weights() as f64).round() as usize
}

/// Panics where a dead weight is not +0.
pub fn check_dead<M: Module>(model: &M, sparsity: &Sparsity, what: &str) {
    let bits = bits(model);
    for (path, live) in live_sets(sparsity) {
        let mut pairs = bits[&path].iter().zip(&live);
        assert!(
            pairs.all(|(bits, live)| *live || *bits == 0),
            "{what}: {path}"
        );
    }
}
