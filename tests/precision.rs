//! Models of every float type keep it, whatever is done to them, and what is measured about them has
//! the precision that its type promises.
#![cfg(feature = "flex")]

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamWConfig, Optimizer, Sgd, SgdConfig};
use burn::store::ModuleRecord;
use burn::tensor::activation::relu;
use burn::tensor::{DType, Device, Distribution, FloatDType, Int, Tensor, TensorData};
use zosam::objective::{BatchLoss, Objective, Offset, Samples, seeded};
use zosam::optim::{ForwardOnly, ForwardRule};
use zosam::perturb::*;
use zosam::sparse::*;
use zosam::tree::{self, ParamVector};
use zosam::{SharpOptimizer, StepReport};

const TYPES: [FloatDType; 4] = [
    FloatDType::F64,
    FloatDType::F32,
    FloatDType::F16,
    FloatDType::BF16,
];
const HALVES: [FloatDType; 2] = [FloatDType::F16, FloatDType::BF16];

#[derive(Module, Debug)]
struct Net {
    first: Linear,
    norm: BatchNorm,
    second: Linear,
}

impl Net {
    fn new(dtype: FloatDType) -> Self {
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

    fn forward(&self, inputs: Tensor<2>) -> Tensor<2> {
        let hidden = relu(self.norm.forward(self.first.forward(inputs)));
        self.second.forward(hidden)
    }

    /// The mean square, in the model's own precision.
    fn loss(&self, inputs: Tensor<2>) -> Tensor<1> {
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

fn batch(dtype: FloatDType, number: u64) -> Tensor<2> {
    let device = Device::flex().autodiff();
    seeded(&device, 100 + number, || {
        let inputs = Tensor::<2>::random([12, 20], Distribution::Normal(0.0, 1.0), &device);
        inputs.cast(dtype)
    })
}

fn samples(dtype: FloatDType, number: u64) -> impl BatchLoss<Net, Extra = ()> {
    Samples::new(batch(dtype, number), |net: &Net, inputs: &Tensor<2>| {
        let squares = net.forward(inputs.clone()).powi_scalar(2);
        squares.mean_dim(1).flatten::<1>(0, 1)
    })
}

fn sgd() -> Sgd {
    let momentum = MomentumConfig::new().with_dampening(0.0);
    SgdConfig::new().with_momentum(Some(momentum)).build()
}

fn perturbations(rho: f64) -> Vec<(&'static str, SharpnessConfig)> {
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
        ("asam", SharpnessConfig::Asam(AsamConfig::new().with_rho(rho))),
        ("gsam", SharpnessConfig::Gsam(GsamConfig::new().with_rho(rho))),
        ("esam", SharpnessConfig::Esam(EsamConfig::new().with_rho(rho))),
        ("looksam", SharpnessConfig::LookSam(look)),
        ("msam", SharpnessConfig::MomentumSam(msam)),
        ("s2sam", SharpnessConfig::S2Sam(S2SamConfig::new().with_rho(rho))),
        ("fsam", SharpnessConfig::FriendlySam(fsam)),
        ("wsam", SharpnessConfig::Wsam(WsamConfig::new().with_rho(rho))),
        ("fisher-sam", SharpnessConfig::FisherSam(fisher)),
        ("random", SharpnessConfig::RandomSign(RandomSignConfig::new(rho))),
        ("zo-sam", zo_sam(zo())),
        ("zo-sam m=4", zo_sam(zo().with_directions(4).with_sides(Sides::One))),
        ("orthogonal", zo_sam(zo().with_directions(3).with_family(Directions::Orthogonal))),
        ("blocks", zo_sam(zo().with_family(Directions::Blocks))),
        ("norms", zo_sam(zo().with_family(norms))),
        ("guided", zo_sam(zo().with_family(guided).with_directions(2))),
        ("reused", zo_sam(zo().with_reuse(3))),
        ("half of the batch", zo_sam(zo().with_fraction(0.5))),
    ]
}

/// Methods that grow at random, remember gradients, rewind and keep latent values.
fn methods() -> Vec<Method> {
    // Levels end with steps 3 and 6 and go back to step 1.
    let ticket = LotteryTicket::new(0.7, 4)
        .with_rewind(1)
        .with_rate(0.5)
        .with_perturbed(Perturbed::Everywhere);
    vec![
        Method::Dense(Default::default()),
        Method::RigL(RigL::new(0.5, 12).with_update_every(3)),
        Method::Set(Set::new(0.5, 3, 12).with_regrown(Regrown::Normal { std: 0.1 })),
        Method::Snfs(Snfs::new(0.5, 3, 12)),
        Method::Lth(ticket),
        Method::TopKast(TopKast::new(0.5, 0.3).with_update_every(3)),
    ]
}

/// Every tensor, running statistics included, with its type.
fn tensors(net: &Net) -> Vec<TensorData> {
    let tensors = tree::named_tensors(net).into_iter();
    tensors.map(|(_, data)| data).collect()
}

fn has_type(net: &Net, dtype: FloatDType) -> bool {
    let dtype: DType = dtype.into();
    tensors(net).iter().all(|data| data.dtype() == dtype)
}

struct Run<O> {
    net: Net,
    sparsity: Sparsity,
    optim: SharpOptimizer<Sharpness, O>,
    dtype: FloatDType,
}

impl<O: Optimizer> Run<O> {
    fn start(dtype: FloatDType, config: &SharpnessConfig, method: &Method, base: O) -> Self {
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

    fn step(mut self, number: u64, what: &str) -> (Self, StepReport) {
        let loss = samples(self.dtype, number);
        let stepped = self.optim.step_on(0.05, self.net, &mut self.sparsity, loss);
        let (net, report) = stepped.unwrap();
        assert!(has_type(&net, self.dtype), "{what}, step {number}");
        (Self { net, ..self }, report)
    }

    fn steps(mut self, numbers: std::ops::Range<u64>, what: &str) -> Self {
        for number in numbers {
            self = self.step(number, what).0;
        }
        self
    }

    /// What another process would load.
    fn resumed(&self, config: &SharpnessConfig, method: &Method, base: O) -> Self {
        let record = self.net.valid().into_record().into_bytes().unwrap();
        let record = ModuleRecord::from_bytes(record).unwrap();
        let net = Net::new(self.dtype).try_load_record(record).unwrap();
        let mut sparsity = Sparsity::from_boxed(method.clone().boxed()).with_seed(3);
        sparsity.load_parts(&net, self.sparsity.to_parts().unwrap()).unwrap();
        let optim = config.init(base).unwrap();
        let optim = optim.from_bytes(self.optim.to_bytes().unwrap(), self.optim.steps());
        let memory = self.optim.memory_to_bytes().unwrap();
        let optim = optim.unwrap().with_memory(memory, &net, sparsity.masks());
        Self {
            net,
            sparsity,
            optim: optim.unwrap(),
            dtype: self.dtype,
        }
    }
}

/// Every float type through every perturbation, method, rewind and resume.
#[test]
fn every_float_type_is_kept() {
    for dtype in TYPES {
        for method in methods() {
            for (name, config) in perturbations(0.05) {
                let what = format!("{dtype:?}, {name}, {method:?}");
                let run = Run::start(dtype, &config, &method, sgd()).steps(0..5, &what);
                let resumed = run.resumed(&config, &method, sgd()).steps(5..8, &what);
                let run = run.steps(5..8, &what);
                assert!(tensors(&run.net) == tensors(&resumed.net), "{what}");
                assert!(tree::values(&run.net).norm().is_finite(), "{what}");
            }
            let adamw = || AdamWConfig::new().with_epsilon(1e-3).build();
            let (what, sam) = ("AdamW", SharpnessConfig::Sam(SamConfig::new()));
            let run = Run::start(dtype, &sam, &method, adamw()).steps(0..5, what);
            let resumed = run.resumed(&sam, &method, adamw()).steps(5..8, what);
            let run = run.steps(5..8, what);
            assert!(tensors(&run.net) == tensors(&resumed.net), "{dtype:?}, {method:?}");
        }
    }
}

/// Methods that score before training, each from what it measures.
#[test]
fn scores_can_be_had_for_every_float_type() {
    let labels: Vec<i64> = (0..12).map(|i| i % 5).collect();
    let labels = Tensor::<1, Int>::from_ints(labels.as_slice(), &Device::flex().autodiff());
    for dtype in TYPES {
        for method in [
            Method::Snip(Snip::new(0.5)),
            Method::Grasp(Grasp::new(0.5)),
            Method::SynFlow(SynFlow::new(0.5).with_rounds(3)),
            Method::Dsr(Dsr::new(0.5, 3, 12)),
        ] {
            let evidence = Classification::new([(batch(dtype, 0), labels.clone())], Net::forward);
            let mut sparsity = Sparsity::from_boxed(method.clone().boxed());
            let net = sparsity.attach_on(Net::new(dtype), &evidence);
            assert!(has_type(&net.unwrap(), dtype), "{dtype:?}, {method:?}");
            let live = (20 * 16 + 16 * 5) / 2;
            assert_eq!(sparsity.masks().live_weights(), live, "{dtype:?}, {method:?}");
        }
    }
}

/// Training without a backward pass, along every family of directions.
#[test]
fn forward_passes_keep_the_float_type() {
    for dtype in TYPES {
        for family in [Directions::Isotropic, Directions::Orthogonal, Directions::Blocks] {
            for rule in [ForwardRule::Estimate, ForwardRule::Sign, ForwardRule::Conservative] {
                let estimator = ZoSamConfig::new().with_delta(Delta::Absolute(1e-2));
                let estimator = estimator.with_family(family.clone());
                let mut optim = ForwardOnly::new(estimator, rule, sgd()).unwrap();
                let inputs = batch(dtype, 0);
                let mut sparsity = Sparsity::new(RandomStatic::new(0.5));
                let loss = |net: &Net| net.loss(inputs.clone());
                let mut net = sparsity.attach(Net::new(dtype), loss).unwrap();
                for _ in 0..3 {
                    net = optim.step_on(1e-3, net, &mut sparsity, loss).unwrap().0;
                }
                assert!(has_type(&net, dtype), "{dtype:?}, {family:?}, {rule:?}");
            }
        }
    }
}

/// `‖ε‖ = ρ` to the precision of vectors, dead weights are +0, also where weights are coarser than `ε`.
#[test]
fn perturbations_have_their_length() {
    for dtype in TYPES {
        for (name, config) in perturbations(0.05) {
            let what = format!("{name} {dtype:?}");
            let method = Method::Random(RandomStatic::new(0.5));
            let mut run = Run::start(dtype, &config, &method, sgd());
            for number in 0..3 {
                let report;
                (run, report) = run.step(number, &what);
                // Two probes may round to the same loss; a step without ε is reported, if one was due.
                let Some(offset) = report.offset else {
                    let plain = [Some(PlainReason::ZeroEstimate), None];
                    assert!(plain.contains(&report.plain), "{what}");
                    continue;
                };
                let norm = offset.vector().norm();
                // Lengths of their own: the weights', the Fisher information's, and `ρ/β`.
                if !["asam", "fisher-sam", "esam"].contains(&name) {
                    assert!((norm / 0.05 - 1.0).abs() < 1e-6, "{what}: {norm}");
                }
            }
            let weights = tree::values(&run.net);
            let live = run.sparsity.masks().project(weights.clone());
            assert_eq!(live.add_scaled(&weights, -1.0).norm(), 0.0, "{what}");
            assert!(weights.norm().is_finite(), "{what}");
        }
    }
}

fn vector(component: Tensor<1>) -> ParamVector {
    let mut vector = ParamVector::default();
    vector.push(burn::module::ParamId::new(), component);
    vector
}

/// In f16 squares of small gradients vanish and sums of many overflow; in f32 neither.
#[test]
fn norms_have_the_range_of_f32() {
    for (value, size) in [(1e-4, 1000), (60.0, 100_000)] {
        let component = Tensor::<1>::full([size], value, &Device::flex()).cast(FloatDType::F16);
        let rounded = f64::from(component.clone().max().into_scalar::<f32>());
        let expected = rounded * (size as f64).sqrt();
        assert!((vector(component).norm() / expected - 1.0).abs() < 1e-6);
    }
}

/// Norms, products and sums of f64 components are f64's, also beside an f32 component.
#[test]
fn vectors_of_f64_have_its_precision() {
    let (id, third) = (burn::module::ParamId::new(), 1.0 / 3.0);
    let full = |dtype: FloatDType| {
        let mut vector = ParamVector::default();
        let component = Tensor::<1>::full([1000], third, (&Device::flex(), DType::F64));
        vector.push(id, component.cast(dtype));
        vector
    };
    let (double, single) = (full(FloatDType::F64), full(FloatDType::F32));
    assert!((double.norm() / (1000.0f64 / 9.0).sqrt() - 1.0).abs() < 1e-14);
    let rounding = f64::from(third as f32) - third;
    for difference in [
        single.clone().add_scaled(&double, -1.0),
        double.clone().add_scaled(&single, -1.0),
    ] {
        let expected = rounding.abs() * 1000.0f64.sqrt();
        assert!((difference.norm() / expected - 1.0).abs() < 1e-9);
    }
    let product = 1000.0 * third * f64::from(third as f32);
    assert!((double.dot(&single) / product - 1.0).abs() < 1e-14);
}

/// A difference quotient over 1e-6 needs losses in f64: in f32 they would differ by a few roundings.
#[test]
fn differences_of_f64_losses_have_its_precision() {
    let inputs = batch(FloatDType::F64, 0);
    let net = Net::new(FloatDType::F64);
    let mut objective = Objective::new(&net, |net: &Net| net.loss(inputs.clone()), 0);
    let gradient = objective.gradient(None).vector;
    let direction = gradient.clone().scaled(1.0 / gradient.norm());
    let mut at = |scale: f64| {
        let direction = direction.clone();
        objective.value(Some(&Offset { direction, scale }))
    };
    let quotient = (at(1e-6) - at(-1e-6)) / 2e-6;
    assert!((quotient / gradient.norm() - 1.0).abs() < 1e-8, "{quotient}");
}

/// A direction in f32, drawn by somebody else, perturbs models of every type.
#[test]
fn directions_of_another_type_are_converted() {
    for dtype in TYPES {
        let net = Net::new(dtype);
        let leaves = tree::leaves(&net);
        let key = tree::DirectionKey {
            seed: 1,
            step: 0,
            index: 0,
        };
        let direction = tree::draw(&leaves, key, Default::default(), &Device::flex());
        let moved = tree::perturbed(&net, &direction, 0.5, |_| false);
        assert!(has_type(&moved, dtype), "{dtype:?}");
        let moved = tree::values(&moved).off(&tree::values(&net), &direction);
        // Weights of order 1 are rounded to 8 bits in bf16.
        let tolerance = if HALVES.contains(&dtype) { 1e-2 } else { 1e-7 };
        assert!(moved < tolerance, "{dtype:?}: {moved}");
    }
}

trait Moved {
    /// By how much `self` is off `before + direction / 2`, relative to the latter.
    fn off(self, before: &ParamVector, direction: &ParamVector) -> f64;
}

impl Moved for ParamVector {
    fn off(self, before: &ParamVector, direction: &ParamVector) -> f64 {
        let moved = self.add_scaled(before, -1.0);
        moved.add_scaled(direction, -0.5).norm() / direction.norm()
    }
}

/// Where the perturbed point is out of f16's range the step is a plain one, and is counted; the weights stay numbers.
#[test]
fn overflow_gives_a_plain_step() {
    for (name, config) in perturbations(1e4) {
        // These are not perturbed in their first step, look at parts of the model, or divide by more.
        if ["none", "msam", "s2sam", "norms", "asam"].contains(&name) {
            continue;
        }
        let method = Method::Dense(Default::default());
        let run = Run::start(FloatDType::F16, &config, &method, sgd());
        let before = tree::values(&run.net);
        let (run, report) = run.step(0, name);
        assert_eq!(report.plain, Some(PlainReason::NonFinite), "{name}");
        assert!(report.loss_value().is_finite(), "{name}");
        let moved = tree::values(&run.net).add_scaled(&before, -1.0).norm();
        assert!(moved > 0.0 && moved.is_finite(), "{name}: the step at θ was taken");
    }
}
