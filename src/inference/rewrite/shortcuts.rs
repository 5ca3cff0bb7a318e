//! A shortcut that takes every second pixel and puts empty channels around its own is a convolution
//! with one live weight for each channel: one step, which stays in pieces.

use crate::inference::graph::{After, Graph, Id, Index, Kind, Node, Operation, Window};

/// Channels of the image, at least. An output that lives has one live weight of as many, so that
/// with fewer of them the convolution could be computed densely, where a dead weight times infinity
/// is NaN: the lowest density for that is 0.28 (`steps::product`).
const LEAST: usize = 8;

pub(super) fn find(graph: &mut Graph) {
    let index = Index::new(graph);
    for at in 0..graph.nodes.len() {
        let node = graph.nodes[at].clone();
        if let Some((part, first)) = among_zeros(graph, &node)
            && let Some(slice) = index.made_by(graph, part)
            && let Some(stride) = stride(graph, slice)
        {
            let from = slice.inputs[0];
            let [inputs, outputs] = [from, node.outputs[0]].map(|id| graph.shape(id)[1]);
            let mut weight = vec![0.0; outputs * inputs];
            for channel in 0..inputs {
                weight[(first + channel) * inputs + channel] = 1.0;
            }
            let weight = graph.constant(&[outputs, inputs, 1, 1], weight, None);
            let window = Window {
                kernel: [1, 1],
                stride,
                padding: [0, 0],
                dilation: [1, 1],
            };
            graph.nodes[at].inputs = vec![from, weight];
            graph.nodes[at].operation = Operation::Conv {
                window,
                groups: 1,
                after: After::default(),
            };
        }
    }
}

/// The one part of images whose other channels are zero, and its first channel.
fn among_zeros(graph: &Graph, node: &Node) -> Option<(Id, usize)> {
    let &to = node.outputs.first()?;
    let shape = graph.shape(to);
    if shape.len() != 4 || graph.tensors[to].kind != Kind::Float {
        return None;
    }
    match &node.operation {
        Operation::Concat { axis: 1 } => {
            let is_zero = |id: &Id| {
                let numbers = graph.floats(*id);
                numbers.is_some_and(|numbers| numbers.iter().all(|number| number.to_bits() == 0))
            };
            let at = node.inputs.iter().position(|id| !is_zero(id))?;
            let is_only = node.inputs[at + 1..].iter().all(is_zero);
            let before = node.inputs[..at].iter().map(|id| graph.shape(*id)[1]);
            is_only.then(|| (node.inputs[at], before.sum()))
        }
        Operation::Pad { before, value } if value.to_bits() == 0 => {
            let from = graph.shape(node.inputs[0]);
            let is_alone = [0, 2, 3].iter().all(|axis| from[*axis] == shape[*axis]);
            is_alone.then(|| (node.inputs[0], before[1]))
        }
        _ => None,
    }
}

/// The steps of rows and columns, if a slice takes all channels, enough of them, and whole rows and
/// columns from the first on.
fn stride(graph: &Graph, node: &Node) -> Option<[usize; 2]> {
    let Operation::Slice { starts, steps } = &node.operation else {
        return None;
    };
    let (from, to) = (graph.shape(node.inputs[0]), graph.shape(node.outputs[0]));
    let takes_all = |axis: usize| from[axis].div_ceil(steps[axis]) == to[axis];
    let fits = from[1] >= LEAST
        && starts.iter().all(|start| *start == 0)
        && steps[..2] == [1, 1]
        && (0..4).all(takes_all);
    fits.then(|| [steps[2], steps[3]])
}
