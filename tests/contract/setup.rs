//! The cross product under test, on a small net with batch norm and dropout, whose masked layers compute sparsely.

use burn::module::Module;
use burn::nn::conv::Conv2dConfig;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{BatchNormConfig, Dropout, DropoutConfig, LinearConfig};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamW, AdamWConfig, Sgd, SgdConfig};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Distribution, Int, Tensor};
use zosam::masks::Execution;
use zosam::nn::{BatchNorm, Conv2d, Linear};
use zosam::objective::{BatchLoss, Samples, seeded};
use zosam::perturb::*;
use zosam::sparse::{
    Budget, Classification, Distribution as Layers, Dsr, GradientMemory, GradualMagnitude, Grasp,
    LotteryTicket, MagnitudeStatic, Mest, MestGrowth, Method, Perturbed, Regrown, Set, Snfs,
    Sparsity, Svite, SynFlow, TopKast,
};
use zosam::tree::{self, DirectionDistribution};
use zosam::{RandomStatic, RigL, SharpOptimizer, Snip};

pub type Optim<O> = SharpOptimizer<SharpnessConfig, O>;

#[derive(Module, Debug)]
pub struct Net {
    pub conv: Conv2d,
    norm: BatchNorm,
    dropout: Dropout,
    linear: Linear,
}

impl Net {
    pub fn new(device: &Device) -> Self {
        seeded(device, 7, || {
            let net = Self {
                conv: Conv2d::new(&Conv2dConfig::new([1, 6], [3, 3]), device),
                norm: BatchNorm::new(&BatchNormConfig::new(6), device),
                dropout: DropoutConfig::new(0.3).init(),
                linear: Linear::new(&LinearConfig::new(6 * 16, 5), device),
            };
            // Parameters are initialised when they are first used; use them while the seed holds.
            tree::values(&net);
            net
        })
    }

    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let hidden = self.norm.forward_relu(self.conv.forward(images));
        self.linear
            .forward(self.dropout.forward(hidden.flatten(1, 3)))
    }
}

/// flex, or what `ZOSAM_TEST_DEVICE` names: `wgpu` or `vulkan` with that feature, or `ndarray`, which the library takes for a
/// device of its own memory, as it does a GPU. See docs/GPU.md.
#[allow(deprecated, reason = "burn-ndarray stands for a GPU here")]
pub fn plain_device() -> Device {
    match std::env::var("ZOSAM_TEST_DEVICE").as_deref() {
        #[cfg(feature = "wgpu")]
        Ok("wgpu") => Device::wgpu(burn::tensor::DeviceKind::DefaultDevice),
        #[cfg(feature = "vulkan")]
        Ok("vulkan") => Device::vulkan(burn::tensor::DeviceKind::DefaultDevice),
        Ok("ndarray") => Device::ndarray(),
        Ok(other) => panic!("no device `{other}` here"),
        Err(_) => Device::flex(),
    }
}

/// Whether the device fuses operations: how it rounds one depends on what stands beside it.
pub fn fuses() -> bool {
    matches!(
        std::env::var("ZOSAM_TEST_DEVICE").as_deref(),
        Ok("wgpu" | "vulkan")
    )
}

pub fn device() -> Device {
    plain_device().autodiff()
}

/// A batch that depends on its number only.
pub struct Batch(Tensor<4>, Tensor<1, Int>);

impl Batch {
    pub fn new(number: u64) -> Self {
        let device = device();
        let normal = Distribution::Normal(0.0, 1.0);
        let images = || Tensor::random([10, 1, 6, 6], normal, &device);
        let images = seeded(&device, 1000 + number, images);
        let labels: Vec<i64> = (0..10).map(|i| (i + number as i64) % 5).collect();
        Self(images, Tensor::from_ints(labels.as_slice(), &device))
    }

    /// GraSP's Hessian is by differences of gradients: this net has no tangents.
    pub fn evidence(&self) -> Classification<'static, Net, 4> {
        Classification::new([(self.0.clone(), self.1.clone())], Net::forward)
    }

    /// The loss of each image, and the logits.
    pub fn samples(&self) -> impl BatchLoss<Net, Extra = Tensor<2>> + use<> {
        let batch = (self.0.clone(), self.1.clone());
        Samples::new(
            batch,
            |net: &Net, (images, labels): &(Tensor<4>, Tensor<1, Int>)| {
                let logits = net.forward(images.clone());
                let picked =
                    log_softmax(logits.clone(), 1).gather(1, labels.clone().unsqueeze_dim(1));
                (picked.neg().flatten::<1>(0, 1), logits)
            },
        )
    }

    pub fn loss(&self, net: &Net) -> Tensor<1> {
        let logits = net.forward(self.0.clone());
        CrossEntropyLossConfig::new()
            .init(&logits.device())
            .forward(logits, self.1.clone())
    }
}

