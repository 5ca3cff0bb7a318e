//! What the layers of this room put out, for those who want to see it.

use std::cell::RefCell;

use burn::module::ParamId;
use burn::tensor::Tensor;

/// Outputs in the order in which they were made, each by the parameter that names its layer.
pub(crate) type Outputs = Vec<(ParamId, Tensor<4>)>;

thread_local! {
    static OUTPUTS: RefCell<Option<Outputs>> = const { RefCell::new(None) };
}

/// Runs something and hands back the outputs that layers made meanwhile, on this thread: those of
/// rank 4, and those of rank 3 as images of one row.
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

/// Records an output of images or of sequences, if that is asked for.
pub(super) fn record<const D: usize>(layer: ParamId, output: &Tensor<D>) {
    OUTPUTS.with_borrow_mut(|outputs| {
        let shape = match *output.dims().as_slice() {
            [batch, channels, height, width] => [batch, channels, height, width],
            [batch, channels, length] => [batch, channels, 1, length],
            _ => return,
        };
        if let Some(outputs) = outputs {
            outputs.push((layer, output.clone().reshape(shape)));
        }
    });
}
