//! What follows a product becomes a part of it: scale and shift of its outputs, a residual, ReLU and
//! an upper bound.

use crate::inference::graph::{After, Graph, Id, Index, Node, Operation};
use crate::kernels::Bounds;
use crate::kernels::elementwise::{Binary, Instruction, Unary};

/// Batch norm of constants as a factor and a summand of each channel.
fn factors(graph: &Graph, node: &Node, epsilon: f64) -> Option<Vec<(f64, f64)>> {
    let numbers = |at: usize| graph.floats(node.inputs[at]);
    let [gamma, beta, mean, variance] = [numbers(1)?, numbers(2)?, numbers(3)?, numbers(4)?];
    let factor = |channel: usize| {
        let deviation = (f64::from(variance[channel]) + epsilon).sqrt();
        let scale = f64::from(gamma[channel]) / deviation;
        let shift = f64::from(beta[channel]) - f64::from(mean[channel]) * scale;
        (scale, shift)
    };
    Some((0..gamma.len()).map(factor).collect())
}

pub(super) fn absorb(graph: &mut Graph) {
    let index = Index::new(graph);
    for at in 0..graph.nodes.len() {
        // The product moves to where the last operation stood that it absorbs: there, everything
        // that it reads is known.
        let mut at = at;
        while let Some(next) = index.only_reader(graph.nodes[at].outputs[0]) {
            let Some(node) = absorbed(graph, &graph.nodes[at].clone(), next) else {
                break;
            };
            graph.nodes[next] = node;
            graph.nodes[at].operation = Operation::Reshape;
            graph.nodes[at].inputs.truncate(1);
            at = next;
        }
    }
    for at in 0..graph.nodes.len() {
        if let Operation::BatchNorm { epsilon } = graph.nodes[at].operation
            && let Some(factors) = factors(graph, &graph.nodes[at], epsilon)
        {
            let shape = [factors.len()];
            let scales = factors.iter().map(|(scale, _)| *scale as f32).collect();
            let shifts = factors.iter().map(|(_, shift)| *shift as f32).collect();
            let path = graph.path(graph.nodes[at].inputs[1]).map(str::to_string);
            let scales = graph.constant(&shape, scales, path);
            let shifts = graph.constant(&shape, shifts, None);
            let node = &mut graph.nodes[at];
            node.operation = Operation::Channels { relu: false };
            node.inputs.truncate(1);
            node.inputs.extend([scales, shifts]);
        }
    }
    absorb_relu(graph);
}

/// ReLU behind a norm of channels.
fn absorb_relu(graph: &mut Graph) {
    let index = Index::new(graph);
    for at in 0..graph.nodes.len() {
        if let Operation::Channels { relu: false } = graph.nodes[at].operation
            && let Some(next) = index.only_reader(graph.nodes[at].outputs[0])
            && is_relu(&graph.nodes[next].operation)
        {
            graph.nodes[next].operation = Operation::Channels { relu: true };
            graph.nodes[next].inputs = graph.nodes[at].inputs.clone();
        }
    }
}

fn is_relu(operation: &Operation) -> bool {
    bounds(operation) == Some(Bounds::RELU)
}

/// The bounds that an operation sets, if that is all it does.
fn bounds(operation: &Operation) -> Option<Bounds> {
    let Operation::Map(program) = operation else {
        return None;
    };
    match program[..] {
        [Instruction::Unary(Unary::Relu, 0)] => Some(Bounds::RELU),
        [Instruction::Unary(Unary::Clamp { least, most }, 0)] => {
            let relu = least == Some(0.0);
            (relu || least.is_none()).then_some(Bounds { relu, most })
        }
        _ => None,
    }
}

/// A product with what follows it, if it can have that.
fn absorbed(graph: &mut Graph, product: &Node, next: usize) -> Option<Node> {
    let after = product.operation.after()?;
    let node = graph.nodes[next].clone();
    let made = product.outputs[0];
    if let Some(bounds) = bounds(&node.operation) {
        // A bound below zero before ReLU is not one behind it.
        let bounds = after.bounds().then(bounds)?;
        let mut node = Node {
            outputs: node.outputs,
            ..product.clone()
        };
        let after = node.operation.after_mut()?;
        (after.relu, after.most) = (bounds.relu, bounds.most);
        return Some(node);
    }
    if !after.bounds().is_none() {
        return None;
    }
    let both = Node {
        outputs: node.outputs.clone(),
        ..product.clone()
    };
    match &node.operation {
        Operation::BatchNorm { epsilon } if !after.residual && is_conv(product) => {
            let factors = factors(graph, &node, *epsilon)?;
            Some(scaled(graph, both, after, &factors))
        }
        Operation::Map(program) if !after.residual => {
            let [Instruction::Unary(Unary::Affine { factor, summand }, 0)] = program[..] else {
                return onto(graph, both, after, made, &node);
            };
            let factor = (f64::from(factor), f64::from(summand));
            let factors = vec![factor; outputs(graph, product)];
            Some(scaled(graph, both, after, &factors))
        }
        Operation::Broadcast(function) if !after.residual => {
            let other = *node.inputs.iter().find(|id| **id != made)?;
            let numbers = per_output(graph, product, other, graph.shape(node.outputs[0]))?;
            let first = node.inputs[0] == made;
            let factors: Vec<(f64, f64)> = match function {
                Binary::Add => numbers.map(|number| (1.0, number)).collect(),
                Binary::Subtract if first => numbers.map(|number| (1.0, -number)).collect(),
                Binary::Multiply => numbers.map(|number| (number, 0.0)).collect(),
                Binary::Divide if first => numbers.map(|number| (1.0 / number, 0.0)).collect(),
                _ => return None,
            };
            Some(scaled(graph, both, after, &factors))
        }
        _ => None,
    }
}

