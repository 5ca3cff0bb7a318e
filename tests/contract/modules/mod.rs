//! The laws that concern modules, over modules that are not this crate's.
//!
//! A module is one line in [`over_modules`] and an [`Example`] in `examples.rs`; a law is a function
//! over `E: Example` in `laws.rs`.

mod examples;
#[allow(dead_code, reason = "it writes texts elsewhere")]
#[path = "../../../examples/language_model/model.rs"]
mod gpt;
mod laws;
#[path = "../../../examples/scenes/networks/mod.rs"]
mod scenes;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use zosam::objective::{Batched, Samples, seeded};
use zosam::tree;

use super::setup::device;

/// A small module with a loss.
pub trait Example: Module {
    type Batch: Batched;

    /// The device's default float type is f32. Where parameters are wider, burn cannot read the state
    /// of their optimizer again; where they are narrower, this crate steps them in f32.
    const FLOAT: Float = Float::Default;

    fn init(device: &Device) -> Self;

    /// A batch of six that depends on its number only.
    fn batch(number: u64) -> Self::Batch;

    /// The loss of each sample.
    fn losses(&self, batch: &Self::Batch) -> Tensor<1>;

    /// What happens to it between attaching masks and the first step.
    fn attached(self) -> Self {
        self
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Float {
    Default,
    Wider,
    Narrower,
}

/// The weights of all modules of a kind are the same.
pub fn new<E: Example>(device: &Device) -> E {
    seeded(device, 7, || {
        let model = E::init(device);
        // Parameters are drawn when they are first read.
        tree::values(&model);
        model
    })
}

/// The mean loss of a batch.
pub fn loss<E: Example>(model: &E, batch: &E::Batch) -> Tensor<1> {
    model.losses(batch).mean()
}

type Losses<E> = fn(&E, &<E as Example>::Batch) -> Tensor<1>;

/// A batch that perturbations can take apart.
pub fn samples<E: Example>(number: u64) -> Samples<E::Batch, Losses<E>> {
    let losses: Losses<E> = E::losses;
    Samples::new(E::batch(number), losses)
}

/// The bits of every float tensor, with its type and path.
pub fn bytes<E: Example>(model: &E) -> Vec<(String, burn::tensor::TensorData)> {
    tree::named_tensors(model)
}

/// Runs a law on every module.
macro_rules! over_modules {
    ($($law:ident),* $(,)?) => {$(
        #[test]
        fn $law() {
            use super::examples::*;
            super::laws::$law::<Language>();
            super::laws::$law::<Pair>();
            super::laws::$law::<Grouped>();
            super::laws::$law::<Upsampling>();
            super::laws::$law::<Recurrent>();
            super::laws::$law::<Signals>();
            super::laws::$law::<Gpt>();
            super::laws::$law::<Segmenter>();
            super::laws::$law::<Detector>();
            super::laws::$law::<Normed>();
            super::laws::$law::<Unused>();
            super::laws::$law::<Heads>();
            super::laws::$law::<Frozen>();
            super::laws::$law::<FrozenLater>();
            super::laws::$law::<Double>();
            super::laws::$law::<Half>();
        }
    )*};
}

mod over_all {
    over_modules!(
        plain_steps_are_burns,
        radius_zero_is_the_base_optimizer,
        steps_keep_masks_radii_and_types,
        settings_and_values_survive_probes,
        unusable_estimates_give_plain_steps,
        resumed_runs_equal_uninterrupted_ones,
        model_files_round_trip,
    );
}

fn plain_device() -> Device {
    device().without_autodiff()
}
