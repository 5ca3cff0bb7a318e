//! Operations that only move numbers.

use burn::tensor::Slice;
use burn_ir::{BaseOperationIr, PadModeIr, PadOpIr, TensorIr};

use super::{Lowering, float};
use crate::inference::graph::{Constant, Data, Id, Node, Operation, Tensor};
use crate::kernels::elementwise::Binary;

impl Lowering<'_> {
    pub(super) fn base(&mut self, operation: &BaseOperationIr) -> Option<()> {
        match operation {
            BaseOperationIr::Reshape(reshape) => {
                self.push(Operation::Reshape, &[&reshape.input], &reshape.out)
            }
            BaseOperationIr::SwapDims(swap) => {
                let mut order: Vec<usize> = (0..swap.input.shape.len()).collect();
                order.swap(swap.dim1, swap.dim2);
                self.push(Operation::Permute { order }, &[&swap.input], &swap.out)
            }
            BaseOperationIr::Permute(permute) => {
                let order = permute.axes.clone();
                self.push(
                    Operation::Permute { order },
                    &[&permute.input],
                    &permute.out,
                )
            }
            BaseOperationIr::Expand(expand) => {
                self.push(Operation::Expand, &[&expand.input], &expand.out)
            }
            BaseOperationIr::Slice(slice) => {
                let (starts, steps) = places(&slice.ranges, &slice.tensor)?;
                self.push(
                    Operation::Slice { starts, steps },
                    &[&slice.tensor],
                    &slice.out,
                )
            }
            BaseOperationIr::SliceAssign(assign) => {
                let (starts, steps) = places(&assign.ranges, &assign.tensor)?;
                let inputs = [&assign.tensor, &assign.value];
                self.push(Operation::Assign { starts, steps }, &inputs, &assign.out)
            }
            BaseOperationIr::Cat(cat) => {
                let inputs: Vec<&TensorIr> = cat.tensors.iter().collect();
                self.push(Operation::Concat { axis: cat.dim }, &inputs, &cat.out)
            }
            // Between types that are the same here.
            BaseOperationIr::Cast(cast) if cast.input.dtype == cast.out.dtype => {
                self.push(Operation::Reshape, &[&cast.input], &cast.out)
            }
            BaseOperationIr::MaskFill(fill) => {
                self.mask_fill(&fill.tensor, &fill.mask, float(&fill.value), &fill.out)
            }
            BaseOperationIr::Select(select) if select.dim == 0 => {
                self.embedding(&select.tensor, &select.indices, &select.out)
            }
            _ => None,
        }
    }

    /// Numbers times 0 and plus a value where a constant mask says so, times 1 and plus 0
    /// elsewhere.
    fn mask_fill(
        &mut self,
        tensor: &TensorIr,
        mask: &TensorIr,
        value: f32,
        out: &TensorIr,
    ) -> Option<()> {
        let id = self.known(mask)?;
        let Data::Int(mask) = &*self.graph.constants.get(&id)?.data else {
            return None;
        };
        let shape = self.graph.shape(id).to_vec();
        let factors = mask
            .iter()
            .map(|masked| if *masked == 0 { 1.0 } else { 0.0 })
            .collect();
        let summands = mask
            .iter()
            .map(|masked| if *masked == 0 { 0.0 } else { value })
            .collect();
        let factors = self.graph.constant(&shape, factors, None);
        let summands = self.graph.constant(&shape, summands, None);
        let (input, output) = (self.known(tensor)?, self.known(out)?);
        let between = Tensor::float(self.graph.shape(output));
        let multiply = Operation::Broadcast(Binary::Multiply);
        let kept = self.graph.push(multiply, vec![input, factors], between);
        self.graph.nodes.push(Node {
            operation: Operation::Broadcast(Binary::Add),
            inputs: vec![kept, summands],
            outputs: vec![output],
        });
        Some(())
    }

    /// Rows of a constant by an input's numbers.
    pub(super) fn embedding(
        &mut self,
        table: &TensorIr,
        indices: &TensorIr,
        out: &TensorIr,
    ) -> Option<()> {
        let is_ours = self.is_constant(table)
            && table.shape.len() == 2
            && self.is_given(self.known(indices)?);
        is_ours.then_some(())?;
        self.push(Operation::Embedding, &[table, indices], out)
    }

    /// Whether whole numbers are an input's, in whatever shape: those that are computed are burn's.
    fn is_given(&self, id: Id) -> bool {
        if self.graph.inputs.contains(&id) || self.graph.constants.contains_key(&id) {
            return true;
        }
        let mut nodes = self.graph.nodes.iter();
        let made = nodes.find(|node| node.outputs.contains(&id));
        made.is_some_and(|node| {
            node.operation == Operation::Reshape && self.is_given(node.inputs[0])
        })
    }

    pub(super) fn pad(&mut self, pad: &PadOpIr) -> Option<()> {
        let PadModeIr::Constant(value) = &pad.mode else {
            return None;
        };
        let operation = Operation::Pad {
            before: pad.padding.iter().map(|(before, _)| *before).collect(),
            value: float(value),
        };
        self.push(operation, &[&pad.input], &pad.out)
    }

    /// A constant in another shape.
    pub(super) fn reshaped(&mut self, id: Id, shape: &[usize]) -> Id {
        let Some(Constant { data, path }) = self.graph.constants.get(&id).cloned() else {
            return id;
        };
        let reshaped = self.graph.add(Tensor::float(shape));
        self.graph
            .constants
            .insert(reshaped, Constant { data, path });
        reshaped
    }
}

/// Where a slice starts on each axis, and its steps; none backwards.
fn places(ranges: &[Slice], tensor: &TensorIr) -> Option<(Vec<usize>, Vec<usize>)> {
    let (mut starts, mut steps) = (Vec::new(), Vec::new());
    for (axis, &size) in tensor.shape.iter().enumerate() {
        let (range, step) = match ranges.get(axis) {
            Some(slice) => slice.to_range_and_step(size),
            None => (0..size, 1),
        };
        starts.push(range.start);
        steps.push(usize::try_from(step).ok().filter(|step| *step > 0)?);
    }
    Some((starts, steps))
}
