//! Operations that are left to burn: its flex backend runs them, as it would eagerly.

use std::collections::HashMap;

use burn_backend::{DType, Shape, TensorData};
use burn_flex::{Flex, FlexDevice, FlexTensor};
use burn_ir::{HandleKind, IrVisitorMut, OperationIr, TensorId, TensorIr, TensorStatus};
use burn_router::TensorInterpreter;

use super::graph::{Data, Graph, Id, Kind, Node};
use super::plan::{Action, Step};
use super::run::{Sources, Target};
use crate::error::{Error, Result, caught};

/// Flex with the constants of a network; a run at a time.
#[derive(Debug)]
pub(crate) struct Interpreter(TensorInterpreter<Flex>);

/// The operations of a network that burn does, and the tensors that they share with its steps.
#[derive(Debug, Default)]
pub(crate) struct Program {
    operations: Vec<Operation>,
    constants: Vec<(Id, HandleKind<Flex>)>,
    /// What is handed over in either direction.
    tensors: HashMap<Id, TensorIr>,
}

#[derive(Debug)]
struct Operation {
    operation: OperationIr,
    /// Tensors that nobody needs behind it.
    drops: Vec<TensorIr>,
}

impl Program {
    /// Adds an operation, whose tensors are the graph's, and returns its number.
    pub fn add(&mut self, graph: &Graph, node: &Node, json: &str) -> Result<usize> {
        let operation: OperationIr = serde_json::from_str(json)
            .map_err(|error| unfit("it cannot be read".to_string()).caused_by(error))?;
        let tensors = |found: Vec<&TensorIr>, ids: &[Id]| -> Result<()> {
            let known = found.len() == ids.len()
                && found
                    .iter()
                    .zip(ids)
                    .all(|(tensor, id)| fits(tensor, graph, *id));
            match known {
                true => Ok(()),
                false => Err(unfit("its tensors are not the graph's".to_string())),
            }
        };
        tensors(operation.inputs().collect(), &node.inputs)?;
        tensors(operation.outputs().collect(), &node.outputs)?;
        for tensor in operation.inputs().chain(operation.outputs()) {
            self.tensors.insert(tensor.id.value() as Id, tensor.clone());
        }
        self.operations.push(Operation {
            operation,
            drops: Vec::new(),
        });
        Ok(self.operations.len() - 1)
    }

    /// Adds a constant that operations read.
    pub fn constant(&mut self, graph: &Graph, id: Id) {
        let Some(constant) = graph.constants.get(&id) else {
            return;
        };
        let shape = Shape::from(graph.shape(id).to_vec());
        let handle = match &*constant.data {
            Data::Float(numbers) => {
                HandleKind::Float(tensor(TensorData::new(numbers.clone(), shape)))
            }
            Data::Int(numbers) if graph.tensors[id].kind == Kind::Int => {
                HandleKind::Int(tensor(TensorData::new(numbers.clone(), shape)))
            }
            Data::Int(numbers) => HandleKind::Bool(tensor(truths(numbers, shape))),
        };
        self.constants.push((id, handle));
    }

    /// Marks the last use of every tensor, so that burn works in place and keeps nothing.
    pub fn finish(&mut self, steps: &[Step], outputs: &[Id]) {
        let is_constant = |id: Id| self.constants.iter().any(|(constant, _)| *constant == id);
        // The last step that touches a tensor on burn's side; outputs are taken behind all of them.
        let mut last: HashMap<Id, usize> = HashMap::new();
        for (at, step) in steps.iter().enumerate() {
            match &step.action {
                Action::Operate(index) => {
                    for tensor in self.operations[*index].operation.nodes() {
                        last.insert(tensor.id.value() as Id, at);
                    }
                }
                Action::Get { id, .. } => {
                    last.insert(*id, at);
                }
                Action::Run { .. } | Action::Give { .. } => {}
            }
        }
        for id in outputs {
            last.insert(*id, steps.len());
        }
        for (at, step) in steps.iter().enumerate() {
            let Action::Operate(index) = &step.action else {
                continue;
            };
            let nodes = self.operations[*index].operation.nodes();
            let mut status = Status::default();
            let mut drops: Vec<TensorIr> = Vec::new();
            for tensor in &nodes {
                let id = tensor.id.value() as Id;
                if last.get(&id) != Some(&at) || is_constant(id) {
                    continue;
                }
                // What an operation reads twice, or makes for nobody, is dropped behind it.
                let reads = self.operations[*index].operation.inputs();
                match reads.filter(|read| read.id == tensor.id).count() {
                    1 => status.taken.push(tensor.id),
                    _ if drops.iter().any(|drop| drop.id == tensor.id) => {}
                    _ => drops.push((*tensor).clone()),
                }
            }
            self.operations[*index].operation.visit_mut(&mut status);
            self.operations[*index].drops = drops;
        }
        // Whoever takes a tensor over takes the last of it: what is read again is taken as it is.
        for (id, tensor) in &mut self.tensors {
            let taken_last = last.get(id).is_some_and(|at| {
                *at == steps.len() || matches!(steps[*at].action, Action::Get { .. })
            });
            tensor.status = match taken_last {
                true => TensorStatus::ReadWrite,
                false => TensorStatus::ReadOnly,
            };
        }
    }

