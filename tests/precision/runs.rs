//! Short runs of a small net of any float type.

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamW, AdamWConfig, Optimizer, Sgd, SgdConfig};
use burn::store::ModuleRecord;
use burn::tensor::activation::relu;
use burn::tensor::{DType, Device, Distribution, FloatDType, Tensor, TensorData};
use zosam::objective::{BatchLoss, Samples, seeded};
use zosam::perturb::*;
use zosam::sparse::*;
use zosam::{Result, SharpOptimizer, StepReport, tree};

#[derive(Module, Debug)]
pub struct Net {
    first: Linear,
    norm: BatchNorm,
    second: Linear,
}

impl Net {
    pub fn new(dtype: FloatDType) -> Self {
        let device = Device::flex().autodiff();
        let net = seeded(&device, 1, || {
            let net = Self {
                first: LinearConfig::new(20, 16).init(&device),
                norm: BatchNormConfig::new(16).init(&device),
                second: LinearConfig::new(16, 5).init(&device),
            };
            tree::values(&net);
            net
        });
        net.map(&mut Cast(dtype))
    }

    pub fn forward(&self, inputs: Tensor<2>) -> Tensor<2> {
        let hidden = relu(self.norm.forward(self.first.forward(inputs)));
        self.second.forward(hidden)
    }

    /// The mean square, in the model's own precision.
    pub fn loss(&self, inputs: Tensor<2>) -> Tensor<1> {
        self.forward(inputs).powi_scalar(2).mean()
    }
}

struct Cast(FloatDType);

impl ModuleMapper for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let cast = Tensor::<D>::from_inner(tensor.clone().inner().cast(self.0));
        let cast = cast.set_require_grad(tensor.is_require_grad());
        Param::from_mapped_value(id, cast, mapper)
    }
}

pub fn batch(dtype: FloatDType, number: u64) -> Tensor<2> {
    let device = Device::flex().autodiff();
    seeded(&device, 100 + number, || {
        let inputs = Tensor::<2>::random([12, 20], Distribution::Normal(0.0, 1.0), &device);
        inputs.cast(dtype)
    })
}

pub fn samples(dtype: FloatDType, number: u64) -> impl BatchLoss<Net, Extra = ()> {
    Samples::new(batch(dtype, number), |net: &Net, inputs: &Tensor<2>| {
        let squares = net.forward(inputs.clone()).powi_scalar(2);
        squares.mean_dim(1).flatten::<1>(0, 1)
    })
}

pub fn sgd() -> Sgd {
    let momentum = MomentumConfig::new().with_dampening(0.0);
    SgdConfig::new().with_momentum(Some(momentum)).build()
}

pub fn adamw() -> AdamW {
    AdamWConfig::new().with_epsilon(1e-3).build()
}

pub fn perturbations(rho: f64) -> Vec<(&'static str, SharpnessConfig)> {
    let zo = || ZoSamConfig::new().with_rho(rho);
    let zo_sam = SharpnessConfig::ZoSam;
    let look = LookSamConfig::new().with_rho(rho).with_every(2);
    let guided = Directions::Guided(Guide::default());
    let norms = Directions::Coordinates(vec!["BatchNorm".to_string()]);
    let fsam = FriendlySamConfig::new().with_rho(rho);
    let fisher = FisherSamConfig::new().with_rho(rho);
    let msam = MomentumSamConfig::new()
        .with_rho(rho)
        .with_weight_decay(0.01);
    vec![
        ("none", SharpnessConfig::None),
        ("sam", SharpnessConfig::Sam(SamConfig::new().with_rho(rho))),
        (
            "asam",
            SharpnessConfig::Asam(AsamConfig::new().with_rho(rho)),
        ),
        (
            "gsam",
            SharpnessConfig::Gsam(GsamConfig::new().with_rho(rho)),
        ),
        (
            "esam",
            SharpnessConfig::Esam(EsamConfig::new().with_rho(rho)),
        ),
        ("looksam", SharpnessConfig::LookSam(look)),
        ("msam", SharpnessConfig::MomentumSam(msam)),
        (
            "s2sam",
            SharpnessConfig::S2Sam(S2SamConfig::new().with_rho(rho)),
        ),
        ("fsam", SharpnessConfig::FriendlySam(fsam)),
        (
            "wsam",
            SharpnessConfig::Wsam(WsamConfig::new().with_rho(rho)),
        ),
        ("fisher-sam", SharpnessConfig::FisherSam(fisher)),
        (
            "random",
            SharpnessConfig::RandomSign(RandomSignConfig::new().with_rho(rho)),
        ),
        ("zo-sam", zo_sam(zo())),
        (
            "zo-sam m=4",
            zo_sam(zo().with_directions(4).with_sides(Sides::One)),
        ),
        (
            "orthogonal",
            zo_sam(zo().with_directions(3).with_family(Directions::Orthogonal)),
        ),
        ("blocks", zo_sam(zo().with_family(Directions::Blocks))),
        ("norms", zo_sam(zo().with_family(norms))),
        (
            "guided",
            zo_sam(zo().with_family(guided).with_directions(2)),
        ),
        ("reused", zo_sam(zo().with_reuse(3))),
        ("half of the batch", zo_sam(zo().with_fraction(0.5))),
    ]
}

