//! A network as data: operations on numbered tensors, in an order in which they can be done.
//!
//! Shapes are constants and have the batch axis in front, of size 1 where the network works image
//! by image. Nothing here knows burn: a graph is what a file holds.

mod index;
mod operation;
pub(crate) mod shapes;
pub(crate) mod work;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(crate) use index::Index;
pub(crate) use operation::{After, Operation, Window};

/// The number of a tensor.
pub(crate) type Id = usize;

/// What a tensor holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// `f32`.
    Float,
    /// `i32`.
    Int,
    /// Truth values, as `i32` of 0 and 1 outside of the network.
    Bool,
}

/// A tensor: an input, a constant, or what an operation makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tensor {
    pub shape: Vec<usize>,
    pub kind: Kind,
}

impl Tensor {
    pub fn float(shape: &[usize]) -> Self {
        Self {
            shape: shape.to_vec(),
            kind: Kind::Float,
        }
    }

    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }
}

/// The numbers of a constant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    Float(Vec<f32>),
    /// Whole numbers, or truth values as 0 and 1.
    Int(Vec<i32>),
}

impl Data {
    pub fn len(&self) -> usize {
        match self {
            Self::Float(numbers) => numbers.len(),
            Self::Int(numbers) => numbers.len(),
        }
    }
}

/// A tensor whose numbers are known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Constant {
    pub data: Arc<Data>,
    /// The parameter that it is, in whatever shape, by its path in the module.
    pub path: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Node {
    pub operation: Operation,
    pub inputs: Vec<Id>,
    pub outputs: Vec<Id>,
}

/// A network.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Graph {
    pub tensors: Vec<Tensor>,
    pub constants: BTreeMap<Id, Constant>,
    pub inputs: Vec<Id>,
    pub outputs: Vec<Id>,
    pub nodes: Vec<Node>,
    /// Paths of weights that are gone from the constants, because a kernel has them.
    pub taken: BTreeMap<Id, String>,
    /// Whether it is of one image and can be run for each of any number.
    pub is_each: bool,
}

impl Graph {
    pub fn add(&mut self, tensor: Tensor) -> Id {
        self.tensors.push(tensor);
        self.tensors.len() - 1
    }

    pub fn constant(&mut self, shape: &[usize], numbers: Vec<f32>, path: Option<String>) -> Id {
        let id = self.add(Tensor::float(shape));
        let data = Arc::new(Data::Float(numbers));
        self.constants.insert(id, Constant { data, path });
        id
    }

    /// An operation of one output.
    pub fn push(&mut self, operation: Operation, inputs: Vec<Id>, output: Tensor) -> Id {
        let output = self.add(output);
        self.nodes.push(Node {
            operation,
            inputs,
            outputs: vec![output],
        });
        output
    }

    pub fn shape(&self, id: Id) -> &[usize] {
        &self.tensors[id].shape
    }

    /// The numbers of a constant of floats.
    pub fn floats(&self, id: Id) -> Option<&[f32]> {
        match &*self.constants.get(&id)?.data {
            Data::Float(numbers) => Some(numbers),
            Data::Int(_) => None,
        }
    }

    pub fn path(&self, id: Id) -> Option<&str> {
        self.constants.get(&id)?.path.as_deref()
    }

    /// The path of a weight, also of one that a kernel has taken over.
    pub fn weight_path(&self, id: Id) -> Option<&str> {
        self.path(id)
            .or_else(|| self.taken.get(&id).map(String::as_str))
    }

    /// Gives a constant away; its path stays.
    pub fn take(&mut self, id: Id) {
        if let Some(Constant {
            path: Some(path), ..
        }) = self.constants.remove(&id)
        {
            self.taken.insert(id, path);
        }
    }

    /// Leaves out operations and constants that no output depends on.
    pub fn prune(&mut self) {
        let mut needed = vec![false; self.tensors.len()];
        for id in &self.outputs {
            needed[*id] = true;
        }
        let mut kept = Vec::new();
        for node in std::mem::take(&mut self.nodes).into_iter().rev() {
            if node.outputs.iter().any(|id| needed[*id]) {
                node.inputs.iter().for_each(|id| needed[*id] = true);
                kept.push(node);
            }
        }
        kept.reverse();
        self.nodes = kept;
        self.constants.retain(|id, _| needed[*id]);
    }

    /// Checks that everything is there before it is used, and that shapes are what the operations
    /// make.
    pub fn check(&self) -> std::result::Result<(), String> {
        let mut known = vec![false; self.tensors.len()];
        for (id, tensor) in self.tensors.iter().enumerate() {
            let sizes = tensor.shape.iter().copied();
            let count = sizes.fold(1usize, usize::saturating_mul);
            if count > MOST || tensor.shape.len() > AXES {
                return Err(format!("tensor {id} is too large: {tensor:?}"));
            }
        }
        self.inputs
            .iter()
            .try_for_each(|id| know(&mut known, *id))?;
        for (&id, constant) in &self.constants {
            know(&mut known, id)?;
            let (tensor, data) = (&self.tensors[id], &constant.data);
            let is_float = matches!(**data, Data::Float(_));
            if (tensor.kind == Kind::Float, tensor.count()) != (is_float, data.len()) {
                let count = data.len();
                return Err(format!("constant {id} has {count} numbers for {tensor:?}"));
            }
        }
        let is_known = |known: &[bool], id: &Id| known.get(*id).copied().unwrap_or(false);
        for (at, node) in self.nodes.iter().enumerate() {
            if let Some(id) = node.inputs.iter().find(|id| !is_known(&known, id)) {
                return Err(format!(
                    "operation {at} reads tensor {id}, which is not there"
                ));
            }
            node.outputs
                .iter()
                .try_for_each(|id| know(&mut known, *id))?;
            shapes::check(self, node).map_err(|reason| format!("operation {at}: {reason}"))?;
        }
        match self.outputs.iter().find(|id| !is_known(&known, id)) {
            Some(id) => Err(format!("nothing makes output {id}")),
            None => Ok(()),
        }
    }
}

fn know(known: &mut [bool], id: Id) -> std::result::Result<(), String> {
    match known.get_mut(id) {
        Some(known) if !*known => {
            *known = true;
            Ok(())
        }
        Some(_) => Err(format!("tensor {id} is made twice")),
        None => Err(format!("there is no tensor {id}")),
    }
}

/// The most numbers of a tensor.
const MOST: usize = 1 << 31;
/// The most axes of a tensor.
const AXES: usize = 16;