    /// Flex with the constants, if there is an operation.
    pub fn interpreter(&self) -> Option<Interpreter> {
        if self.operations.is_empty() {
            return None;
        }
        let mut interpreter = TensorInterpreter::new(FlexDevice);
        for (id, constant) in &self.constants {
            interpreter.register_tensor_to_device(TensorId::new(*id as u64), constant.clone());
        }
        Some(Interpreter(interpreter))
    }

    pub fn give(&self, to: &mut Interpreter, id: Id, from: &Sources<'_>) -> Result<()> {
        let given = self
            .tensors
            .get(&id)
            .ok_or_else(|| unfit("an unknown tensor".into()))?;
        let shape = given.shape.clone();
        let data = match given.dtype {
            DType::F32 => TensorData::new(from.floats(0).to_vec(), shape),
            DType::I32 => TensorData::new(from.ints(0).to_vec(), shape),
            _ => truths(from.ints(0), shape),
        };
        to.0.register_tensor_data_id(given.id, data);
        Ok(())
    }

    pub fn operate(&self, on: &mut Interpreter, index: usize) -> Result<()> {
        let Operation { operation, drops } = &self.operations[index];
        guarded(|| {
            on.0.register_op(operation.clone());
            for tensor in drops {
                on.0.register_op(OperationIr::Drop(tensor.clone()));
            }
        })
    }

    /// Copies a tensor of burn's to where it is wanted.
    pub fn output(&self, from: &mut Interpreter, id: Id, to: &mut Target<'_>) -> Result<()> {
        let tensor = self
            .tensors
            .get(&id)
            .ok_or_else(|| unfit("an unknown tensor".into()))?;
        let data = guarded(|| match from.0.get_tensor(tensor) {
            HandleKind::Float(tensor) | HandleKind::Int(tensor) | HandleKind::Bool(tensor) => {
                Some(tensor.into_data())
            }
            HandleKind::Quantized(_) => None,
        })?;
        let data = data.ok_or_else(|| unfit("a quantised tensor".to_string()))?;
        let count = data.num_elements();
        match to {
            Target::Float(to) if to.len() == count => match data.as_slice::<f32>() {
                Ok(numbers) => to.copy_from_slice(numbers),
                Err(_) => to
                    .iter_mut()
                    .zip(data.iter::<f32>())
                    .for_each(|(to, x)| *to = x),
            },
            Target::Int(to) if to.len() == count => {
                to.iter_mut()
                    .zip(data.iter::<i32>())
                    .for_each(|(to, x)| *to = x);
            }
            Target::Float(to) => return Err(unfit(format!("{count} numbers, not {}", to.len()))),
            Target::Int(to) => return Err(unfit(format!("{count} numbers, not {}", to.len()))),
        }
        Ok(())
    }
}

/// Sets who owns what an operation reads.
#[derive(Default)]
struct Status {
    taken: Vec<TensorId>,
}

impl IrVisitorMut for Status {
    fn visit_tensor_mut(&mut self, tensor: &mut TensorIr) {
        tensor.status = match self.taken.contains(&tensor.id) {
            true => TensorStatus::ReadWrite,
            false => TensorStatus::ReadOnly,
        };
    }
}

fn fits(tensor: &TensorIr, graph: &Graph, id: Id) -> bool {
    let known = &graph.tensors[id];
    let kind = match tensor.dtype {
        DType::F32 => Some(Kind::Float),
        DType::I32 => Some(Kind::Int),
        DType::Bool(_) => Some(Kind::Bool),
        _ => None,
    };
    tensor.id.value() == id as u64
        && tensor.shape.iter().eq(known.shape.iter())
        && kind == Some(known.kind)
}

/// Truth values from 0 and 1.
fn truths(numbers: &[i32], shape: Shape) -> TensorData {
    let values: Vec<bool> = numbers.iter().map(|number| *number != 0).collect();
    TensorData::new(values, shape)
}

fn tensor(data: TensorData) -> FlexTensor {
    FlexTensor::from_data(data)
}

/// Burn's operations panic where they refuse something.
fn guarded<T>(call: impl FnOnce() -> T) -> Result<T> {
    caught(call).map_err(unfit)
}

fn unfit(reason: String) -> Error {
    Error::network(format!("an operation of burn's: {reason}"))
}
