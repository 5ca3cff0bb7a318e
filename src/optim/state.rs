//! Optimizer state of weights that died or came to life.

use std::collections::HashMap;

use burn::module::ParamId;
use burn::optim::{ModuleOptimizer, OptimizerRecord};
use burn::tensor::{Bytes, TensorData};
use burn_pack::{Reader, Tensor, Writer};

use super::stepped::rounded_to;
use super::{unfit, unreadable};
use crate::error::Result;
use crate::masks::LiveSet;

/// Zeroes an optimizer's state wherever a weight is not both live now and live before.
///
/// Momentum of a dropped weight must not wait for its return, and a grown weight starts afresh.
/// Gradients are masked before the optimizer sees them, so state of dead weights is zero between
/// mask changes anyway; only a change itself needs this.
///
/// burn keeps the state of each parameter behind a private type, so this goes through its record,
/// which works for every optimizer: all tensors of the parameter's size are per-weight state
/// (momentum, moments). Tensors of other sizes, like Adafactor's factored moments, and step
/// counters are left alone, as in the reference implementations. The record passes over the host,
/// once per mask change.
pub(super) fn keep_only(
    base: &ModuleOptimizer,
    kept: &HashMap<ParamId, LiveSet>,
) -> Result<ModuleOptimizer> {
    let reader = Reader::from_bytes(base.into_bytes().map_err(unreadable)?).map_err(unreadable)?;
    let (scalars, paths) = (reader.scalars().clone(), reader.metadata().clone());
    let stored = reader.into_tensors().map_err(unreadable)?;
    check_types(&stored)?;
    let mut tensors = Vec::new();
    for tensor in stored {
        let live = tensor.param_id.and_then(|id| kept.get(&ParamId::from(id)));
        tensors.push(match live {
            Some(live) => masked(tensor, live)?,
            None => tensor,
        });
    }
    let mut writer = Writer::new(tensors);
    for (name, value) in scalars {
        writer = writer.with_scalar(&name, value);
    }
    for (name, path) in &paths {
        writer = writer.with_metadata(name, path);
    }
    load(base, writer.into_bytes().map_err(unreadable)?)
}

/// The optimizer as configured, without state.
pub(super) fn fresh(base: &ModuleOptimizer) -> Result<ModuleOptimizer> {
    load(
        base,
        Writer::new(Vec::new()).into_bytes().map_err(unreadable)?,
    )
}

/// Loads what was saved into an optimizer of the same configuration.
pub(super) fn restored(base: &ModuleOptimizer, bytes: Bytes) -> Result<ModuleOptimizer> {
    let reader = Reader::from_bytes(bytes.clone()).map_err(unreadable)?;
    check_types(&reader.into_tensors().map_err(unreadable)?)?;
    load(base, bytes)
}

fn load(base: &ModuleOptimizer, bytes: Bytes) -> Result<ModuleOptimizer> {
    let record = OptimizerRecord::from_bytes(bytes).map_err(unreadable)?;
    let stored = record.len();
    let loaded = base.clone().load_record(record);
    // burn skips, in silence, what another kind of optimizer has stored.
    match loaded.to_record().len() {
        found if found == stored => Ok(loaded),
        found => Err(unfit(format!(
            "{found} of {stored} state tensors were understood; was it saved by another optimizer?"
        ))),
    }
}

/// burn reads state in the default float type of its default device, whatever was stored.
fn check_types(tensors: &[Tensor]) -> Result<()> {
    for tensor in tensors {
        if let Some(read) = rounded_to(tensor.dtype) {
            return Err(unfit(format!(
                "`{}` is {:?}, and burn would read it as {read:?}, the default float type of its \
                 default device: set that by `Device::configure` before anything is computed, or \
                 use an optimizer without state",
                tensor.name, tensor.dtype
            )));
        }
    }
    Ok(())
}

fn masked(tensor: Tensor, live: &[bool]) -> Result<Tensor> {
    let (name, dtype, shape, id, bytes) = tensor.into_parts().map_err(unreadable)?;
    let elements = shape.num_elements();
    if elements != live.len() {
        return Ok(Tensor::new(name, dtype, shape, id, bytes));
    }
    // Zero is all bits zero in every dtype that holds optimizer state.
    let mut bytes = bytes.to_vec();
    let width = bytes.len() / elements.max(1);
    for (element, _) in bytes
        .chunks_exact_mut(width.max(1))
        .zip(live)
        .filter(|(_, live)| !**live)
    {
        element.fill(0);
    }
    let data = TensorData::from_bytes_vec(bytes, shape.clone(), dtype);
    let (bytes, shape, dtype) = data.into_parts();
    Ok(Tensor::new(name, dtype, shape, id, bytes))
}