/// Methods that grow at random, remember gradients, rewind and keep latent values.
pub fn methods() -> Vec<Method> {
    // Levels end with steps 3 and 6 and go back to step 1.
    let ticket = LotteryTicket::new(0.7)
        .with_level_steps(4)
        .with_rewind(1)
        .with_rate(0.5)
        .with_perturbed(Perturbed::Everywhere);
    vec![
        Method::Dense(Default::default()),
        Method::RigL(RigL::new(0.5).until(12).every(3)),
        Method::Set(
            Set::new(0.5)
                .every(3)
                .until(12)
                .with_regrown(Regrown::Normal { std: 0.1 }),
        ),
        Method::Snfs(Snfs::new(0.5).every(3).until(12)),
        Method::Lth(ticket),
        Method::TopKast(TopKast::new(0.5).with_backward_sparsity(0.3).every(3)),
    ]
}

/// Every tensor, running statistics included, with its type.
pub fn tensors(net: &Net) -> Vec<TensorData> {
    let tensors = tree::named_tensors(net).into_iter();
    tensors.map(|(_, data)| data).collect()
}

pub fn has_type(net: &Net, dtype: FloatDType) -> bool {
    let dtype: DType = dtype.into();
    tensors(net).iter().all(|data| data.dtype() == dtype)
}

pub struct Run<O> {
    pub net: Net,
    pub sparsity: Sparsity,
    pub optim: SharpOptimizer<SharpnessConfig, O>,
    dtype: FloatDType,
}

impl<O: Optimizer> Run<O> {
    pub fn start(dtype: FloatDType, config: &SharpnessConfig, method: &Method, base: O) -> Self {
        let mut sparsity = Sparsity::from_boxed(method.clone().boxed()).with_seed(3);
        let inputs = batch(dtype, 0);
        let net = sparsity.attach(Net::new(dtype), |net: &Net| net.loss(inputs.clone()));
        Self {
            net: net.unwrap(),
            sparsity,
            optim: config.init(base).unwrap(),
            dtype,
        }
    }

    pub fn step(mut self, number: u64, what: &str) -> (Self, StepReport) {
        let loss = samples(self.dtype, number);
        let stepped = self.optim.step_on(0.05, self.net, &mut self.sparsity, loss);
        let (net, report) = stepped.unwrap();
        assert!(has_type(&net, self.dtype), "{what}, step {number}");
        (Self { net, ..self }, report)
    }

    pub fn steps(mut self, numbers: std::ops::Range<u64>, what: &str) -> Self {
        for number in numbers {
            self = self.step(number, what).0;
        }
        self
    }

    /// What another process would load.
    pub fn resumed(&self, config: &SharpnessConfig, method: &Method, base: O) -> Result<Self> {
        let record = self.net.valid().into_record().into_bytes().unwrap();
        let record = ModuleRecord::from_bytes(record).unwrap();
        let net = Net::new(self.dtype).try_load_record(record).unwrap();
        let mut sparsity = Sparsity::from_boxed(method.clone().boxed()).with_seed(3);
        sparsity
            .load_parts(&net, self.sparsity.to_parts().unwrap())
            .unwrap();
        let optim = config.init(base).unwrap();
        let optim = optim.from_bytes(self.optim.to_bytes()?, self.optim.steps())?;
        let memory = self.optim.memory_to_bytes()?;
        let optim = optim.with_memory(memory, &net, sparsity.masks())?;
        Ok(Self {
            net,
            sparsity,
            optim,
            dtype: self.dtype,
        })
    }
}

/// Eight steps, and the same with a break after the fifth: equal to the bit, and of one float type.
pub fn assert_kept<O: Optimizer>(dtype: FloatDType, base: impl Fn() -> O) {
    for method in methods() {
        for (name, config) in perturbations(0.05) {
            let what = format!("{dtype:?}, {name}, {method:?}");
            let run = Run::start(dtype, &config, &method, base()).steps(0..5, &what);
            let resumed = run
                .resumed(&config, &method, base())
                .unwrap()
                .steps(5..8, &what);
            let run = run.steps(5..8, &what);
            assert!(tensors(&run.net) == tensors(&resumed.net), "{what}");
            assert!(tree::values(&run.net).norm().is_finite(), "{what}");
        }
    }
}
