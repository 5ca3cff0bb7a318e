//! What a step costs: time and memory of the perturbations, against SGD on the same masks.
//!
//! ```text
//! cargo bench --bench step_cost                                    # ResNet-32, width 16, batches of 128 and 32, 5 rounds
//! cargo bench --bench step_cost -- --batch 32 --rounds 9           # batch 32 only, 9 rounds
//! cargo bench --bench step_cost -- --dense                         # masked weights, dense arithmetic
//! cargo bench --bench step_cost -- --only S2/burn                  # those whose names have one of these parts
//! cargo bench --features vulkan --bench step_cost -- --device vulkan --width 32 --batch 128
//! cargo bench --features vulkan --bench step_cost -- --device vulkan --network deit-small --batch 128
//! ```
//!
//! The machine's speed drifts, so the variants take turns within each round; the table shows the median over
//! rounds of each variant's time relative to SGD's in the same round. Peak memory is counted by the global
//! allocator, on top of what is allocated before the step: the host's memory only. On a device that is not the host a turn is ten steps and a
//! wait for the device, and every variant takes ten steps before the first round, so that kernels are compiled and tuned. With a feature for a GPU the
//! table has the kernels that one step launches, too, the operations that it hands to burn's fusion, and the ends of tensors of which fusion is told.

#[path = "../device/mod.rs"]
mod device;
mod launches;
mod network;

use std::time::Instant;

use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, ModuleOptimizer, Sgd, SgdConfig};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Distribution, Int, Tensor};
use peak_alloc::PeakAlloc;
use zosam::masks::Execution;
use zosam::objective::{Objective, Samples};
use zosam::perturb::*;
use zosam::sparse::Sparsity;
use zosam::{RigL, SharpOptimizer};

use network::Network;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What is measured.
#[derive(Clone)]
struct Setting {
    device: Device,
    network: String,
    width: usize,
    batch: usize,
    execution: Execution,
    /// Steps of a turn, times the variant's period.
    steps: usize,
}

fn main() {
    zosam::keep_freed_memory();
    let batches = match number("--batch") {
        Some(batch) => vec![batch],
        None => vec![128, 32],
    };
    let rounds = number("--rounds").unwrap_or(5);
    let width = number("--width").unwrap_or(16);
    let plain = device::chosen();
    let network = device::option("--network").unwrap_or_else(|| "resnet32".to_string());
    let threads = rayon::current_num_threads();
    let execution = match std::env::args().any(|arg| arg == "--dense") {
        true => Execution::Dense,
        false => Execution::Auto,
    };
    println!(
        "{network}, width {width} of a resnet, {plain:?}, {threads} threads, {rounds} rounds, {execution:?} arithmetic"
    );
    for batch in batches {
        let setting = Setting {
            steps: if plain == Device::flex() { 1 } else { 10 },
            device: plain.clone().autodiff(),
            network: network.clone(),
            width,
            batch,
            execution,
        };
        table(&setting, rounds);
    }
}

