//! Products: convolutions and linear layers, and those of two tensors.

use std::sync::Arc;

use super::moves::repeated;
use super::planner::Planner;
use super::view::{Layout, Manner, View};
use crate::error::{Error, Result};
use crate::inference::graph::{After, Id, Node, Operation, shapes};
use crate::inference::steps::{Attention, MatMul, Matrices, Product};
use crate::kernels::strided::Axes;

impl Planner<'_> {
    pub fn conv(&mut self, node: &Node) -> Result<()> {
        let shape = shapes::conv_shape(self.graph, node).map_err(unfit)?;
        let Some(after) = node.operation.after() else {
            return Ok(());
        };
        let is_transposed = matches!(node.operation, Operation::ConvTranspose { .. });
        let outputs = shape.channels[usize::from(!is_transposed)];
        let pieces = self.mosaic(node.inputs[0]).is_some();
        let key = format!("{is_transposed} {shape:?} {pieces}");
        let product = self.shared(
            node,
            after,
            outputs,
            key,
            |weight, bias| match is_transposed {
                true => Product::transposed(shape, weight, bias, after.bounds()),
                false => Product::conv(shape, weight, bias, after.bounds(), pieces),
            },
        )?;
        let manners = match product.mosaics() {
            Some(mosaics) => mosaics.map(Manner::Pieces),
            None => [Manner::Plain; 2],
        };
        self.product(node, after, product, manners)
    }

    pub fn linear(&mut self, node: &Node, after: After) -> Result<()> {
        let [inputs, outputs] = [0, 1].map(|axis| self.shape(node.inputs[1])[axis]);
        let x = self.shape(node.inputs[0]);
        let positions: usize = x[..x.len() - 1].iter().product();
        let sizes = [inputs, outputs, positions];
        let key = format!("linear {positions}");
        let product = self.shared(node, after, outputs, key, |weight, bias| {
            Product::linear(sizes, weight, bias, after.bounds())
        })?;
        self.product(node, after, product, [Manner::Columns; 2])
    }

    /// The kernel of an operation, a new one unless another operation has the same.
    fn shared(
        &mut self,
        node: &Node,
        after: After,
        outputs: usize,
        key: String,
        make: impl FnOnce(&[f32], Vec<f32>) -> Result<Product>,
    ) -> Result<Arc<Product>> {
        let bias = after.bias.then(|| node.inputs[2]);
        let key = format!("{key} {} {bias:?} {:?}", node.inputs[1], after.bounds());
        if let Some(product) = self.products.get(&key) {
            return Ok(product.clone());
        }
        let weight = self.graph.floats(node.inputs[1]);
        let weight = weight.ok_or_else(|| unfit("a weight that is no constant".to_string()))?;
        let bias = bias.and_then(|id| self.graph.floats(id));
        let bias = bias.map_or(vec![0.0; outputs], <[f32]>::to_vec);
        let product = Arc::new(make(weight, bias)?);
        self.products.insert(key, product.clone());
        Ok(product)
    }

    /// A step whose input lies in one manner, and residual and output in one.
    fn product(
        &mut self,
        node: &Node,
        after: After,
        product: Arc<Product>,
        [before, behind]: [Manner; 2],
    ) -> Result<()> {
        let mut read = |id: Id, manner: Manner| -> Result<_> {
            let view = self.view(id, &manner.layout(self.shape(id)))?;
            Ok(self.whole(id, &view))
        };
        let mut from = vec![read(node.inputs[0], before)?];
        if let Some(at) = after.residual_at() {
            from.push(read(node.inputs[at], behind)?);
        }
        let to = node.outputs[0];
        let layout = behind.layout(self.shape(to));
        self.run(product, from, to, layout);
        if self.taken.iter().all(|(id, _)| *id != node.inputs[1]) {
            self.taken.push((node.inputs[1], self.steps.len() - 1));
        }
        Ok(())
    }

    /// A tensor's matrices and where they begin, its axes before the last two repeated to others.
    fn matrices(&self, id: Id, view: &View, before: &[usize]) -> (Matrices, Vec<usize>) {
        let shape = self.shape(id);
        let (axes, strides) = (shape.len() - 2, &view.layout.strides);
        let outer = Layout {
            strides: strides[..axes].to_vec(),
            mosaic: None,
        };
        let size = [shape[axes], shape[axes + 1]];
        let strides = [strides[axes], strides[axes + 1]];
        let outer = repeated(&outer, &shape[..axes], before);
        (Matrices { size, strides }, outer)
    }

    pub fn matmul(&mut self, node: &Node) -> Result<()> {
        let to = node.outputs[0];
        let shape = self.shape(to);
        let before = &shape[..shape.len() - 2];
        let [a, b] = [node.inputs[0], node.inputs[1]];
        let views = [self.any(a)?, self.any(b)?];
        let (left, left_strides) = self.matrices(a, &views[0], before);
        let (right, right_strides) = self.matrices(b, &views[1], before);
        let kernel = MatMul {
            places: Axes::new(before, [&left_strides, &right_strides]),
            matrices: [left, right],
        };
        let from = vec![self.whole(a, &views[0]), self.whole(b, &views[1])];
        self.run(Arc::new(kernel), from, to, Layout::plain(shape));
        Ok(())
    }

    pub fn attention(&mut self, node: &Node, factor: f32, masked: bool) -> Result<()> {
        let to = node.outputs[0];
        let shape = self.shape(to);
        let before = &shape[..shape.len() - 2];
        let (mut from, mut matrices, mut strides) = (Vec::new(), Vec::new(), Vec::new());
        for &id in &node.inputs {
            let view = self.any(id)?;
            let (matrix, outer) = match id {
                _ if self.shape(id).len() >= 2 => self.matrices(id, &view, before),
                _ => self.line(id, &view, before),
            };
            matrices.push(matrix);
            strides.push(outer);
            from.push(self.whole(id, &view));
        }
        let none = vec![0; before.len()];
        let [q, k, v] = [0, 1, 2].map(|at| &strides[at][..]);
        let [by, plus] = [3, 4].map(|at| strides.get(at).unwrap_or(&none).as_slice());
        // Masks are repeated to the scores; their rows are queries, the scores' rows in the kernel
        // keys.
        let mask = |at: usize| {
            let Matrices { size, strides } = matrices[at];
            let step = |axis: usize| if size[axis] == 1 { 0 } else { strides[axis] };
            [step(1), step(0)]
        };
        let kernel = Attention {
            places: Axes::new(before, [q, k, v, by, plus]),
            matrices: [matrices[0], matrices[1], matrices[2]],
            factor,
            masks: masked.then(|| [mask(3), mask(4)]),
        };
        self.run(Arc::new(kernel), from, to, Layout::swapped(shape));
        Ok(())
    }

    /// As [`matrices`](Self::matrices), of a tensor of at most one axis.
    fn line(&self, id: Id, view: &View, before: &[usize]) -> (Matrices, Vec<usize>) {
        let matrices = Matrices {
            size: [1, self.shape(id).first().copied().unwrap_or(1)],
            strides: [0, view.layout.strides.first().copied().unwrap_or(0)],
        };
        (matrices, vec![0; before.len()])
    }
}

pub(super) fn unfit(reason: String) -> Error {
    Error::network(reason)
}
