//! Heads of attention: `softmax(factor q kᵀ) v`, found in the operations that burn makes of it.

use crate::inference::graph::{Graph, Id, Index, Node, Operation};
use crate::kernels::elementwise::{Binary, Instruction, Unary};

pub(super) fn find_attention(graph: &mut Graph) {
    let index = Index::new(graph);
    for at in 0..graph.nodes.len() {
        let Some((next, found)) = heads(graph, &index, at) else {
            continue;
        };
        let mut inputs = vec![found.queries, found.keys, found.values];
        let masked = found.mask.is_some();
        if let Some((factors, summands)) = found.mask {
            let ones = || graph.constant(&[1, 1], vec![1.0], None);
            inputs.push(factors.unwrap_or_else(ones));
            inputs.push(summands);
        }
        let node = &mut graph.nodes[next];
        node.operation = Operation::Attention {
            factor: found.factor,
            masked,
        };
        node.inputs = inputs;
    }
}

struct Heads {
    queries: Id,
    keys: Id,
    values: Id,
    factor: f32,
    /// Constants that scores are multiplied by and have added.
    mask: Option<(Option<Id>, Id)>,
}

/// The attention around a softmax, and the product with the values, which is its last operation.
fn heads(graph: &Graph, index: &Index, at: usize) -> Option<(usize, Heads)> {
    let node = &graph.nodes[at];
    let axes = graph.shape(*node.inputs.first()?).len();
    let Operation::Softmax {
        axis,
        logarithm: false,
    } = node.operation
    else {
        return None;
    };
    let next = index.only_reader(node.outputs[0])?;
    let weighs = graph.nodes[next].operation == Operation::MatMul
        && graph.nodes[next].inputs[0] == node.outputs[0]
        && graph.nodes[next].inputs[1] != node.outputs[0];
    if axis + 1 != axes || axes < 3 || !weighs {
        return None;
    }
    let values = graph.nodes[next].inputs[1];
    let mut id = node.inputs[0];
    let mask = mask(graph, index, &mut id);
    let mut factor = scale(graph, index, &mut id);
    let scores = alone(graph, index, id)?;
    if scores.operation != Operation::MatMul {
        return None;
    }
    let [mut queries, mut turned] = [scores.inputs[0], scores.inputs[1]];
    factor *= scale(graph, index, &mut queries) * scale(graph, index, &mut turned);
    let keys = graph.nodes.get(index.maker[turned]?)?;
    let Operation::Permute { order } = &keys.operation else {
        return None;
    };
    let mut swapped: Vec<usize> = (0..order.len()).collect();
    let count = swapped.len();
    swapped.swap(count.checked_sub(2)?, count - 1);
    let mut keys = keys.inputs[0];
    factor *= scale(graph, index, &mut keys);
    if *order != swapped
        || [queries, keys, values]
            .iter()
            .any(|id| graph.shape(*id).len() != axes)
    {
        return None;
    }
    let heads = Heads {
        queries,
        keys,
        values,
        factor,
        mask,
    };
    Some((next, heads))
}

/// The operation that makes a tensor which one other reads.
fn alone<'g>(graph: &'g Graph, index: &Index, id: Id) -> Option<&'g Node> {
    index.only_reader(id)?;
    index.made_by(graph, id)
}

/// Passes multiplications by a number, upwards.
fn scale(graph: &Graph, index: &Index, id: &mut Id) -> f32 {
    let mut factor = 1.0;
    while let Some(node) = alone(graph, index, *id)
        && let Operation::Map(program) = &node.operation
        && let [
            Instruction::Unary(
                Unary::Affine {
                    factor: by,
                    summand,
                },
                0,
            ),
        ] = program[..]
        && summand == 0.0
    {
        factor *= by;
        *id = node.inputs[0];
    }
    factor
}

/// Passes a mask, upwards: a constant that is added and, before it, one that scores are multiplied
/// by.
fn mask(graph: &Graph, index: &Index, id: &mut Id) -> Option<(Option<Id>, Id)> {
    let constant = |id: Id, function: Binary| -> Option<(Id, Id)> {
        let node = alone(graph, index, id)?;
        let is_function = match &node.operation {
            Operation::Broadcast(found) => *found == function,
            Operation::Map(program) => program[..] == [Instruction::Binary(function, 0, 1)],
            _ => false,
        };
        let (x, constant) = (*node.inputs.first()?, *node.inputs.get(1)?);
        let fits = is_function && graph.floats(constant).is_some();
        (fits && graph.shape(x) == graph.shape(node.outputs[0])).then_some((x, constant))
    };
    let (before, summands) = constant(*id, Binary::Add)?;
    match constant(before, Binary::Multiply) {
        Some((x, factors)) => {
            *id = x;
            Some((Some(factors), summands))
        }
        None => {
            *id = before;
            Some((None, summands))
        }
    }
}
