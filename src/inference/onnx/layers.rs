//! Layers in ONNX's words.

use super::writer::{Writer, float, int, ints};
use crate::inference::graph::{After, Id, Node, Operation, Window};

impl Writer<'_> {
    /// What follows a product, and its name as a tensor of the graph.
    fn follow(&mut self, value: &str, node: &Node, after: After) {
        let mut value = value.to_string();
        if let Some(at) = after.residual_at() {
            let residual = self.name(node.inputs[at]);
            value = self.add("Add", &[&value, &residual], Vec::new());
        }
        let to = node.outputs[0];
        match after.most {
            Some(most) => {
                let least = if after.relu { 0.0 } else { f32::MIN };
                let [least, most] = [least, most].map(|bound| self.number(bound));
                self.make("Clip", &[&value, &least, &most], Vec::new(), to);
            }
            None if after.relu => self.make("Relu", &[&value], Vec::new(), to),
            None => self.rename(&value, to),
        }
    }

    pub fn conv(&mut self, node: &Node) {
        let (Operation::Conv {
            window,
            groups,
            after,
        }
        | Operation::ConvTranspose {
            window,
            groups,
            after,
        }) = node.operation
        else {
            return;
        };
        let [from, to] = [self.shape(node.inputs[0]), self.shape(node.outputs[0])];
        // Of the last axes that there are.
        let axes = from.len() - 2;
        let last = |numbers: [usize; 2]| numbers[2 - axes..].to_vec();
        let padding = last(window.padding);
        let mut attributes = vec![
            ints("kernel_shape", &last(window.kernel)),
            ints("strides", &last(window.stride)),
            ints("dilations", &last(window.dilation)),
            ints("pads", &[padding.clone(), padding.clone()].concat()),
            int("group", groups),
        ];
        let is_transposed = matches!(node.operation, Operation::ConvTranspose { .. });
        if is_transposed {
            let extra = (0..axes).map(|axis| {
                let at = 2 - axes + axis;
                let span = window.dilation[at] * (window.kernel[at] - 1) + 1;
                let whole = (from[2 + axis] - 1) * window.stride[at] + span;
                to[2 + axis] + 2 * window.padding[at] - whole
            });
            attributes.push(ints("output_padding", &extra.collect::<Vec<_>>()));
        }
        let inputs = 2 + usize::from(after.bias);
        let inputs: Vec<String> = node.inputs[..inputs]
            .iter()
            .map(|id| self.name(*id))
            .collect();
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let op = if is_transposed {
            "ConvTranspose"
        } else {
            "Conv"
        };
        let value = self.add(op, &inputs, attributes);
        self.follow(&value, node, after);
    }

    pub fn linear(&mut self, node: &Node, after: After) {
        let [x, weight] = [0, 1].map(|at| self.name(node.inputs[at]));
        let mut value = self.add("MatMul", &[&x, &weight], Vec::new());
        if after.bias {
            let bias = self.name(node.inputs[2]);
            value = self.add("Add", &[&value, &bias], Vec::new());
        }
        self.follow(&value, node, after);
    }

    pub fn matmul(&mut self, node: &Node) {
        let [a, b] = [0, 1].map(|at| self.name(node.inputs[at]));
        self.make("MatMul", &[&a, &b], Vec::new(), node.outputs[0]);
    }

    pub fn attention(&mut self, node: &Node, factor: f32, masked: bool) {
        let [q, k, v] = [0, 1, 2].map(|at| self.name(node.inputs[at]));
        let axes = self.shape(node.inputs[1]).len();
        let mut order: Vec<usize> = (0..axes).collect();
        order.swap(axes - 2, axes - 1);
        let turned = self.add("Transpose", &[&k], vec![ints("perm", &order)]);
        let scores = self.add("MatMul", &[&q, &turned], Vec::new());
        let factor = self.number(factor);
        let mut scores = self.add("Mul", &[&scores, &factor], Vec::new());
        if masked {
            let [by, plus] = [3, 4].map(|at| self.name(node.inputs[at]));
            scores = self.add("Mul", &[&scores, &by], Vec::new());
            scores = self.add("Add", &[&scores, &plus], Vec::new());
        }
        let axis = vec![int("axis", axes - 1)];
        let weights = self.add("Softmax", &[&scores], axis);
        self.make("MatMul", &[&weights, &v], Vec::new(), node.outputs[0]);
    }

    /// A constant of channels in a shape that is repeated over what lies behind them.
    fn per_channel(&mut self, id: Id, axes: usize) -> String {
        let channels = self.shape(id)[0];
        let mut shape = vec![1; axes - 1];
        shape[0] = channels;
        let shape = self.ints(&shape);
        let name = self.name(id);
        self.add("Reshape", &[&name, &shape], Vec::new())
    }

    pub fn channels(&mut self, node: &Node, relu: bool) {
        let x = self.name(node.inputs[0]);
        let axes = self.shape(node.inputs[0]).len();
        let [scale, shift] = [1, 2].map(|at| self.per_channel(node.inputs[at], axes));
        let value = self.add("Mul", &[&x, &scale], Vec::new());
        let value = self.add("Add", &[&value, &shift], Vec::new());
        let after = After {
            relu,
            ..After::default()
        };
        self.follow(&value, node, after);
    }

    pub fn layer_norm(&mut self, node: &Node, epsilon: f32, centred: bool) {
        let [x, gamma, beta] = [0, 1, 2].map(|at| self.name(node.inputs[at]));
        let last = self.shape(node.inputs[0]).len() - 1;
        if centred {
            let attributes = vec![int("axis", last), float("epsilon", epsilon)];
            let inputs = [x.as_str(), &gamma, &beta];
            return self.make("LayerNormalization", &inputs, attributes, node.outputs[0]);
        }
        let square = self.add("Mul", &[&x, &x], Vec::new());
        let axes = self.ints(&[last]);
        let mean = self.add("ReduceMean", &[&square, &axes], vec![int("keepdims", 1)]);
        let epsilon = self.number(epsilon);
        let mean = self.add("Add", &[&mean, &epsilon], Vec::new());
        let deviation = self.add("Sqrt", &[&mean], Vec::new());
        let value = self.add("Div", &[&x, &deviation], Vec::new());
        let value = self.add("Mul", &[&value, &gamma], Vec::new());
        self.make("Add", &[&value, &beta], Vec::new(), node.outputs[0]);
    }

    /// By the norm of instances, of groups that are made channels; ONNX's own group norm changed
    /// its meaning.
    pub fn group_norm(&mut self, node: &Node, epsilon: f32, groups: usize) {
        let shape = self.shape(node.inputs[0]);
        let x = self.name(node.inputs[0]);
        let size = shape[1..].iter().product::<usize>() / groups;
        let grouped = self.ints(&[shape[0], groups, size]);
        let value = self.add("Reshape", &[&x, &grouped], Vec::new());
        let [ones, zeros] = [1.0, 0.0].map(|number| {
            let number = self.number(number);
            let count = self.ints(&[groups]);
            self.add("Expand", &[&number, &count], Vec::new())
        });
        let attributes = vec![float("epsilon", epsilon)];
        let value = self.add(
            "InstanceNormalization",
            &[&value, &ones, &zeros],
            attributes,
        );
        let shape_name = self.ints(shape);
        let value = self.add("Reshape", &[&value, &shape_name], Vec::new());
        let [gamma, beta] = [1, 2].map(|at| self.per_channel(node.inputs[at], shape.len()));
        let value = self.add("Mul", &[&value, &gamma], Vec::new());
        self.make("Add", &[&value, &beta], Vec::new(), node.outputs[0]);
    }

    /// Of means if `counts_padding` says what counts.
    pub fn pool(&mut self, node: &Node, window: Window, counts_padding: Option<bool>) {
        let [from, to] = [self.shape(node.inputs[0]), self.shape(node.outputs[0])];
        let axes = from.len() - 2;
        let last = |numbers: [usize; 2]| numbers[2 - axes..].to_vec();
        let before = last(window.padding);
        let behind = (0..axes).map(|axis| {
            let at = 2 - axes + axis;
            let whole = (to[2 + axis] - 1) * window.stride[at] + window.kernel[at];
            whole.saturating_sub(from[2 + axis] + window.padding[at])
        });
        let pads = [before, behind.collect()].concat();
        let mut attributes = vec![
            ints("kernel_shape", &last(window.kernel)),
            ints("strides", &last(window.stride)),
            ints("pads", &pads),
        ];
        let op = match counts_padding {
            None => "MaxPool",
            Some(counts) => {
                attributes.push(int("count_include_pad", usize::from(counts)));
                "AveragePool"
            }
        };
        let x = self.name(node.inputs[0]);
        self.make(op, &[&x], attributes, node.outputs[0]);
    }
}
