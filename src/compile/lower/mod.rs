//! From burn's operations to ours; what we have no operation for stays burn's.

mod modules;
mod moves;
mod numbers;

use std::collections::HashMap;
use std::sync::Arc;

use burn::backend::capture::TensorId;
use burn::tensor::{DType, TensorData};
use burn_ir::{BaseOperationIr, IrVisitorMut, OperationIr, ScalarIr, TensorIr};

use super::trace::Trace;
use crate::error::{Error, Result};
use crate::inference::graph::{Constant, Data, Graph, Id, Kind, Node, Operation, Tensor};

/// The graph of a recorded forward pass, operation by operation.
pub(super) fn lower(trace: &Trace, is_each: bool) -> Result<Graph> {
    let mut lowering = Lowering {
        trace,
        graph: Graph {
            is_each,
            ..Graph::default()
        },
        ids: HashMap::new(),
    };
    for id in &trace.inputs {
        let data = &trace.values[id];
        let tensor = tensor(
            data.shape().iter().copied().collect(),
            data.dtype(),
            "an input",
        )?;
        let id = lowering.make(*id, tensor);
        lowering.graph.inputs.push(id);
    }
    for operation in &trace.operations {
        lowering.operation(operation)?;
    }
    for output in &trace.outputs {
        let id = lowering.read(*output)?;
        lowering.graph.outputs.push(id);
    }
    Ok(lowering.graph)
}

struct Lowering<'t> {
    trace: &'t Trace,
    graph: Graph,
    ids: HashMap<TensorId, Id>,
}

/// A tensor of a type that there is.
fn tensor(shape: Vec<usize>, dtype: DType, name: &str) -> Result<Tensor> {
    let kind = match dtype {
        DType::F32 => Kind::Float,
        DType::I32 => Kind::Int,
        DType::Bool(_) => Kind::Bool,
        _ => {
            return Err(Error::Compile {
                reason: format!("{name} has the type {dtype:?}"),
                instead: "floats of 32 bits, whole numbers of 32 bits and truth values: cast the module and its inputs",
            });
        }
    };
    Ok(Tensor { shape, kind })
}

impl Lowering<'_> {
    fn make(&mut self, id: TensorId, tensor: Tensor) -> Id {
        let made = self.graph.add(tensor);
        self.ids.insert(id, made);
        made
    }

    /// A tensor that is there: an input, the output of an operation, or a constant, which is added
    /// when it is first read.
    fn read(&mut self, id: TensorId) -> Result<Id> {
        if let Some(id) = self.ids.get(&id) {
            return Ok(*id);
        }
        let path = self.trace.names.get(&id).cloned();
        let Some(data) = self.trace.values.get(&id) else {
            return Err(Error::Compile {
                reason: format!("nothing makes tensor {id}"),
                instead: "a forward pass of its inputs and parameters alone",
            });
        };
        let shape = data.shape().iter().copied().collect();
        let tensor = tensor(shape, data.dtype(), path.as_deref().unwrap_or("a constant"))?;
        let data = Arc::new(numbers(data, tensor.kind));
        let made = self.make(id, tensor);
        self.graph.constants.insert(made, Constant { data, path });
        Ok(made)
    }

    fn operation(&mut self, operation: &OperationIr) -> Result<()> {
        for output in operation.outputs() {
            let shape = output.shape.iter().copied().collect();
            let tensor = tensor(shape, output.dtype, "what an operation makes")?;
            self.make(output.id, tensor);
        }
        let mut inputs = Vec::new();
        for input in operation.inputs() {
            inputs.push(self.read(input.id)?);
        }
        let mut all = operation.inputs().chain(operation.outputs());
        let is_empty = all.any(|tensor| tensor.shape.num_elements() == 0);
        let ours = if is_empty { None } else { self.ours(operation) };
        match ours {
            Some(()) => Ok(()),
            None => self.burn(operation, inputs),
        }
    }

    /// The operation as ours, if there is one.
    fn ours(&mut self, operation: &OperationIr) -> Option<()> {
        match operation {
            OperationIr::Module(operation) => self.module(operation),
            OperationIr::BaseFloat(operation) => self.base(operation),
            OperationIr::BaseInt(BaseOperationIr::Reshape(reshape))
            | OperationIr::BaseBool(BaseOperationIr::Reshape(reshape)) => {
                self.push(Operation::Reshape, &[&reshape.input], &reshape.out)
            }
            OperationIr::NumericFloat(_, operation) => self.numeric(operation),
            OperationIr::Float(_, operation) => self.float(operation),
            OperationIr::Activation(operation) => self.activation(operation),
            _ => None,
        }
    }

    /// Adds an operation whose tensors are known.
    fn push(&mut self, operation: Operation, inputs: &[&TensorIr], out: &TensorIr) -> Option<()> {
        let inputs = inputs
            .iter()
            .map(|tensor| self.ids.get(&tensor.id).copied());
        let node = Node {
            operation,
            inputs: inputs.collect::<Option<_>>()?,
            outputs: vec![*self.ids.get(&out.id)?],
        };
        self.graph.nodes.push(node);
        Some(())
    }

    fn known(&self, tensor: &TensorIr) -> Option<Id> {
        self.ids.get(&tensor.id).copied()
    }

    fn is_constant(&self, tensor: &TensorIr) -> bool {
        let id = self.known(tensor);
        id.is_some_and(|id| self.graph.constants.contains_key(&id))
    }

    /// Leaves an operation to burn, its tensors renumbered.
    fn burn(&mut self, operation: &OperationIr, inputs: Vec<Id>) -> Result<()> {
        let mut renamed = operation.clone();
        renamed.visit_mut(&mut Renamed(&self.ids));
        let json = serde_json::to_string(&renamed).map_err(|error| Error::Compile {
            reason: format!("an operation cannot be written: {error}"),
            instead: "finite numbers as its settings",
        })?;
        let outputs = operation.outputs().filter_map(|tensor| self.known(tensor));
        let node = Node {
            outputs: outputs.collect(),
            operation: Operation::Burn(json),
            inputs,
        };
        self.graph.nodes.push(node);
        Ok(())
    }
}

struct Renamed<'a>(&'a HashMap<TensorId, Id>);

impl IrVisitorMut for Renamed<'_> {
    fn visit_tensor_mut(&mut self, tensor: &mut TensorIr) {
        if let Some(id) = self.0.get(&tensor.id) {
            tensor.id = TensorId::new(*id as u64);
        }
    }

    /// JSON has no infinite numbers; the largest finite ones of `f64` are infinite in `f32`, which
    /// is what tensors hold.
    fn visit_scalar_mut(&mut self, scalar: &mut ScalarIr) {
        if let ScalarIr::Float(number) = scalar
            && number.is_infinite()
        {
            *number = f64::MAX.copysign(*number);
        }
    }
}

fn numbers(data: &TensorData, kind: Kind) -> Data {
    match kind {
        Kind::Float => match data.as_slice::<f32>() {
            Ok(numbers) => Data::Float(numbers.to_vec()),
            Err(_) => Data::Float(data.iter::<f32>().collect()),
        },
        Kind::Int => Data::Int(data.iter::<i32>().collect()),
        Kind::Bool => Data::Int(data.iter::<bool>().map(i32::from).collect()),
    }
}

/// A number of an operation.
fn float(scalar: &ScalarIr) -> f32 {
    scalar.elem()
}
