//! What a forward pass computes of constants alone is computed once, by burn.

use std::collections::HashSet;

use burn::backend::capture::TensorId;
use burn::tensor::TensorData;
use burn_flex::{Flex, FlexDevice};
use burn_ir::{
    FloatOperationIr, HandleKind, IrVisitorMut, NumericOperationIr, OperationIr, TensorIr,
    TensorStatus,
};
use burn_router::TensorInterpreter;

use super::trace::{Trace, panicked};
use crate::error::{Error, Result, caught};

/// Refuses what is not the same every time, or cannot be run elsewhere, and folds constants.
pub(super) fn fold(trace: &mut Trace) -> Result<()> {
    trace.operations.iter().try_for_each(repeatable)?;
    caught(|| folded(trace)).map_err(panicked)
}

fn repeatable(operation: &OperationIr) -> Result<()> {
    let (reason, instead) = match operation {
        OperationIr::Float(_, FloatOperationIr::Random(_))
        | OperationIr::NumericInt(_, NumericOperationIr::IntRandom(_)) => (
            "its forward pass draws random numbers".to_string(),
            "a forward pass has to be the same every time; initialise lazy weights by running the module once",
        ),
        OperationIr::Custom(custom) => (
            format!(
                "it has the operation `{}`, which only its backend knows",
                custom.id
            ),
            "fall back to burn's own operations on other devices",
        ),
        OperationIr::Distributed(_) => (
            "its forward pass communicates between devices".to_string(),
            "a forward pass on one device",
        ),
        OperationIr::Float(_, FloatOperationIr::Quantize(_) | FloatOperationIr::Dequantize(_)) => (
            "it has quantised weights".to_string(),
            "weights of `f32`; networks are not quantised here",
        ),
        _ => return Ok(()),
    };
    Err(Error::Compile { reason, instead })
}

struct ReadOnly;

impl IrVisitorMut for ReadOnly {
    fn visit_tensor_mut(&mut self, tensor: &mut TensorIr) {
        tensor.status = TensorStatus::ReadOnly;
    }
}

fn folded(trace: &mut Trace) {
    let mut flex = TensorInterpreter::<Flex>::new(FlexDevice);
    let mut inside: HashSet<TensorId> = HashSet::new();
    let inputs: HashSet<TensorId> = trace.inputs.iter().copied().collect();
    let mut kept = Vec::new();
    for operation in std::mem::take(&mut trace.operations) {
        let is_constant = |tensor: &TensorIr| {
            trace.values.contains_key(&tensor.id) && !inputs.contains(&tensor.id)
        };
        if !operation.inputs().all(is_constant) {
            kept.push(operation);
            continue;
        }
        for tensor in operation.inputs() {
            if inside.insert(tensor.id) {
                flex.register_tensor_data_id(tensor.id, trace.values[&tensor.id].clone());
            }
        }
        let mut run = operation.clone();
        run.visit_mut(&mut ReadOnly);
        flex.register_op(run);
        let name = name(trace, &operation);
        for tensor in operation.outputs() {
            inside.insert(tensor.id);
            let mut read = tensor.clone();
            read.status = TensorStatus::ReadOnly;
            if let Some(data) = read_back(&mut flex, &read) {
                trace.values.insert(tensor.id, data);
            }
            if let Some(name) = &name {
                trace.names.insert(tensor.id, name.clone());
            }
        }
    }
    trace.operations = kept;
}

fn read_back(flex: &mut TensorInterpreter<Flex>, tensor: &TensorIr) -> Option<TensorData> {
    match flex.get_tensor(tensor) {
        HandleKind::Float(tensor) | HandleKind::Int(tensor) | HandleKind::Bool(tensor) => {
            Some(tensor.into_data())
        }
        HandleKind::Quantized(_) => None,
    }
}

/// The parameter that an output of as many numbers is, in another shape or times something: the
/// only one of that size.
fn name(trace: &Trace, operation: &OperationIr) -> Option<String> {
    let count = operation.outputs().next()?.shape.num_elements();
    let named = operation
        .inputs()
        .filter(|tensor| tensor.shape.num_elements() == count);
    let mut named = named.filter_map(|tensor| trace.names.get(&tensor.id));
    let name = named.next()?;
    named.all(|other| other == name).then(|| name.clone())
}
