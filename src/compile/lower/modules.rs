//! Layers that burn records as one operation.

use burn_ir::{Conv1dOpIr, Conv2dOpIr, LayerNormOpIr, ModuleOperationIr, TensorIr};

use super::{Lowering, float};
use crate::inference::graph::{After, Id, Operation, Tensor, Window};

impl Lowering<'_> {
    pub(super) fn module(&mut self, operation: &ModuleOperationIr) -> Option<()> {
        match operation {
            ModuleOperationIr::Conv1d(conv) => self.conv_1d(conv),
            ModuleOperationIr::Conv2d(conv) => self.conv_2d(conv),
            ModuleOperationIr::ConvTranspose1d(conv) => {
                let options = &conv.options;
                let window = Window {
                    kernel: [1, conv.weight.shape[2]],
                    stride: [1, options.stride[0]],
                    padding: [0, options.padding[0]],
                    dilation: [1, options.dilation[0]],
                };
                let tensors = [&conv.x, &conv.weight];
                self.transposed(window, options.groups, tensors, &conv.bias, &conv.out)
            }
            ModuleOperationIr::ConvTranspose2d(conv) => {
                let options = &conv.options;
                let window = Window {
                    kernel: [conv.weight.shape[2], conv.weight.shape[3]],
                    stride: options.stride,
                    padding: options.padding,
                    dilation: options.dilation,
                };
                let tensors = [&conv.x, &conv.weight];
                self.transposed(window, options.groups, tensors, &conv.bias, &conv.out)
            }
            ModuleOperationIr::Linear(linear) => {
                let is_weight = linear.weight.shape.len() == 2;
                let constants = [&linear.weight].into_iter().chain(&linear.bias);
                if !is_weight || !constants.into_iter().all(|tensor| self.is_constant(tensor)) {
                    return None;
                }
                let after = After {
                    bias: linear.bias.is_some(),
                    ..After::default()
                };
                let inputs: Vec<&TensorIr> = [&linear.x, &linear.weight]
                    .into_iter()
                    .chain(&linear.bias)
                    .collect();
                self.push(Operation::Linear { after }, &inputs, &linear.out)
            }
            ModuleOperationIr::BatchNorm(norm) => {
                let factors = [&norm.gamma, &norm.beta, &norm.mean, &norm.variance];
                if !factors.iter().all(|tensor| self.is_constant(tensor)) {
                    return None;
                }
                let [gamma, beta, mean, variance] = factors;
                let epsilon = norm.epsilon.elem();
                let inputs = [&norm.x, gamma, beta, mean, variance];
                self.push(Operation::BatchNorm { epsilon }, &inputs, &norm.out)
            }
            ModuleOperationIr::LayerNorm(norm) => self.layer_norm(norm),
            ModuleOperationIr::Embedding(embedding) => {
                self.embedding(&embedding.weights, &embedding.indices, &embedding.out)
            }
            _ => self.pool(operation),
        }
    }

    fn conv_1d(&mut self, conv: &Conv1dOpIr) -> Option<()> {
        let options = &conv.options;
        let window = Window {
            kernel: [1, conv.weight.shape[2]],
            stride: [1, options.stride[0]],
            padding: [0, 0],
            dilation: [1, options.dilation[0]],
        };
        let padding = [(0, 0), options.padding[0]];
        let tensors = [&conv.x, &conv.weight];
        self.conv(
            window,
            padding,
            options.groups,
            tensors,
            &conv.bias,
            &conv.out,
        )
    }

    fn conv_2d(&mut self, conv: &Conv2dOpIr) -> Option<()> {
        let options = &conv.options;
        let window = Window {
            kernel: [conv.weight.shape[2], conv.weight.shape[3]],
            stride: options.stride,
            padding: [0, 0],
            dilation: options.dilation,
        };
        let tensors = [&conv.x, &conv.weight];
        self.conv(
            window,
            options.padding,
            options.groups,
            tensors,
            &conv.bias,
            &conv.out,
        )
    }

    /// A convolution; padding that differs between sides becomes a step of its own.
    fn conv(
        &mut self,
        mut window: Window,
        padding: [(usize, usize); 2],
        groups: usize,
        [x, weight]: [&TensorIr; 2],
        bias: &Option<TensorIr>,
        out: &TensorIr,
    ) -> Option<()> {
        if ![weight]
            .into_iter()
            .chain(bias)
            .all(|tensor| self.is_constant(tensor))
        {
            return None;
        }
        let mut input = self.known(x)?;
        match padding.iter().all(|(before, behind)| before == behind) {
            true => window.padding = padding.map(|(before, _)| before),
            false => input = self.padded(input, padding),
        }
        let after = After {
            bias: bias.is_some(),
            ..After::default()
        };
        let operation = Operation::Conv {
            window,
            groups,
            after,
        };
        let inputs: Vec<&TensorIr> = [x, weight].into_iter().chain(bias).collect();
        self.push(operation, &inputs, out)?;
        self.graph.nodes.last_mut()?.inputs[0] = input;
        Some(())
    }

    /// An input with zeros around its last axes.
    fn padded(&mut self, id: Id, padding: [(usize, usize); 2]) -> Id {
        let mut shape = self.graph.shape(id).to_vec();
        let mut before = vec![0; shape.len()];
        for (axis, (left, right)) in (0..shape.len()).rev().zip(padding.into_iter().rev()) {
            if axis > 1 {
                before[axis] = left;
                shape[axis] += left + right;
            }
        }
        let pad = Operation::Pad { before, value: 0.0 };
        self.graph.push(pad, vec![id], Tensor::float(&shape))
    }

    fn transposed(
        &mut self,
        window: Window,
        groups: usize,
        [x, weight]: [&TensorIr; 2],
        bias: &Option<TensorIr>,
        out: &TensorIr,
    ) -> Option<()> {
        if ![weight]
            .into_iter()
            .chain(bias)
            .all(|tensor| self.is_constant(tensor))
        {
            return None;
        }
        let after = After {
            bias: bias.is_some(),
            ..After::default()
        };
        let operation = Operation::ConvTranspose {
            window,
            groups,
            after,
        };
        let inputs: Vec<&TensorIr> = [x, weight].into_iter().chain(bias).collect();
        self.push(operation, &inputs, out)
    }

    fn layer_norm(&mut self, norm: &LayerNormOpIr) -> Option<()> {
        let constants = [&norm.gamma].into_iter().chain(&norm.beta);
        if !constants.into_iter().all(|tensor| self.is_constant(tensor)) {
            return None;
        }
        let operation = Operation::LayerNorm {
            epsilon: float(&norm.epsilon),
            centred: true,
        };
        let beta = match &norm.beta {
            Some(beta) => self.known(beta)?,
            None => {
                let count = norm.gamma.shape.num_elements();
                self.graph.constant(&[count], vec![0.0; count], None)
            }
        };
        self.push(operation, &[&norm.input, &norm.gamma], &norm.out)?;
        self.graph.nodes.last_mut()?.inputs.push(beta);
        Some(())
    }

    fn pool(&mut self, operation: &ModuleOperationIr) -> Option<()> {
        let (x, out, operation) = match operation {
            ModuleOperationIr::MaxPool2d(pool) if pool.dilation == [1, 1] => {
                let window = window(pool.kernel_size, pool.stride, pool.padding);
                (&pool.x, &pool.out, Operation::MaxPool { window })
            }
            ModuleOperationIr::MaxPool1d(pool) if pool.dilation == 1 => {
                let window = line(pool.kernel_size, pool.stride, pool.padding);
                (&pool.x, &pool.out, Operation::MaxPool { window })
            }
            ModuleOperationIr::AvgPool2d(pool) if !pool.ceil_mode => {
                let operation = Operation::AveragePool {
                    window: window(pool.kernel_size, pool.stride, pool.padding),
                    counts_padding: pool.count_include_pad,
                };
                (&pool.x, &pool.out, operation)
            }
            ModuleOperationIr::AvgPool1d(pool) if !pool.ceil_mode => {
                let operation = Operation::AveragePool {
                    window: line(pool.kernel_size, pool.stride, pool.padding),
                    counts_padding: pool.count_include_pad,
                };
                (&pool.x, &pool.out, operation)
            }
            ModuleOperationIr::AdaptiveAvgPool2d(pool) => {
                let from = [pool.x.shape[2], pool.x.shape[3]];
                let operation = even(from, pool.output_size)?;
                (&pool.x, &pool.out, operation)
            }
            ModuleOperationIr::AdaptiveAvgPool1d(pool) => {
                let operation = even([1, pool.x.shape[2]], [1, pool.output_size])?;
                (&pool.x, &pool.out, operation)
            }
            _ => return None,
        };
        self.push(operation, &[x], out)
    }
}

fn window(kernel: [usize; 2], stride: [usize; 2], padding: [usize; 2]) -> Window {
    Window {
        kernel,
        stride,
        padding,
        dilation: [1, 1],
    }
}

fn line(kernel: usize, stride: usize, padding: usize) -> Window {
    window([1, kernel], [1, stride], [0, padding])
}

/// Means of equal parts.
fn even(from: [usize; 2], to: [usize; 2]) -> Option<Operation> {
    let divides = (0..2).all(|axis| to[axis] > 0 && from[axis].is_multiple_of(to[axis]));
    let part = [0, 1].map(|axis| from[axis] / to[axis].max(1));
    divides.then(|| Operation::AveragePool {
        window: window(part, part, [0, 0]),
        counts_padding: true,
    })
}
