//! Seconds of a training step, sparse and dense, on request: scripts of Python ask, in turns with PyTorch.
//!
//! ```text
//! cargo bench --bench training --no-run
//! RAYON_NUM_THREADS=1 OMP_NUM_THREADS=1 python benches/training_peer.py target/release/deps/training-HASH
//! RAYON_NUM_THREADS=1 OMP_NUM_THREADS=1 python benches/tasks_peer.py target/release/deps/training-HASH
//! ```
//!
//! A request is a line: a network, its sizes, and how it is trained ([`resnet`], [`tasks`]). With `--device vulkan` (and that feature) it
//! runs there. The answer is the median of a few steps, in seconds.

#[path = "../device/mod.rs"]
mod device;
#[path = "../../examples/language_model/model.rs"]
#[allow(dead_code, reason = "what writes texts is not timed here")]
mod gpt;
#[path = "../plain_resnet/mod.rs"]
mod plain_resnet;
mod resnet;
#[path = "../../examples/scenes/networks/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the detector is not timed here")]
mod scenes;
#[path = "../../examples/sequences/networks.rs"]
#[allow(dead_code, reason = "the LSTM is not timed here")]
mod sequences;
mod tasks;

use std::collections::HashMap;
use std::io::BufRead;
use std::time::Instant;

use burn::module::Module;
use burn::optim::Optimizer;
use burn::tensor::Tensor;
use zosam::SharpOptimizer;
use zosam::perturb::SharpnessConfig;
use zosam::sparse::Sparsity;

/// Steps of a turn.
const STEPS: usize = 3;

fn main() {
    zosam::keep_freed_memory();
    let device = device::chosen();
    let mut runs: HashMap<String, Box<dyn FnMut()>> = HashMap::new();
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("a line");
        let step = runs.entry(line.clone()).or_insert_with(|| {
            let mut step = run(&line);
            step();
            step
        });
        let mut times: Vec<f64> = (0..STEPS)
            .map(|_| {
                let start = Instant::now();
                step();
                device.sync().expect("the device works");
                start.elapsed().as_secs_f64()
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("{}", times[STEPS / 2]);
    }
}

fn run(line: &str) -> Box<dyn FnMut()> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["resnet", ref how @ ..] => resnet::run(how),
        ["gpt", ref how @ ..] => tasks::gpt(how),
        ["unet", ref how @ ..] => tasks::unet(how),
        ["sequence", ref how @ ..] => tasks::sequence(how),
        _ => panic!("`{line}` does not begin with resnet, gpt, unet or sequence"),
    }
}

fn number<N: std::str::FromStr>(word: &str) -> N {
    let number = word.parse();
    number.unwrap_or_else(|_| panic!("`{word}` is not the number that belongs there"))
}

/// A step on the same batch, again and again.
fn steps<M: Module + 'static, B: 'static, O: Optimizer + 'static>(
    model: M,
    mut sparsity: Sparsity,
    mut optim: SharpOptimizer<SharpnessConfig, O>,
    batch: B,
    loss: fn(&M, &B) -> Tensor<1>,
) -> Box<dyn FnMut()> {
    let model = sparsity.attach(model.train(), |model: &M| loss(model, &batch));
    let mut model = Some(model.expect("a sparsity that the layers can realise"));
    Box::new(move || {
        let current = model.take().expect("put back below");
        let (next, report) = optim
            .step_with(1e-3, current, &mut sparsity, |model: &M| {
                loss(model, &batch)
            })
            .expect("a step");
        // The loss is read, as training loops do.
        assert!(report.loss.into_scalar::<f32>().is_finite());
        model = Some(next);
    })
}