/// A sum with another tensor of the output's shape.
fn onto(graph: &Graph, mut both: Node, after: After, made: Id, node: &Node) -> Option<Node> {
    let Operation::Map(program) = &node.operation else {
        return None;
    };
    let [Instruction::Binary(Binary::Add, a, b)] = program[..] else {
        return None;
    };
    let other = *node.inputs.iter().find(|id| **id != made)?;
    if a == b || after.residual || graph.shape(other) != graph.shape(made) {
        return None;
    }
    both.operation.after_mut()?.residual = true;
    both.inputs.push(other);
    Some(both)
}

fn is_conv(node: &Node) -> bool {
    matches!(
        node.operation,
        Operation::Conv { .. } | Operation::ConvTranspose { .. }
    )
}

/// Output channels or features.
fn outputs(graph: &Graph, node: &Node) -> usize {
    let shape = graph.shape(node.outputs[0]);
    if is_conv(node) {
        shape[1]
    } else {
        shape[shape.len() - 1]
    }
}

/// The numbers of a constant that has one for each output, or one for all.
fn per_output<'g>(
    graph: &'g Graph,
    product: &Node,
    id: Id,
    shape: &[usize],
) -> Option<impl Iterator<Item = f64> + use<'g>> {
    let made = graph.shape(product.outputs[0]);
    let numbers = graph.floats(id)?;
    let axis = if is_conv(product) { 1 } else { made.len() - 1 };
    let given = graph.shape(id);
    // Counted from the last axis, as a shorter shape is.
    let behind = made.len() - 1 - axis;
    let at = given.len().checked_sub(behind + 1);
    let is_apart = given
        .iter()
        .enumerate()
        .all(|(i, size)| *size == 1 || Some(i) == at);
    let count = outputs(graph, product);
    let fits = numbers.len() == 1 || numbers.len() == count;
    let repeat = if numbers.len() == 1 { count } else { 1 };
    let numbers = numbers.iter().map(|number| f64::from(*number));
    let all = numbers.flat_map(move |number| std::iter::repeat_n(number, repeat));
    (shape == made && is_apart && fits).then_some(all)
}

/// A product whose outputs are multiplied by factors and have numbers added.
fn scaled(graph: &mut Graph, mut node: Node, after: After, factors: &[(f64, f64)]) -> Node {
    let outputs = factors.len();
    let weight = node.inputs[1];
    if factors.iter().any(|(factor, _)| *factor != 1.0) {
        let shape = graph.shape(weight).to_vec();
        let path = graph.path(weight).map(str::to_string);
        let of = output_of(&node.operation, &shape, outputs);
        let numbers = graph.floats(weight).unwrap_or(&[]).iter().enumerate();
        let numbers = numbers.map(|(at, weight)| (f64::from(*weight) * factors[of(at)].0) as f32);
        let numbers = numbers.collect();
        node.inputs[1] = graph.constant(&shape, numbers, path);
    }
    let before = after
        .bias
        .then(|| graph.floats(node.inputs[2]).unwrap_or(&[]).to_vec());
    let before = before.unwrap_or_else(|| vec![0.0; outputs]);
    let bias = before.iter().zip(factors);
    let bias = bias.map(|(bias, (factor, summand))| (f64::from(*bias) * factor + summand) as f32);
    let bias = bias.collect();
    let bias = graph.constant(&[outputs], bias, None);
    match after.bias {
        true => node.inputs[2] = bias,
        false => node.inputs.insert(2, bias),
    }
    if let Some(after) = node.operation.after_mut() {
        after.bias = true;
    }
    node
}

/// The output that a weight belongs to.
fn output_of(operation: &Operation, shape: &[usize], outputs: usize) -> impl Fn(usize) -> usize {
    let (groups, is_transposed) = match operation {
        Operation::ConvTranspose { groups, .. } => (*groups, true),
        _ => (1, false),
    };
    let is_linear = matches!(operation, Operation::Linear { .. });
    let each: usize = shape[1..].iter().product();
    let taps: usize = shape.get(2..).map_or(1, |taps| taps.iter().product());
    let (inputs, own) = (shape[0], shape[1]);
    move |at| match (is_linear, is_transposed) {
        (true, _) => at % outputs,
        (false, false) => at / each,
        // `[inputs, outputs / groups, taps]`: the input's group and the output in it.
        (false, true) => at / each / (inputs / groups) * own + at / taps % own,
    }
}
