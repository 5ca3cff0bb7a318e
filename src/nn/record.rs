//! What the layers of this room put out, for those who want to see it.

use std::cell::RefCell;

use burn::module::ParamId;
use burn::tensor::Tensor;

/// Outputs in the order in which they were made, each by the parameter that names its layer.
pub(crate) type Outputs = Vec<(ParamId, Tensor<4>)>;

thread_local! {
    static OUTPUTS: RefCell<Option<Outputs>> = const { RefCell::new(None) };
}

/// Runs something and hands back the outputs of rank 4 that layers made meanwhile, on this thread.
pub(crate) fn recorded<R>(run: impl FnOnce() -> R) -> (R, Outputs) {
    /// Nothing is recorded any more after a panic either.
    struct Stop;
    impl Drop for Stop {
        fn drop(&mut self) {
            OUTPUTS.set(None);
        }
    }
    OUTPUTS.set(Some(Vec::new()));
    let stop = Stop;
    let result = run();
    let outputs = OUTPUTS.take().unwrap_or_default();
    drop(stop);
    (result, outputs)
}

/// Records an output, if that is asked for.
pub(super) fn record<const D: usize>(layer: ParamId, output: &Tensor<D>) {
    OUTPUTS.with_borrow_mut(|outputs| {
        let shape: Result<[usize; 4], _> = output.dims().as_slice().try_into();
        if let (Some(outputs), Ok(shape)) = (outputs, shape) {
            outputs.push((layer, output.clone().reshape(shape)));
        }
    });
}