fn table(setting: &Setting, rounds: usize) {
    let (batch, device) = (setting.batch, &setting.device);
    let mut variants = variants(setting);
    for variant in &mut variants {
        let start = Instant::now();
        (0..setting.steps).for_each(|_| variant.step());
        device.sync().expect("the device works");
        println!(
            "{}: first {} steps in {:.1} s",
            variant.name,
            setting.steps,
            start.elapsed().as_secs_f64()
        );
    }
    let mut seconds = vec![Vec::new(); variants.len()];
    let mut peaks = vec![0.0f64; variants.len()];
    let mut counts = Vec::new();
    for variant in &mut variants {
        let steps = variant.steps;
        let run = || (0..steps).for_each(|_| variant.step());
        let work = launches::count(device, run);
        let per_step = |count: usize| format!("{:.0}", count as f64 / steps as f64);
        counts.push(work.map(|work| [work.launches, work.operations, work.ends].map(per_step)));
    }
    for _ in 0..rounds {
        for (index, variant) in variants.iter_mut().enumerate() {
            ALLOCATOR.reset_peak_usage();
            let before = ALLOCATOR.current_usage();
            let start = Instant::now();
            let steps = variant.steps * setting.steps;
            (0..steps).for_each(|_| variant.step());
            device.sync().expect("the device works");
            seconds[index].push(start.elapsed().as_secs_f64() / steps as f64);
            let peak = (ALLOCATOR.peak_usage() - before) as f64 / (1 << 20) as f64;
            peaks[index] = peaks[index].max(peak);
        }
    }
    println!(
        "\nbatch {batch}\n{:32} {:>9} {:>9} {:>11} {:>9} {:>9} {:>9} {:>10} {:>6}",
        "",
        "s/step",
        "images/s",
        "speed/SGD",
        "peak MiB",
        "peak/SGD",
        "launches",
        "operations",
        "ends"
    );
    for (index, variant) in variants.iter().enumerate() {
        let ratios = seconds[0]
            .iter()
            .zip(&seconds[index])
            .map(|(sgd, own)| sgd / own);
        let time = median(seconds[index].iter().copied());
        let [launches, operations, ends] = counts[index]
            .clone()
            .unwrap_or(["-", "-", "-"].map(String::from));
        println!(
            "{:32} {time:>9.4} {:>9.1} {:>11.3} {:>9.1} {:>9.3} {launches:>9} {operations:>10} {ends:>6}",
            variant.name,
            batch as f64 / time,
            median(ratios),
            peaks[index],
            peaks[index] / peaks[0],
        );
    }
}

