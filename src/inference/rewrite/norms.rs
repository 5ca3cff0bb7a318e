//! Layer, RMS and group norm, found in the operations that burn makes of them.

use crate::inference::graph::{Graph, Id, Index, Node, Operation};
use crate::kernels::elementwise::{Binary, Instruction, Unary};

pub(super) fn find_norms(graph: &mut Graph) {
    let index = Index::new(graph);
    for at in 0..graph.nodes.len() {
        let Some(found) = standardised(graph, &index, at) else {
            continue;
        };
        match group(graph, &index, at, &found) {
            Some((groups, end)) => {
                let channels = graph.shape(end.input)[1];
                let ends = affine(graph, &index, end.at, |graph, id| {
                    per_channel(graph, id, end.input)
                });
                put(
                    graph,
                    &ends,
                    end.input,
                    channels,
                    |epsilon| Operation::GroupNorm { epsilon, groups },
                    found.epsilon,
                );
            }
            None => {
                let shape = graph.shape(found.input);
                let width = shape[shape.len() - 1];
                let ends = affine(graph, &index, at, |graph, id| per_feature(graph, id, width));
                let centred = found.centred;
                put(
                    graph,
                    &ends,
                    found.input,
                    width,
                    |epsilon| Operation::LayerNorm { epsilon, centred },
                    found.epsilon,
                );
            }
        }
    }
}

/// `(x − μ) / √(σ² + ε)` over the last axis.
struct Standardised {
    input: Id,
    centred: bool,
    epsilon: f32,
}

/// Found at its last operation, the division.
fn standardised(graph: &Graph, index: &Index, at: usize) -> Option<Standardised> {
    let node = &graph.nodes[at];
    if node.operation != Operation::Broadcast(Binary::Divide) {
        return None;
    }
    let [centre, deviation] = [node.inputs[0], node.inputs[1]];
    let root = made_by_map(graph, index, deviation, |function| {
        matches!(function, Unary::Sqrt)
    })?;
    let mut epsilon = 0.0;
    let variance = made_by_map(graph, index, root, |function| match function {
        Unary::Affine {
            factor: 1.0,
            summand,
        } => {
            epsilon = summand;
            true
        }
        _ => false,
    })?;
    let square = mean_of(graph, index, variance)?;
    let squared = index.made_by(graph, square)?;
    let is_square = match &squared.operation {
        Operation::Map(program) => match program[..] {
            [Instruction::Binary(Binary::Multiply, 0, 0)] => true,
            [Instruction::Unary(Unary::Power { exponent }, 0)] => exponent == 2.0,
            _ => false,
        },
        _ => false,
    };
    if !is_square || squared.inputs[0] != centre {
        return None;
    }
    let uncentred = Standardised {
        input: centre,
        centred: false,
        epsilon,
    };
    let Some(difference) = index.made_by(graph, centre) else {
        return Some(uncentred);
    };
    let is_difference = difference.operation == Operation::Broadcast(Binary::Subtract);
    match is_difference && mean_of(graph, index, difference.inputs[1]) == Some(difference.inputs[0])
    {
        true => Some(Standardised {
            input: difference.inputs[0],
            centred: true,
            epsilon,
        }),
        false => Some(uncentred),
    }
}

/// The input of a function of single numbers.
fn made_by_map(
    graph: &Graph,
    index: &Index,
    id: Id,
    is_wanted: impl FnOnce(Unary) -> bool,
) -> Option<Id> {
    let node = index.made_by(graph, id)?;
    let Operation::Map(program) = &node.operation else {
        return None;
    };
    match program[..] {
        [Instruction::Unary(function, 0)] if is_wanted(function) => Some(node.inputs[0]),
        _ => None,
    }
}

/// What a tensor is the mean of, over the last axis.
fn mean_of(graph: &Graph, index: &Index, id: Id) -> Option<Id> {
    let node = index.made_by(graph, id)?;
    let last = graph.shape(id).len().checked_sub(1)?;
    match &node.operation {
        Operation::Reduce { axes, mean: true } if axes[..] == [last] => Some(node.inputs[0]),
        _ => None,
    }
}

