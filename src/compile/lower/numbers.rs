//! Functions of single numbers and of pairs, sums and softmax.

use burn_ir::{
    ActivationOperationIr, BinaryOpIr, FloatOperationIr, NumericOperationIr, ReduceDimOpIr,
    ScalarOpIr, TensorIr, UnaryOpIr,
};

use super::{Lowering, float};
use crate::inference::graph::{After, Operation};
use crate::kernels::elementwise::{Binary, Instruction, Unary};

impl Lowering<'_> {
    fn unary(&mut self, function: Unary, input: &TensorIr, out: &TensorIr) -> Option<()> {
        let program = vec![Instruction::Unary(function, 0)];
        self.push(Operation::Map(program), &[input], out)
    }

    fn plain(&mut self, function: Unary, operation: &UnaryOpIr) -> Option<()> {
        self.unary(function, &operation.input, &operation.out)
    }

    fn affine(&mut self, operation: &ScalarOpIr, factor: f32, summand: f32) -> Option<()> {
        let function = Unary::Affine { factor, summand };
        self.unary(function, &operation.lhs, &operation.out)
    }

    fn pair(&mut self, function: Binary, operation: &BinaryOpIr) -> Option<()> {
        let inputs = [&operation.lhs, &operation.rhs];
        self.push(Operation::Broadcast(function), &inputs, &operation.out)
    }

    fn reduced(&mut self, operation: &ReduceDimOpIr, mean: bool) -> Option<()> {
        let axes = vec![operation.axis];
        let reduce = Operation::Reduce { axes, mean };
        self.push(reduce, &[&operation.input], &operation.out)
    }

    pub(super) fn numeric(&mut self, operation: &NumericOperationIr) -> Option<()> {
        match operation {
            NumericOperationIr::Add(pair) => self.pair(Binary::Add, pair),
            NumericOperationIr::Sub(pair) => self.pair(Binary::Subtract, pair),
            NumericOperationIr::Mul(pair) => self.pair(Binary::Multiply, pair),
            NumericOperationIr::Div(pair) => self.pair(Binary::Divide, pair),
            NumericOperationIr::AddScalar(with) => self.affine(with, 1.0, float(&with.rhs)),
            NumericOperationIr::SubScalar(with) => self.affine(with, 1.0, -float(&with.rhs)),
            NumericOperationIr::MulScalar(with) => self.affine(with, float(&with.rhs), 0.0),
            NumericOperationIr::DivScalar(with) => self.affine(with, 1.0 / float(&with.rhs), 0.0),
            NumericOperationIr::Abs(unary) => self.plain(Unary::Absolute, unary),
            NumericOperationIr::Neg(unary) => {
                let function = Unary::Affine {
                    factor: -1.0,
                    summand: 0.0,
                };
                self.plain(function, unary)
            }
            NumericOperationIr::PowiScalar(with) => {
                let exponent = float(&with.rhs);
                let function = Unary::Power { exponent };
                self.unary(function, &with.lhs, &with.out)
            }
            NumericOperationIr::Clamp(clamp) => {
                let function = Unary::Clamp {
                    least: finite(float(&clamp.min)),
                    most: finite(float(&clamp.max)),
                };
                self.unary(function, &clamp.tensor, &clamp.out)
            }
            NumericOperationIr::ClampMin(with) => {
                let function = Unary::Clamp {
                    least: finite(float(&with.rhs)),
                    most: None,
                };
                self.unary(function, &with.lhs, &with.out)
            }
            NumericOperationIr::ClampMax(with) => {
                let function = Unary::Clamp {
                    least: None,
                    most: finite(float(&with.rhs)),
                };
                self.unary(function, &with.lhs, &with.out)
            }
            NumericOperationIr::MeanDim(reduce) => self.reduced(reduce, true),
            NumericOperationIr::SumDim(reduce) => self.reduced(reduce, false),
            NumericOperationIr::SumDims(reduce) => {
                let axes = reduce.axes.clone();
                let sum = Operation::Reduce { axes, mean: false };
                self.push(sum, &[&reduce.input], &reduce.out)
            }
            NumericOperationIr::Pad(pad) => self.pad(pad),
            _ => None,
        }
    }

    pub(super) fn float(&mut self, operation: &FloatOperationIr) -> Option<()> {
        match operation {
            FloatOperationIr::Exp(unary) => self.plain(Unary::Exp, unary),
            FloatOperationIr::Log(unary) => self.plain(Unary::Log, unary),
            FloatOperationIr::Erf(unary) => self.plain(Unary::Erf, unary),
            FloatOperationIr::Sqrt(unary) => self.plain(Unary::Sqrt, unary),
            FloatOperationIr::Tanh(unary) => self.plain(Unary::Tanh, unary),
            FloatOperationIr::Recip(unary) => self.plain(Unary::Reciprocal, unary),
            FloatOperationIr::PowfScalar(with) => {
                let exponent = float(&with.rhs);
                let function = Unary::Power { exponent };
                self.unary(function, &with.lhs, &with.out)
            }
            FloatOperationIr::Matmul(product) => {
                let weight = &product.rhs.shape;
                let (before, matrix) = weight.split_at(weight.len().saturating_sub(2));
                let is_linear =
                    self.is_constant(&product.rhs) && before.iter().all(|size| *size == 1);
                if !is_linear {
                    return self.push(
                        Operation::MatMul,
                        &[&product.lhs, &product.rhs],
                        &product.out,
                    );
                }
                let (matrix, weight) = (matrix.to_vec(), self.known(&product.rhs)?);
                let inputs = [&product.lhs, &product.rhs];
                let linear = Operation::Linear {
                    after: After::default(),
                };
                self.push(linear, &inputs, &product.out)?;
                if !before.is_empty() {
                    let weight = self.reshaped(weight, &matrix);
                    self.graph.nodes.last_mut()?.inputs[1] = weight;
                }
                Some(())
            }
            _ => None,
        }
    }

    pub(super) fn activation(&mut self, operation: &ActivationOperationIr) -> Option<()> {
        match operation {
            ActivationOperationIr::Relu(unary) => self.plain(Unary::Relu, unary),
            ActivationOperationIr::Gelu(unary) => self.plain(Unary::Gelu, unary),
            ActivationOperationIr::Sigmoid(unary) => self.plain(Unary::Sigmoid, unary),
            ActivationOperationIr::LeakyRelu(with) => {
                let slope = float(&with.rhs);
                self.unary(Unary::LeakyRelu { slope }, &with.lhs, &with.out)
            }
            ActivationOperationIr::HardSigmoid(hard) => {
                let function = Unary::HardSigmoid {
                    alpha: float(&hard.alpha),
                    beta: float(&hard.beta),
                };
                self.unary(function, &hard.tensor, &hard.out)
            }
            ActivationOperationIr::Softmax(softmax) => {
                let operation = Operation::Softmax {
                    axis: softmax.axis,
                    logarithm: false,
                };
                self.push(operation, &[&softmax.input], &softmax.out)
            }
            ActivationOperationIr::LogSoftmax(softmax) => {
                let operation = Operation::Softmax {
                    axis: softmax.axis,
                    logarithm: true,
                };
                self.push(operation, &[&softmax.input], &softmax.out)
            }
            _ => None,
        }
    }
}

/// A bound that bounds something.
fn finite(bound: f32) -> Option<f32> {
    bound.is_finite().then_some(bound)
}
