//! Laws 8 and 9: resumed and repeated runs.

use burn::module::Module;
use burn::optim::Optimizer;
use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use zosam::sparse::{Method, SparsityParts};
use zosam::{SharpnessConfig, ZoSamConfig, perturb::ZeroOrderMemory};

use super::setup::*;

/// A run's state as bytes.
struct Saved {
    at: u64,
    model: Bytes,
    sparsity: SparsityParts,
    optimizer: Bytes,
    memory: Bytes,
}

/// Law 8: bytes that are saved on the way, before the steps `saves`, then a fresh process's worth of new objects, equal
/// the run that they were saved from.
fn resume<O: Optimizer>(
    base: &O,
    what: &str,
    method: &Method,
    config: &SharpnessConfig,
    saves: &[u64],
) {
    let fresh = || config.init(base.clone()).unwrap().with_seed(5);
    let (mut net, mut sparsity) = attach(method, Net::new(&device()));
    let mut optim = fresh();
    let mut saved = Vec::new();
    for step in 0..8 {
        if saves.contains(&step) {
            assert_eq!(optim.steps(), step);
            saved.push(Saved {
                at: step,
                model: net.valid().into_record().into_bytes().unwrap(),
                sparsity: sparsity.to_parts().unwrap(),
                optimizer: optim.to_bytes().unwrap(),
                memory: optim.memory_to_bytes().unwrap(),
            });
        }
        net = train(&mut optim, net, &mut sparsity, step..step + 1);
    }
    let (expected, expected_live) = (bits(&net), sparsity.masks().live_weights());

    for saved in saved {
        let record = ModuleRecord::from_bytes(saved.model).unwrap();
        let net = Net::new(&device()).try_load_record(record).unwrap();
        let mut sparsity = unattached(method);
        sparsity.load_parts(&net, saved.sparsity).unwrap();
        let optim = fresh().from_bytes(saved.optimizer, saved.at).unwrap();
        let optim = optim.with_memory(saved.memory, &net, sparsity.masks());
        let resumed = train(&mut optim.unwrap(), net, &mut sparsity, saved.at..8);
        assert!(
            bits(&resumed) == expected,
            "{what}, interrupted at {}",
            saved.at
        );
        assert_eq!(sparsity.masks().live_weights(), expected_live);
    }
}

fn resume_all<O: Optimizer>(base: &O, saves: &[u64]) {
    for (method_name, method) in methods() {
        for (name, config, _) in perturbations(0.05) {
            let what = format!("{method_name}, {name}");
            resume(base, &what, &method, &config, saves);
        }
    }
}

/// Just before, at and just after RigL's change of masks at step 3.
#[test]
fn a_resumed_run_of_sgd_equals_an_uninterrupted_one() {
    resume_all(&sgd(), &[3, 4, 5]);
}

#[test]
fn a_resumed_run_of_adamw_equals_an_uninterrupted_one() {
    resume_all(&adamw(), &[4]);
}

/// Law 9: the seed decides, and it decides everything.
#[test]
fn equal_seeds_give_equal_runs() {
    let run = |seed| {
        let (net, mut sparsity) = attach(&methods()[3].1, Net::new(&device()));
        let config = SharpnessConfig::ZoSam(ZoSamConfig::new().with_memory(ZeroOrderMemory::Both));
        let mut optim = config.init(sgd()).unwrap().with_seed(seed);
        bits(&train(&mut optim, net, &mut sparsity, 0..4))
    };
    assert!(run(1) == run(1));
    assert!(run(1) != run(2));
}

/// Law 9: nothing of ours depends on the number of threads.
#[test]
fn the_number_of_threads_does_not_matter() {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        // Weights are drawn on this thread: one of rayon's would not wait for the draws of other tests.
        let mut leaves = zosam::tree::leaves(&Net::new(&device()));
        leaves[0].shape = vec![100_000];
        pool.install(|| {
            let key = zosam::tree::DirectionKey {
                seed: 1,
                step: 2,
                index: 3,
            };
            let direction = zosam::tree::draw(&leaves, key, Default::default(), &device());
            let norm = direction.norm();
            let first: Vec<f32> = direction
                .iter()
                .next()
                .unwrap()
                .1
                .to_data()
                .try_to_vec()
                .unwrap();
            (norm.to_bits(), first)
        })
    };
    assert!(run(1) == run(3));
}
