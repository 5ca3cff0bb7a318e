//! Laws 8 and 9: resumed and repeated runs.

use burn::module::Module;
use burn::optim::Optimizer;
use burn::store::ModuleRecord;
use zosam::sparse::Method;
use zosam::{SharpnessConfig, ZoSamConfig, perturb::ZeroOrderMemory};

use super::setup::*;

/// Law 8: bytes at step `at`, then a fresh process's worth of new objects, equal no interruption.
fn resume<O: Optimizer>(base: O, what: &str, method: &Method, config: &SharpnessConfig, at: u64) {
    let start = || {
        let (net, sparsity) = attach(method, Net::new(&device()));
        (
            net,
            sparsity,
            config.init(base.clone()).unwrap().with_seed(5),
        )
    };
    let (net, mut sparsity, mut optim) = start();
    let expected = bits(&train(&mut optim, net, &mut sparsity, 0..8));
    let expected_live = sparsity.masks().live_weights();

    let (net, mut sparsity, mut optim) = start();
    let net = train(&mut optim, net, &mut sparsity, 0..at);
    let model = net.valid().into_record().into_bytes().unwrap();
    let parts = sparsity.to_parts().unwrap();
    let (optimizer, steps) = (optim.to_bytes().unwrap(), optim.steps());
    let memory = optim.memory_to_bytes().unwrap();

    let record = ModuleRecord::from_bytes(model).unwrap();
    let net = Net::new(&device()).try_load_record(record).unwrap();
    let mut sparsity = unattached(method);
    sparsity.load_parts(&net, parts).unwrap();
    let optim = config.init(base.clone()).unwrap().with_seed(5);
    let optim = optim.from_bytes(optimizer, steps).unwrap();
    let mut optim = optim.with_memory(memory, &net, sparsity.masks()).unwrap();
    let resumed = bits(&train(&mut optim, net, &mut sparsity, at..8));
    assert!(resumed == expected, "{what}, interrupted at {at}");
    assert_eq!(sparsity.masks().live_weights(), expected_live);
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one() {
    for (method_name, method) in methods() {
        for (name, config, _) in perturbations(0.05) {
            // Just before, at and just after RigL's change of masks at step 3.
            for at in [3, 4, 5] {
                resume(
                    sgd(),
                    &format!("sgd, {method_name}, {name}"),
                    &method,
                    &config,
                    at,
                );
            }
            resume(
                adamw(),
                &format!("adamw, {method_name}, {name}"),
                &method,
                &config,
                4,
            );
        }
    }
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
