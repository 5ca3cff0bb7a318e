//! Moves of numbers and sums in ONNX's words.

use super::writer::{Writer, int};
use crate::inference::graph::Node;
use crate::kernels::strided::Axes;

impl Writer<'_> {
    pub fn reshape(&mut self, node: &Node) {
        let x = self.name(node.inputs[0]);
        let shape = self.ints(self.shape(node.outputs[0]));
        self.make("Reshape", &[&x, &shape], Vec::new(), node.outputs[0]);
    }

    pub fn expand(&mut self, node: &Node) {
        let x = self.name(node.inputs[0]);
        let shape = self.ints(self.shape(node.outputs[0]));
        self.make("Expand", &[&x, &shape], Vec::new(), node.outputs[0]);
    }

    pub fn slice(&mut self, node: &Node, starts: &[usize], steps: &[usize]) {
        let x = self.name(node.inputs[0]);
        let to = self.shape(node.outputs[0]);
        let axes: Vec<usize> = (0..to.len()).collect();
        let ends = axes
            .iter()
            .map(|axis| starts[*axis] + (to[*axis] - 1) * steps[*axis] + 1);
        let ends: Vec<usize> = ends.collect();
        let [starts, ends, axes, steps] =
            [starts, &ends, &axes, steps].map(|numbers| self.ints(numbers));
        let inputs = [x.as_str(), &starts, &ends, &axes, &steps];
        self.make("Slice", &inputs, Vec::new(), node.outputs[0]);
    }

    pub fn pad(&mut self, node: &Node, before: &[usize], value: f32) {
        let x = self.name(node.inputs[0]);
        let [from, to] = [self.shape(node.inputs[0]), self.shape(node.outputs[0])];
        let behind = (0..to.len()).map(|axis| to[axis] - from[axis] - before[axis]);
        let pads = [before.to_vec(), behind.collect()].concat();
        let pads = self.ints(&pads);
        let value = self.number(value);
        self.make("Pad", &[&x, &pads, &value], Vec::new(), node.outputs[0]);
    }

    /// Every element by its place.
    pub fn assign(&mut self, node: &Node, starts: &[usize], steps: &[usize]) {
        let [x, part] = [0, 1].map(|at| self.name(node.inputs[at]));
        let size = self.shape(node.inputs[1]);
        let (axes, mut places) = (size.len(), Vec::new());
        let strides: Vec<usize> = (0..axes)
            .map(|axis| size[axis + 1..].iter().product())
            .collect();
        Axes::new(size, [&strides]).each(|[at]| {
            for axis in 0..axes {
                let index = at / strides[axis] % size[axis];
                places.push(starts[axis] + index * steps[axis]);
            }
        });
        let places = self.ints(&places);
        let shape = self.ints(&[size, &[axes]].concat());
        let places = self.add("Reshape", &[&places, &shape], Vec::new());
        self.make(
            "ScatterND",
            &[&x, &places, &part],
            Vec::new(),
            node.outputs[0],
        );
    }

    pub fn reduce(&mut self, node: &Node, axes: &[usize], mean: bool) {
        let x = self.name(node.inputs[0]);
        let axes = self.ints(axes);
        let op = if mean { "ReduceMean" } else { "ReduceSum" };
        self.make(op, &[&x, &axes], vec![int("keepdims", 1)], node.outputs[0]);
    }
}
