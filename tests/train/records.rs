//! The learner's checkpoints hold everything.

use burn::module::Module;
use burn::optim::OptimizerRecord;
use burn::store::ModuleRecord;
use zosam::sparse::GradientMemory;
use zosam::{Snfs, TopKast};

use super::*;

/// A record of the model and one of the optimizer, as the learner writes them, hold all that a run needs: stopped before, at and
/// after a change of masks, it goes on to the bit in a process that began with other weights and masks.
#[test]
fn records_hold_everything() {
    fn resumes<T: SparsityMethod + 'static>(method: impl Fn() -> T) {
        for stop in 2..6 {
            let mut optim = adam();
            let begun = train(wrapped(1, method()), &mut optim, 0..stop);
            let model = begun.clone().into_record().into_bytes().unwrap();
            let state = optim.into_bytes().unwrap();
            let expected = train(begun, &mut optim, stop..9);

            let record = ModuleRecord::from_bytes(model).unwrap();
            let resumed = wrapped(2, method()).try_load_record(record).unwrap();
            let record = OptimizerRecord::from_bytes(state).unwrap();
            let mut optim = adam().load_record(record);
            assert_eq!(resumed.steps(), stop);
            let resumed = train(resumed, &mut optim, stop..9);
            assert_eq!(fingerprint(resumed.inner()), fingerprint(expected.inner()));
            let masks = [&resumed, &expected].map(|model| model.masks().fingerprint());
            assert_eq!(masks[0], masks[1]);
        }
    }
    resumes(rigl);
    resumes(|| Snfs::new(0.5).every(3).until(100));
    resumes(|| TopKast::new(0.5).with_backward_sparsity(0.3));
    resumes(|| rigl().with_memory(GradientMemory::Sum { steps: 2 }));
}

/// What perturbations remember is in the learner's records, too.
#[test]
fn memories_travel_in_records() {
    let guided = |m: usize| {
        let family = Directions::Guided(Guide::default());
        SharpnessConfig::ZoSam(ZoSamConfig::new().with_family(family).with_directions(m))
    };
    for config in [
        SharpnessConfig::LookSam(LookSamConfig::new().with_every(3)),
        SharpnessConfig::MomentumSam(MomentumSamConfig::new()),
        SharpnessConfig::FriendlySam(FriendlySamConfig::new()),
        SharpnessConfig::Wsam(WsamConfig::new()),
        guided(0),
        guided(2),
        SharpnessConfig::ZoSam(ZoSamConfig::new().with_reuse(3)),
    ] {
        let start = |seed| {
            let (model, sparsity) = attached(net(seed, 0.2), rigl());
            SparseModel::new(model, sparsity, config.clone(), 7).unwrap()
        };
        let run =
            |mut model: SparseModel<Net, SharpnessConfig>, optim: &mut ModuleOptimizer, steps| {
                for step in steps {
                    let output = TrainStep::step(&model, batch(step));
                    model = model.optimize(optim, 0.05.into(), output.grads);
                }
                model
            };
        let mut optim = adam();
        let begun = run(start(1), &mut optim, 0..5);
        let model = begun.clone().into_record().into_bytes().unwrap();
        let state = optim.into_bytes().unwrap();
        let expected = run(begun, &mut optim, 5..9);

        let record = ModuleRecord::from_bytes(model).unwrap();
        let resumed = start(2).try_load_record(record).unwrap();
        let record = OptimizerRecord::from_bytes(state).unwrap();
        let resumed = run(resumed, &mut adam().load_record(record), 5..9);
        let both = [&resumed, &expected].map(|model| fingerprint(model.inner()));
        assert_eq!(both[0], both[1], "{config:?}");
    }
}
