//! Functions of numbers in ONNX's words.

use super::writer::{Writer, float};
use crate::inference::graph::Node;
use crate::kernels::elementwise::{Binary, Instruction, Unary};

impl Writer<'_> {
    pub fn broadcast(&mut self, node: &Node, function: Binary) {
        let [a, b] = [0, 1].map(|at| self.name(node.inputs[at]));
        self.make(binary(function), &[&a, &b], Vec::new(), node.outputs[0]);
    }

    pub fn program(&mut self, node: &Node, program: &[Instruction]) {
        let mut values: Vec<String> = node.inputs.iter().map(|id| self.name(*id)).collect();
        for instruction in program {
            let value = match *instruction {
                Instruction::Unary(function, a) => self.unary(function, &values[a].clone()),
                Instruction::Binary(function, a, b) => {
                    let [a, b] = [values[a].clone(), values[b].clone()];
                    self.add(binary(function), &[&a, &b], Vec::new())
                }
            };
            values.push(value);
        }
        if let Some(last) = values.last().cloned() {
            self.rename(&last, node.outputs[0]);
        }
    }

    fn with_number(&mut self, op: &str, x: &str, number: f32) -> String {
        let number = self.number(number);
        self.add(op, &[x, &number], Vec::new())
    }

    fn unary(&mut self, function: Unary, x: &str) -> String {
        let simple = match function {
            Unary::Relu => "Relu",
            Unary::Sigmoid => "Sigmoid",
            Unary::Tanh => "Tanh",
            Unary::Erf => "Erf",
            Unary::Exp => "Exp",
            Unary::Log => "Log",
            Unary::Sqrt => "Sqrt",
            Unary::Reciprocal => "Reciprocal",
            Unary::Absolute => "Abs",
            Unary::HardSigmoid { alpha, beta } => {
                let attributes = vec![float("alpha", alpha), float("beta", beta)];
                return self.add("HardSigmoid", &[x], attributes);
            }
            Unary::LeakyRelu { slope } => {
                return self.add("LeakyRelu", &[x], vec![float("alpha", slope)]);
            }
            Unary::Affine { factor, summand } => {
                let mut value = x.to_string();
                if factor != 1.0 {
                    value = self.with_number("Mul", &value, factor);
                }
                if summand != 0.0 || factor == 1.0 {
                    value = self.with_number("Add", &value, summand);
                }
                return value;
            }
            Unary::Clamp { least, most } => {
                let least = self.number(least.unwrap_or(f32::MIN));
                let most = self.number(most.unwrap_or(f32::MAX));
                return self.add("Clip", &[x, &least, &most], Vec::new());
            }
            Unary::Power { exponent } => return self.with_number("Pow", x, exponent),
            // Opset 18 has no GELU yet.
            Unary::Gelu => {
                let scaled = self.with_number("Div", x, std::f32::consts::SQRT_2);
                let value = self.add("Erf", &[&scaled], Vec::new());
                let value = self.with_number("Add", &value, 1.0);
                let value = self.add("Mul", &[x, &value], Vec::new());
                return self.with_number("Mul", &value, 0.5);
            }
        };
        self.add(simple, &[x], Vec::new())
    }
}

fn binary(function: Binary) -> &'static str {
    match function {
        Binary::Add => "Add",
        Binary::Subtract => "Sub",
        Binary::Multiply => "Mul",
        Binary::Divide => "Div",
    }
}
