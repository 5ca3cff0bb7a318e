//! What does nothing is left out, and what does the same in two ways gets one.

use crate::inference::graph::{Graph, Id, Index, Node, Operation};
use crate::kernels::elementwise::{Instruction, Unary};

/// Leaves out operations whose output is their input; functions of two tensors of one shape become
/// programs; means of means one mean.
pub(super) fn drop_identities(graph: &mut Graph) {
    let mut same: Vec<Id> = (0..graph.tensors.len()).collect();
    let mut nodes = Vec::with_capacity(graph.nodes.len());
    for mut node in std::mem::take(&mut graph.nodes) {
        // Burn's operations hold the numbers of their tensors.
        if !matches!(node.operation, Operation::Burn(_)) {
            node.inputs.iter_mut().for_each(|id| *id = same[*id]);
            if is_identity(graph, &node) {
                same[node.outputs[0]] = node.inputs[0];
                continue;
            }
            if let Operation::Broadcast(function) = node.operation
                && graph.shape(node.inputs[0]) == graph.shape(node.inputs[1])
            {
                node.operation = match node.inputs[0] == node.inputs[1] {
                    true => {
                        node.inputs.truncate(1);
                        Operation::Map(vec![Instruction::Binary(function, 0, 0)])
                    }
                    false => Operation::Map(vec![Instruction::Binary(function, 0, 1)]),
                };
            }
        }
        nodes.push(node);
    }
    graph.outputs.iter_mut().for_each(|id| *id = same[*id]);
    graph.nodes = nodes;
    restore_for_burn(graph, &same);
    join_means(graph);
}

/// Operations of burn's read what was left out by its own number: one more name for it.
fn restore_for_burn(graph: &mut Graph, same: &[Id]) {
    let read = |node: &&Node| matches!(node.operation, Operation::Burn(_));
    let ids = graph
        .nodes
        .iter()
        .filter(read)
        .flat_map(|node| &node.inputs);
    let mut gone: Vec<Id> = ids.copied().filter(|id| same[*id] != *id).collect();
    gone.sort_unstable();
    gone.dedup();
    for id in gone {
        let from = same[id];
        let made = graph
            .nodes
            .iter()
            .position(|node| node.outputs.contains(&from));
        let at = made.map_or(0, |made| made + 1);
        let node = Node {
            operation: Operation::Reshape,
            inputs: vec![from],
            outputs: vec![id],
        };
        graph.nodes.insert(at, node);
    }
}

fn is_identity(graph: &Graph, node: &Node) -> bool {
    let is_same = || graph.shape(node.inputs[0]) == graph.shape(node.outputs[0]);
    match &node.operation {
        Operation::Reshape | Operation::Expand => is_same(),
        Operation::Permute { order } => order.iter().copied().eq(0..order.len()),
        Operation::Slice { starts, steps } => {
            is_same()
                && starts.iter().all(|start| *start == 0)
                && steps.iter().all(|step| *step == 1)
        }
        Operation::Map(program) => match program[..] {
            [Instruction::Unary(Unary::Affine { factor, summand }, 0)] => {
                factor == 1.0 && summand == 0.0
            }
            _ => false,
        },
        Operation::Concat { .. } => node.inputs.len() == 1,
        _ => false,
    }
}

fn join_means(graph: &mut Graph) {
    let index = Index::new(graph);
    for at in 0..graph.nodes.len() {
        let Operation::Reduce { axes, mean } = graph.nodes[at].operation.clone() else {
            continue;
        };
        let from = graph.nodes[at].inputs[0];
        let Some(before) = index.maker[from].filter(|_| index.only_reader(from) == Some(at)) else {
            continue;
        };
        if let Operation::Reduce {
            axes: others,
            mean: is_mean,
        } = graph.nodes[before].operation.clone()
            && mean == is_mean
            && others.iter().all(|axis| !axes.contains(axis))
        {
            let mut axes = [others, axes].concat();
            axes.sort_unstable();
            graph.nodes[at].inputs = graph.nodes[before].inputs.clone();
            graph.nodes[at].operation = Operation::Reduce { axes, mean };
        }
    }
}