struct End {
    input: Id,
    /// The last operation.
    at: usize,
}

/// Whether the rows that are standardised are groups of channels: a reshape before and back behind.
fn group(graph: &Graph, index: &Index, at: usize, found: &Standardised) -> Option<(usize, End)> {
    let before = index.made_by(graph, found.input)?;
    let behind = index.only_reader(graph.nodes[at].outputs[0])?;
    let both = [before, &graph.nodes[behind]];
    if both.iter().any(|node| node.operation != Operation::Reshape) || !found.centred {
        return None;
    }
    let (input, output) = (before.inputs[0], graph.nodes[behind].outputs[0]);
    let (shape, rows) = (graph.shape(input), graph.shape(found.input));
    let [images, groups, _] = *rows else {
        return None;
    };
    let is_group = shape == graph.shape(output)
        && shape.len() >= 3
        && shape[0] == images
        && shape[1] % groups == 0;
    is_group.then_some((groups, End { input, at: behind }))
}

/// The last operation of a norm, with constants gamma and beta where they follow.
struct Ends {
    at: usize,
    gamma: Option<Vec<f32>>,
    beta: Option<Vec<f32>>,
}

fn affine(
    graph: &Graph,
    index: &Index,
    at: usize,
    numbers: impl Fn(&Graph, Id) -> Option<Vec<f32>>,
) -> Ends {
    let follows = |at: usize, function: Binary| -> Option<(usize, Vec<f32>)> {
        let made = graph.nodes[at].outputs[0];
        let next = index.only_reader(made)?;
        let node: &Node = &graph.nodes[next];
        let is_function = match &node.operation {
            Operation::Broadcast(found) => *found == function,
            Operation::Map(program) => program[..] == [Instruction::Binary(function, 0, 1)],
            _ => false,
        };
        let other = *node.inputs.iter().find(|id| **id != made)?;
        let kept = graph.shape(made) == graph.shape(node.outputs[0]);
        (is_function && kept).then_some((next, numbers(graph, other)?))
    };
    let mut ends = Ends {
        at,
        gamma: None,
        beta: None,
    };
    if let Some((next, gamma)) = follows(ends.at, Binary::Multiply) {
        (ends.at, ends.gamma) = (next, Some(gamma));
    }
    if let Some((next, beta)) = follows(ends.at, Binary::Add) {
        (ends.at, ends.beta) = (next, Some(beta));
    }
    ends
}

/// A constant with a number for each feature.
fn per_feature(graph: &Graph, id: Id, width: usize) -> Option<Vec<f32>> {
    let numbers = graph.floats(id)?;
    let is_last = graph.shape(id).last() == Some(&width) && numbers.len() == width;
    is_last.then(|| numbers.to_vec())
}

/// A constant with a number for each channel of images.
fn per_channel(graph: &Graph, id: Id, images: Id) -> Option<Vec<f32>> {
    let (shape, images) = (graph.shape(id), graph.shape(images));
    let numbers = graph.floats(id)?;
    let is_axis = shape.len() == images.len() && shape[1] == images[1] && numbers.len() == shape[1];
    is_axis.then(|| numbers.to_vec())
}

/// Puts a norm in the place of its last operation.
fn put(
    graph: &mut Graph,
    ends: &Ends,
    input: Id,
    count: usize,
    operation: impl Fn(f32) -> Operation,
    epsilon: f32,
) {
    let gamma = ends.gamma.clone().unwrap_or_else(|| vec![1.0; count]);
    let beta = ends.beta.clone().unwrap_or_else(|| vec![0.0; count]);
    let gamma = graph.constant(&[count], gamma, None);
    let beta = graph.constant(&[count], beta, None);
    let node = &mut graph.nodes[ends.at];
    node.operation = operation(epsilon);
    node.inputs = vec![input, gamma, beta];
}
