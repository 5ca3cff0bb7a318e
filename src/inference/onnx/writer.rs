//! A graph of ONNX's, put together node by node.

use super::proto::{self, Attribute, Dimension, Shape, TensorType, Type, Value};
use super::{data_type, raw};
use crate::inference::graph::{Graph, Id, Node, Operation};

pub(super) struct Writer<'g> {
    pub graph: &'g Graph,
    nodes: Vec<proto::Node>,
    constants: Vec<proto::Tensor>,
    /// Number of names that are no tensors of the graph.
    names: usize,
}

/// An attribute of a node.
pub(super) fn int(name: &str, value: usize) -> Attribute {
    Attribute {
        name: name.to_string(),
        i: value as i64,
        kind: 2,
        ..Attribute::default()
    }
}

pub(super) fn float(name: &str, value: f32) -> Attribute {
    Attribute {
        name: name.to_string(),
        f: value,
        kind: 1,
        ..Attribute::default()
    }
}

pub(super) fn ints(name: &str, values: &[usize]) -> Attribute {
    Attribute {
        name: name.to_string(),
        ints: values.iter().map(|value| *value as i64).collect(),
        kind: 7,
        ..Attribute::default()
    }
}

impl<'g> Writer<'g> {
    pub fn new(graph: &'g Graph) -> Self {
        let mut writer = Self {
            graph,
            nodes: Vec::new(),
            constants: Vec::new(),
            names: 0,
        };
        for (&id, constant) in &graph.constants {
            let tensor = &graph.tensors[id];
            writer.constants.push(proto::Tensor {
                dims: dims(&tensor.shape),
                data_type: data_type(tensor.kind),
                name: writer.name(id),
                raw_data: raw(&constant.data, tensor.kind),
            });
        }
        writer
    }

    /// A tensor's name: of a parameter with its path.
    pub fn name(&self, id: Id) -> String {
        match self.graph.path(id) {
            Some(path) => format!("{path}:{id}"),
            None => format!("t{id}"),
        }
    }

    pub fn shape(&self, id: Id) -> &'g [usize] {
        self.graph.shape(id)
    }

    fn new_name(&mut self) -> String {
        self.names += 1;
        format!("between{}", self.names)
    }

    fn constant(&mut self, dims: Vec<i64>, data_type: i32, raw_data: Vec<u8>) -> String {
        let name = self.new_name();
        self.constants.push(proto::Tensor {
            dims,
            data_type,
            name: name.clone(),
            raw_data,
        });
        name
    }

    /// A constant of one axis of whole numbers.
    pub fn ints(&mut self, values: &[usize]) -> String {
        let bytes = values
            .iter()
            .flat_map(|value| (*value as i64).to_le_bytes());
        self.constant(vec![values.len() as i64], 7, bytes.collect())
    }

    /// A constant of one number.
    pub fn number(&mut self, value: f32) -> String {
        self.constant(Vec::new(), 1, value.to_le_bytes().to_vec())
    }

    /// Adds a node with a new output, and returns its name.
    pub fn add(&mut self, op: &str, input: &[&str], attribute: Vec<Attribute>) -> String {
        let output = self.new_name();
        self.add_to(op, input, attribute, output.clone());
        output
    }

    /// Adds a node that makes a tensor of the graph.
    pub fn make(&mut self, op: &str, input: &[&str], attribute: Vec<Attribute>, id: Id) {
        let output = self.name(id);
        self.add_to(op, input, attribute, output);
    }

    fn add_to(&mut self, op: &str, input: &[&str], attribute: Vec<Attribute>, output: String) {
        let node = proto::Node {
            input: input.iter().map(|name| name.to_string()).collect(),
            name: format!("{op}_{}", self.nodes.len()),
            op_type: op.to_string(),
            output: vec![output],
            attribute,
        };
        self.nodes.push(node);
    }

    /// Names a value as a tensor of the graph.
    pub fn rename(&mut self, value: &str, id: Id) {
        self.make("Identity", &[value], Vec::new(), id);
    }

    /// Adds an operation, or returns the name of one that ONNX has no words for here.
    pub fn node(&mut self, node: &Node) -> std::result::Result<(), String> {
        match &node.operation {
            Operation::Conv { .. } | Operation::ConvTranspose { .. } => self.conv(node),
            Operation::Linear { after } => self.linear(node, *after),
            Operation::MatMul => self.matmul(node),
            Operation::Attention { factor, masked } => self.attention(node, *factor, *masked),
            Operation::Map(program) => self.program(node, program),
            Operation::Broadcast(function) => self.broadcast(node, *function),
            Operation::Channels { relu } => self.channels(node, *relu),
            Operation::LayerNorm { epsilon, centred } => {
                self.layer_norm(node, *epsilon, *centred);
            }
            Operation::GroupNorm { epsilon, groups } => self.group_norm(node, *epsilon, *groups),
            Operation::Softmax { axis, logarithm } => {
                let op = if *logarithm { "LogSoftmax" } else { "Softmax" };
                self.simple(op, node, vec![int("axis", *axis)]);
            }
            Operation::MaxPool { window } => self.pool(node, *window, None),
            Operation::AveragePool {
                window,
                counts_padding,
            } => self.pool(node, *window, Some(*counts_padding)),
            Operation::Reduce { axes, mean } => self.reduce(node, axes, *mean),
            Operation::Reshape => self.reshape(node),
            Operation::Permute { order } => {
                self.simple("Transpose", node, vec![ints("perm", order)]);
            }
            Operation::Slice { starts, steps } => self.slice(node, starts, steps),
            Operation::Expand => self.expand(node),
            Operation::Concat { axis } => self.simple("Concat", node, vec![int("axis", *axis)]),
            Operation::Pad { before, value } => self.pad(node, before, *value),
            Operation::Embedding => self.simple("Gather", node, vec![int("axis", 0)]),
            Operation::Assign { starts, steps } => self.assign(node, starts, steps),
            Operation::BatchNorm { .. } | Operation::Burn(_) => return Err(node.operation.name()),
        }
        Ok(())
    }

    /// A node of the same inputs and output.
    fn simple(&mut self, op: &str, node: &Node, attribute: Vec<Attribute>) {
        let inputs: Vec<String> = node.inputs.iter().map(|id| self.name(*id)).collect();
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        self.make(op, &inputs, attribute, node.outputs[0]);
    }

    pub fn finish(mut self) -> proto::Graph {
        let graph = self.graph;
        let mut output = Vec::new();
        for &id in &graph.outputs {
            // An output may be an input, a constant, or there twice: each gets a name of its own.
            let name = format!("output{}", output.len());
            let from = self.name(id);
            self.add_to("Identity", &[&from], Vec::new(), name.clone());
            output.push(value(graph, id, name));
        }
        let inputs = graph.inputs.iter();
        let input = inputs.map(|id| value(graph, *id, self.name(*id))).collect();
        proto::Graph {
            node: self.nodes,
            name: "network".to_string(),
            initializer: self.constants,
            input,
            output,
        }
    }
}

fn dims(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|size| *size as i64).collect()
}

fn value(graph: &Graph, id: Id, name: String) -> Value {
    let tensor = &graph.tensors[id];
    let dim = tensor.shape.iter().map(|size| Dimension {
        dim_value: *size as i64,
    });
    let shape = Some(Shape { dim: dim.collect() });
    let tensor = Some(TensorType {
        elem_type: data_type(tensor.kind),
        shape,
    });
    Value {
        name,
        kind: Some(Type { tensor }),
    }
}
