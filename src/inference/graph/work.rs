//! How much an operation multiplies.

use super::{Graph, Id, Node, Operation};

/// How often a product uses each of its weights for the graph's inputs: once for each output pixel
/// of a convolution, each input pixel of a transposed one, each row of a linear layer.
pub(crate) fn uses(graph: &Graph, node: &Node) -> Option<u64> {
    let (x, y) = (*node.inputs.first()?, *node.outputs.first()?);
    let per = |id: Id, axis: usize| {
        let size = graph.shape(id).get(axis).copied().unwrap_or(1).max(1);
        (graph.tensors[id].count() / size) as u64
    };
    match node.operation {
        Operation::Conv { .. } => Some(per(y, 1)),
        Operation::ConvTranspose { .. } => Some(per(x, 1)),
        Operation::Linear { .. } => Some(per(x, graph.shape(x).len() - 1)),
        _ => None,
    }
}

/// Multiply-adds of products of two tensors that are both computed.
pub(crate) fn between(graph: &Graph, node: &Node) -> u64 {
    let count = |id: Id| graph.tensors[id].count() as u64;
    let last = |id: Id| graph.shape(id).last().map_or(1, |size| *size as u64);
    match (&node.operation, &node.inputs[..], &node.outputs[..]) {
        (Operation::MatMul, [x, ..], [y]) => count(*y) * last(*x),
        (Operation::Attention { .. }, [q, k, ..], [y]) => {
            let others = graph
                .shape(*k)
                .iter()
                .rev()
                .nth(1)
                .map_or(1, |size| *size as u64);
            (count(*q) + count(*y)) * others
        }
        _ => 0,
    }
}