/// The number after an option.
fn number(name: &str) -> Option<usize> {
    device::option(name).map(|word| word.parse().expect("a number"))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

struct Variant {
    name: &'static str,
    /// Steps of a turn: a whole period, where steps differ.
    steps: usize,
    step: Box<dyn FnMut()>,
}

impl Variant {
    fn step(&mut self) {
        (self.step)();
    }
}

fn variants(setting: &Setting) -> Vec<Variant> {
    let zo = ZoSamConfig::new;
    let zo_sam = SharpnessConfig::ZoSam;
    let guided = || Directions::Guided(Guide::default());
    let sharp = [
        ("SGD, RigL", SharpnessConfig::None),
        ("SAM, RigL", SharpnessConfig::Sam(SamConfig::new())),
        ("ZO-SAM, RigL", zo_sam(zo())),
        (
            "ZO-SAM lean (one graph), RigL",
            zo_sam(zo().with_memory(ZeroOrderMemory::Last)),
        ),
        (
            "ZO-SAM plain m=1, RigL",
            zo_sam(zo().with_memory(ZeroOrderMemory::None)),
        ),
        (
            "ZO-SAM plain m=4, RigL",
            zo_sam(zo().with_directions(4).with_delta(Delta::Absolute(1e-4))),
        ),
        (
            "ZO-SAM, probes on a quarter",
            zo_sam(zo().with_fraction(0.25)),
        ),
        ("ZO-SAM, reused 5 times", zo_sam(zo().with_reuse(5))),
        ("ZO-SAM, guided", zo_sam(zo().with_family(guided()))),
        (
            "ZO-SAM, forecast",
            zo_sam(zo().with_family(guided()).with_directions(0)),
        ),
        (
            "ZO-SAM, guided, 3 on a sixth",
            zo_sam(
                zo().with_family(guided())
                    .with_directions(3)
                    .with_fraction(1.0 / 6.0),
            ),
        ),
        ("GSAM", SharpnessConfig::Gsam(GsamConfig::new())),
        ("ESAM", SharpnessConfig::Esam(EsamConfig::new())),
        (
            "LookSAM(10)",
            SharpnessConfig::LookSam(LookSamConfig::new().with_every(10)),
        ),
        ("S2-SAM", SharpnessConfig::S2Sam(S2SamConfig::new())),
        (
            "S2-SAM, sparse weights alone",
            SharpnessConfig::S2Sam(S2SamConfig::new().with_scope(Scope::SparseWeights)),
        ),
        (
            "ZO-SAM, sparse weights alone",
            zo_sam(zo().with_scope(Scope::SparseWeights)),
        ),
    ];
    let with_zosam = |(name, config)| with_zosam(name, config, setting);
    let mut variants: Vec<Variant> = sharp.map(with_zosam).into();
    variants.push(burns_own(setting));
    variants.push(forward(setting));
    let wanted = device::option("--only");
    // The first one is what the others are compared with.
    let is_wanted = |name: &str| {
        let parts = wanted.as_deref().map(|parts| parts.split('/'));
        parts.is_none_or(|mut parts| parts.any(|part| name.contains(part)))
    };
    let mut first = true;
    variants.retain(|variant| std::mem::take(&mut first) || is_wanted(variant.name));
    variants
}

fn period(config: &SharpnessConfig) -> usize {
    match config {
        SharpnessConfig::LookSam(config) => config.every as usize,
        SharpnessConfig::ZoSam(config) => config.reuse as usize,
        _ => 1,
    }
}

type Batch = (Tensor<4>, Tensor<1, Int>);

fn losses(model: &Network, (images, labels): &Batch) -> Tensor<1> {
    let log = log_softmax(model.forward(images.clone()), 1);
    let picked = log.gather(1, labels.clone().unsqueeze_dim(1));
    picked.neg().flatten(0, 1)
}

fn burns_own(setting: &Setting) -> Variant {
    let (images, labels) = data(setting);
    let mut model = Some(model(setting));
    let mut optim = ModuleOptimizer::from(sgd());
    Variant {
        name: "SGD, burn's own loop, dense",
        steps: 1,
        step: Box::new(move || {
            let current = model.take().expect("put back below");
            let loss = losses(&current, &(images.clone(), labels.clone())).mean();
            let gradients = GradientsParams::from_grads(loss.backward(), &current);
            model = Some(optim.step(1e-3, current, gradients));
        }),
    }
}

/// A forward pass that records no graph: what default ZO-SAM makes besides SGD's passes.
fn forward(setting: &Setting) -> Variant {
    let loss = Samples::new(data(setting), losses);
    let (model, sparsity) = masked(setting);
    Variant {
        name: "one forward pass",
        steps: 1,
        step: Box::new(move || {
            sparsity.run(|| Objective::new(&model, &loss, 0).probe(None));
        }),
    }
}

fn masked(setting: &Setting) -> (Network, Sparsity) {
    // An update of masks would make one step in a hundred differ; its cost is measured on its own.
    let mut sparsity = Sparsity::new(RigL::new(0.9).until(0)).with_execution(setting.execution);
    let model = sparsity.attach(model(setting), |_: &Network| -> Tensor<1> {
        unreachable!("RigL starts at random")
    });
    (model.expect("valid"), sparsity)
}

fn with_zosam(name: &'static str, config: SharpnessConfig, setting: &Setting) -> Variant {
    let loss = Samples::new(data(setting), losses);
    let steps = period(&config);
    let mut optim: SharpOptimizer<SharpnessConfig, Sgd> = config.init(sgd()).expect("valid");
    let (model, mut sparsity) = masked(setting);
    let mut model = Some(model);
    Variant {
        name,
        steps,
        step: Box::new(move || {
            let current = model.take().expect("put back below");
            let (next, report) = optim
                .step_on(1e-3, current, &mut sparsity, &loss)
                .expect("a step");
            assert_eq!(report.plain, None, "the probes told up from down");
            model = Some(next);
        }),
    }
}

fn model(setting: &Setting) -> Network {
    Network::new(&setting.network, setting.width, &setting.device)
}

fn sgd() -> Sgd {
    let momentum = MomentumConfig::new().with_dampening(0.0);
    SgdConfig::new().with_momentum(Some(momentum)).build()
}

fn data(setting: &Setting) -> Batch {
    let (device, batch) = (&setting.device, setting.batch);
    let [height, width] = network::image(&setting.network);
    let shape = [batch, 3, height, width];
    let images = Tensor::random(shape, Distribution::Normal(0.0, 1.0), device);
    let labels: Vec<i64> = (0..batch as i64).map(|i| i % 10).collect();
    (images, Tensor::from_ints(labels.as_slice(), device))
}