/// A perturbation's name and settings, and the forwards and backwards of a step: `None` where they vary.
pub type Case = (&'static str, SharpnessConfig, Option<(u64, u64)>);

/// Every perturbation at a radius.
pub fn perturbations(rho: f64) -> Vec<Case> {
    let zo = || ZoSamConfig::new().with_rho(rho);
    let zo_sam = SharpnessConfig::ZoSam;
    vec![
        ("none", SharpnessConfig::None, Some((1, 1))),
        (
            "sam",
            SharpnessConfig::Sam(SamConfig::new().with_rho(rho)),
            Some((2, 2)),
        ),
        ("zo", zo_sam(zo()), Some((2, 1))),
        (
            "zo last",
            zo_sam(zo().with_memory(ZeroOrderMemory::Last)),
            None,
        ),
        (
            "zo plain",
            zo_sam(zo().with_memory(ZeroOrderMemory::None)),
            Some((3, 1)),
        ),
        (
            "zo m=3 absolute",
            zo_sam(zo().with_directions(3).with_delta(Delta::Absolute(1e-3))),
            Some((7, 1)),
        ),
        (
            "zo m=4 one-sided rademacher",
            zo_sam(
                zo().with_directions(4)
                    .with_sides(Sides::One)
                    .with_distribution(DirectionDistribution::Rademacher),
            ),
            Some((6, 1)),
        ),
        (
            "zo m=2 sphere sparse",
            zo_sam(
                zo().with_directions(2)
                    .with_distribution(DirectionDistribution::Sphere)
                    .with_scope(Scope::SparseWeights),
            ),
            Some((5, 1)),
        ),
        (
            "zo blocks",
            zo_sam(zo().with_family(Directions::Blocks)),
            Some((13, 1)),
        ),
        (
            "zo coordinates of the norm",
            zo_sam(zo().with_family(Directions::Coordinates(vec!["BatchNorm".to_string()]))),
            Some((25, 1)),
        ),
        (
            "zo m=3 orthogonal",
            zo_sam(zo().with_directions(3).with_family(Directions::Orthogonal)),
            Some((7, 1)),
        ),
        (
            "zo guided",
            zo_sam(zo().with_family(guided())),
            Some((2, 1)),
        ),
        (
            "zo guided m=3",
            zo_sam(zo().with_directions(3).with_family(guided())),
            None,
        ),
        (
            "zo forecast",
            zo_sam(zo().with_directions(0).with_family(guided())),
            Some((1, 1)),
        ),
        ("zo reused", zo_sam(zo().with_reuse(3)), None),
        (
            "asam",
            SharpnessConfig::Asam(AsamConfig::new().with_rho(rho)),
            Some((2, 2)),
        ),
        (
            "gsam",
            SharpnessConfig::Gsam(GsamConfig::new().with_rho(rho)),
            Some((2, 2)),
        ),
        (
            "looksam",
            SharpnessConfig::LookSam(LookSamConfig::new().with_rho(rho).with_every(2)),
            None,
        ),
        (
            "s2sam",
            SharpnessConfig::S2Sam(S2SamConfig::new().with_rho(rho)),
            Some((1, 1)),
        ),
        (
            "msam",
            SharpnessConfig::MomentumSam(MomentumSamConfig::new().with_rho(rho)),
            Some((1, 1)),
        ),
        (
            "msam decayed",
            SharpnessConfig::MomentumSam(
                MomentumSamConfig::new()
                    .with_rho(rho)
                    .with_weight_decay(0.01),
            ),
            Some((1, 1)),
        ),
        (
            "fsam",
            SharpnessConfig::FriendlySam(FriendlySamConfig::new().with_rho(rho)),
            Some((2, 2)),
        ),
        (
            "wsam",
            SharpnessConfig::Wsam(WsamConfig::new().with_rho(rho)),
            Some((2, 2)),
        ),
        (
            "wsam coupled",
            SharpnessConfig::Wsam(WsamConfig::new().with_rho(rho).with_decoupled(false)),
            Some((2, 2)),
        ),
        (
            "fisher sam",
            SharpnessConfig::FisherSam(FisherSamConfig::new().with_rho(rho)),
            Some((2, 2)),
        ),
        (
            "random sign",
            SharpnessConfig::RandomSign(RandomSignConfig::new().with_rho(rho)),
            Some((1, 1)),
        ),
    ]
}

/// A memory that a few steps fill.
fn guided() -> Directions {
    Directions::Guided(Guide {
        history: 4,
        prediction: true,
    })
}

/// The sparsity methods; where masks change, they do so every third step, before step 12.
pub fn methods() -> Vec<(&'static str, Method)> {
    let rigl = RigL::new(0.8).until(12).every(3).with_drop_fraction(0.5);
    let summed = GradientMemory::Sum { steps: 2 };
    let importance = Mest::em_s(0.8)
        .over(12)
        .every(3)
        .with_lambda(0.5)
        .with_growth(MestGrowth::Gradient);
    // Levels end with steps 3, 6 and 9 and go back to step 1.
    let tickets = LotteryTicket::new(0.8)
        .with_level_steps(4)
        .with_rewind(1)
        .with_rate(0.5)
        .with_perturbed(Perturbed::Everywhere);
    let per_layer = Budget::PerLayer(Layers::Uniform);
    vec![
        ("dense", Method::Dense(Default::default())),
        (
            "random",
            Method::Random(RandomStatic::new(0.9).with_distribution(Layers::Uniform)),
        ),
        ("snip", Method::Snip(Snip::new(0.8))),
        ("rigl", Method::RigL(rigl.clone())),
        ("rigl summed", Method::RigL(rigl.with_memory(summed))),
        ("grasp", Method::Grasp(Grasp::new(0.8))),
        (
            "synflow",
            Method::SynFlow(SynFlow::new(0.8).with_rounds(10)),
        ),
        ("magnitude", Method::Magnitude(MagnitudeStatic::new(0.8))),
        ("lth", Method::Lth(tickets)),
        (
            "gmp",
            Method::Gmp(GradualMagnitude::new(0.8).between(1..=11).every(3)),
        ),
        (
            "gmp per layer",
            Method::Gmp(
                GradualMagnitude::new(0.8)
                    .between(0..=9)
                    .every(3)
                    .with_budget(per_layer),
            ),
        ),
        ("set", Method::Set(Set::new(0.8).every(3).until(12))),
        (
            "set itop",
            Method::Set(
                Set::itop(0.8)
                    .every(3)
                    .until(12)
                    .with_distribution(Layers::Er),
            ),
        ),
        (
            "dsr",
            Method::Dsr(Dsr::new(0.8).every(3).until(12).with_threshold(0.05)),
        ),
        ("mest", Method::Mest(Mest::em(0.8).over(12).every(3))),
        ("mest ems", Method::Mest(importance)),
        ("svite", Method::Svite(Svite::new(0.8).every(3).until(12))),
        ("snfs", Method::Snfs(Snfs::new(0.8).every(3).until(12))),
        (
            "topkast",
            Method::TopKast(TopKast::new(0.8).with_backward_sparsity(0.5).every(3)),
        ),
        (
            "set normal",
            Method::Set(
                Set::new(0.8)
                    .every(3)
                    .until(12)
                    .with_regrown(Regrown::Normal { std: 0.1 }),
            ),
        ),
    ]
}

pub fn sgd() -> Sgd {
    let momentum = MomentumConfig::new().with_dampening(0.0);
    SgdConfig::new()
        .with_momentum(Some(momentum))
        .with_weight_decay(Some(burn::optim::decay::WeightDecayConfig::new(1e-2)))
        .build()
}

pub fn adamw() -> AdamW {
    AdamWConfig::new().with_weight_decay(1e-2).build()
}

/// A method, not attached yet, under which masked layers compute sparsely.
pub fn unattached(method: &Method) -> Sparsity {
    Sparsity::from_boxed(method.clone().boxed())
        .with_seed(3)
        .with_execution(Execution::Sparse)
}

pub fn attach(method: &Method, net: Net) -> (Net, Sparsity) {
    let mut sparsity = unattached(method);
    let batch = Batch::new(0);
    let net = sparsity.attach_on(net, &batch.evidence()).unwrap();
    (net, sparsity)
}

/// The bits of every float tensor, running statistics included, by path.
pub fn bits(net: &Net) -> Vec<(String, Vec<u32>)> {
    let tensors = tree::named_tensors(net).into_iter();
    tensors
        .map(|(path, data)| (path, data.iter::<f32>().map(f32::to_bits).collect()))
        .collect()
}

/// Takes `steps` steps, each on its own batch.
pub fn train<O: burn::optim::Optimizer>(
    optim: &mut Optim<O>,
    mut net: Net,
    sparsity: &mut Sparsity,
    steps: std::ops::Range<u64>,
) -> Net {
    for step in steps {
        let batch = Batch::new(step);
        (net, _) = optim
            .step_with(0.05, net, sparsity, |net: &Net| batch.loss(net))
            .unwrap();
    }
    net
}
