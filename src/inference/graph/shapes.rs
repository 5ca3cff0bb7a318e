//! What shapes an operation takes and makes.

use super::{After, Graph, Id, Kind, Node, Operation, Window};
use crate::kernels::ConvShape;

type Checked<T = ()> = std::result::Result<T, String>;

/// Checks that an operation fits its tensors.
pub(super) fn check(graph: &Graph, node: &Node) -> Checked {
    let name = node.operation.name();
    let found = expected(graph, node).map_err(|reason| format!("{name}: {reason}"))?;
    let Some(expected) = found else {
        return Ok(());
    };
    let [output] = node.outputs[..] else {
        return Err(format!("{name} has {} outputs", node.outputs.len()));
    };
    let (output, kind) = (graph.shape(output), graph.tensors[output].kind);
    if output != expected {
        return Err(format!("{name} makes {expected:?}, not {output:?}"));
    }
    let first = node.inputs.first().map(|id| graph.tensors[*id].kind);
    match (&node.operation, first) {
        (Operation::Reshape, Some(first)) if first == kind => Ok(()),
        (Operation::Embedding, _) => Ok(()),
        _ if node
            .inputs
            .iter()
            .any(|id| graph.tensors[*id].kind != Kind::Float) =>
        {
            Err(format!("{name} reads what are no floats"))
        }
        _ if kind != Kind::Float => Err(format!("{name} makes floats")),
        _ => Ok(()),
    }
}

/// The shape of the output; none for operations of burn's.
fn expected(graph: &Graph, node: &Node) -> Checked<Option<Vec<usize>>> {
    let shape = |at: usize| -> Checked<&[usize]> {
        let id = node.inputs.get(at).ok_or("an input is missing")?;
        Ok(graph.shape(*id))
    };
    let output = || -> Checked<&[usize]> {
        let id = node.outputs.first().ok_or("an output is missing")?;
        Ok(graph.shape(*id))
    };
    let count = |expected: usize| match node.inputs.len() == expected {
        true => Ok(()),
        false => Err(format!("{} inputs, not {expected}", node.inputs.len())),
    };
    let constants = |from: usize| match node
        .inputs
        .iter()
        .skip(from)
        .all(|id| graph.floats(*id).is_some())
    {
        true => Ok(()),
        false => Err("what should be a constant of floats is none".to_string()),
    };
    let x = shape(0);
    let expected = match &node.operation {
        Operation::Burn(_) => return Ok(None),
        Operation::Conv { after, .. } | Operation::ConvTranspose { after, .. } => {
            let conv = conv_shape(graph, node)?;
            conv.check().map_err(|error| error.to_string())?;
            let is_transposed = matches!(node.operation, Operation::ConvTranspose { .. });
            let (channels, size) = match is_transposed {
                true => (conv.channels[0], conv.input),
                false => (conv.channels[1], conv.output_size()),
            };
            let before = if is_transposed {
                conv.output_size()
            } else {
                conv.input
            };
            let mut expected = x?.to_vec();
            if plane(&expected)? != before {
                return Err(format!("{expected:?} is not what makes {:?}", output()?));
            }
            let axes = expected.len();
            expected[1] = channels;
            expected[axes - 1] = size[1];
            if axes == 4 {
                expected[2] = size[0];
            }
            follow(graph, node, *after, channels, &expected)?;
            expected
        }
        Operation::Linear { after } => {
            let (x, weight) = (x?, shape(1)?);
            let (Some((&last, before)), [inputs, outputs]) = (x.split_last(), weight) else {
                return Err(format!("{x:?} and a weight of {weight:?}"));
            };
            if last != *inputs || *inputs == 0 || *outputs == 0 {
                return Err(format!("{x:?} and a weight of {weight:?}"));
            }
            let expected = [before, &[*outputs]].concat();
            follow(graph, node, *after, *outputs, &expected)?;
            expected
        }
        Operation::MatMul => {
            count(2)?;
            product(x?, shape(1)?)?
        }
        Operation::Attention { masked, .. } => {
            count(if *masked { 5 } else { 3 })?;
            let (q, k, v) = (x?, shape(1)?, shape(2)?);
            let turned = swapped(k)?;
            let scores = product(q, &turned)?;
            for at in 3..node.inputs.len() {
                constants(3)?;
                if broadcast(&scores, shape(at)?)? != scores {
                    return Err("the mask is larger than the scores".to_string());
                }
            }
            product(&scores, v)?
        }
        Operation::Map(program) => {
            if node.inputs.is_empty() || program.is_empty() || program.len() > LONGEST {
                return Err("a program of nothing, or too long a one".to_string());
            }
            for (at, instruction) in program.iter().enumerate() {
                let mut operands = instruction.operands();
                if operands.any(|operand| operand >= node.inputs.len() + at) {
                    return Err("a program reads what it has not computed".to_string());
                }
            }
            let x = x?.to_vec();
            if node.inputs.iter().any(|id| graph.shape(*id) != x) {
                return Err("inputs of different shapes".to_string());
            }
            x
        }
        Operation::Broadcast(_) => {
            count(2)?;
            broadcast(x?, shape(1)?)?
        }
        Operation::Channels { .. } | Operation::GroupNorm { .. } => {
            count(3)?;
            constants(1)?;
            let x = x?;
            let channels = *x.get(1).ok_or("an input without channels")?;
            if shape(1)? != [channels] || shape(2)? != [channels] {
                return Err(format!("{x:?} and {:?} factors", shape(1)?));
            }
            if let Operation::GroupNorm { groups, .. } = node.operation
                && (groups == 0 || channels % groups != 0)
            {
                return Err(format!("{groups} groups of {channels} channels"));
            }
            x.to_vec()
        }
        Operation::BatchNorm { .. } => {
            count(5)?;
            let x = x?;
            let channels = *x.get(1).ok_or("an input without channels")?;
            if node
                .inputs
                .iter()
                .skip(1)
                .any(|id| graph.shape(*id) != [channels])
            {
                return Err(format!("{x:?} and other numbers of channels"));
            }
            x.to_vec()
        }
        Operation::LayerNorm { .. } => {
            count(3)?;
            constants(1)?;
            let x = x?;
            let last = x.last().copied();
            if [shape(1)?, shape(2)?]
                .iter()
                .any(|shape| shape.len() != 1 || shape.first().copied() != last)
            {
                return Err(format!("{x:?} and {:?} factors", shape(1)?));
            }
            x.to_vec()
        }
        Operation::Softmax { axis, .. } => {
            count(1)?;
            let x = x?;
            x.get(*axis).ok_or(format!("axis {axis} of {x:?}"))?;
            x.to_vec()
        }
        Operation::MaxPool { window } | Operation::AveragePool { window, .. } => {
            count(1)?;
            pooled(*window, x?, output()?)?
        }
        Operation::Reduce { axes, .. } => {
            count(1)?;
            let mut x = x?.to_vec();
            for axis in axes {
                *x.get_mut(*axis).ok_or(format!("axis {axis}"))? = 1;
            }
            x
        }
        Operation::Reshape => {
            count(1)?;
            let (from, to): (usize, usize) = (x?.iter().product(), output()?.iter().product());
            if from != to {
                return Err(format!("{from} numbers into {to}"));
            }
            output()?.to_vec()
        }
        Operation::Permute { order } => {
            count(1)?;
            let x = x?;
            let mut sorted = order.clone();
            sorted.sort_unstable();
            if !sorted.into_iter().eq(0..x.len()) {
                return Err(format!("{order:?} is no order of the axes of {x:?}"));
            }
            order.iter().map(|axis| x[*axis]).collect()
        }
        Operation::Slice { starts, steps } => {
            count(1)?;
            let (x, y) = (x?, output()?);
            inside(starts, steps, y, x)?;
            y.to_vec()
        }
        Operation::Assign { starts, steps } => {
            count(2)?;
            let x = x?;
            inside(starts, steps, shape(1)?, x)?;
            x.to_vec()
        }
        Operation::Expand => {
            count(1)?;
            let (x, y) = (x?, output()?);
            if broadcast(x, y)? != y {
                return Err(format!("{x:?} into {y:?}"));
            }
            y.to_vec()
        }
        Operation::Concat { axis } => {
            let mut expected = x?.to_vec();
            *expected.get_mut(*axis).ok_or(format!("axis {axis}"))? = 0;
            for at in 0..node.inputs.len() {
                let mut part = shape(at)?.to_vec();
                let size = part.get(*axis).copied().unwrap_or(0);
                expected[*axis] = expected[*axis].saturating_add(size);
                if part.len() == expected.len() {
                    part[*axis] = expected[*axis];
                }
                if part != expected {
                    return Err(format!("{part:?} beside {expected:?}"));
                }
            }
            expected
        }
        Operation::Pad { before, .. } => {
            count(1)?;
            let (x, y) = (x?, output()?);
            inside(before, &vec![1; before.len()], x, y)?;
            y.to_vec()
        }
        Operation::Embedding => {
            count(2)?;
            let [_, width] = x? else {
                return Err("rows of other than two axes".to_string());
            };
            if graph.floats(node.inputs[0]).is_none()
                || graph.tensors[node.inputs[1]].kind != Kind::Int
            {
                return Err("constant rows by whole numbers are what there is".to_string());
            }
            [shape(1)?, &[*width]].concat()
        }
    };
    Ok(Some(expected))
}

/// The most instructions of a program.
const LONGEST: usize = 1 << 10;

/// Checks what follows a product: its number of inputs and their shapes.
fn follow(
    graph: &Graph,
    node: &Node,
    after: After,
    channels: usize,
    expected: &[usize],
) -> Checked {
    if node.inputs.len() != after.inputs() {
        return Err(format!("{} inputs for {after:?}", node.inputs.len()));
    }
    if graph.floats(node.inputs[1]).is_none() {
        return Err("a weight that is no constant of floats".to_string());
    }
    if after.bias
        && (graph.shape(node.inputs[2]) != [channels] || graph.floats(node.inputs[2]).is_none())
    {
        return Err(format!("a bias of {:?}", graph.shape(node.inputs[2])));
    }
    match after.residual_at().map(|at| graph.shape(node.inputs[at])) {
        Some(residual) if residual != expected => Err(format!("{residual:?} onto {expected:?}")),
        _ => Ok(()),
    }
}

/// Rows and columns of images `[N, C, H, W]` or `[N, C, W]`.
pub(crate) fn plane(shape: &[usize]) -> Checked<[usize; 2]> {
    match *shape {
        [_, _, columns] => Ok([1, columns]),
        [_, _, rows, columns] => Ok([rows, columns]),
        _ => Err(format!("{shape:?} are no images")),
    }
}

/// The shape of a convolution, or of the one that a transposed convolution is the transpose of.
pub(crate) fn conv_shape(graph: &Graph, node: &Node) -> Checked<ConvShape> {
    let (window, groups, is_transposed) = match node.operation {
        Operation::Conv { window, groups, .. } => (window, groups, false),
        Operation::ConvTranspose { window, groups, .. } => (window, groups, true),
        _ => return Err("no convolution".to_string()),
    };
    let [Some(&x), Some(&weight), Some(&y)] = [
        node.inputs.first(),
        node.inputs.get(1),
        node.outputs.first(),
    ] else {
        return Err("an input is missing".to_string());
    };
    let [x, weight, y] = [x, weight, y].map(|id: Id| graph.shape(id));
    let kernel = plane(weight)?;
    if kernel != window.kernel || weight.len() != x.len() {
        return Err(format!(
            "{x:?}, a weight of {weight:?} and windows of {:?}",
            window.kernel
        ));
    }
    let large = if is_transposed { y } else { x };
    let input = plane(large)?;
    let channels = [weight[1].saturating_mul(groups), weight[0]];
    let seen = if is_transposed {
        channels[1]
    } else {
        channels[0]
    };
    if x[1] != seen {
        return Err(format!("{} channels, not {seen}", x[1]));
    }
    Ok(ConvShape::new(channels, kernel, input)
        .with_stride(window.stride)
        .with_padding(window.padding)
        .with_dilation(window.dilation)
        .with_groups(groups))
}

fn pooled(window: Window, x: &[usize], y: &[usize]) -> Checked<Vec<usize>> {
    let (from, to) = (plane(x)?, plane(y)?);
    for axis in 0..2 {
        let (kernel, stride, padding) = (
            window.kernel[axis],
            window.stride[axis],
            window.padding[axis],
        );
        let is_window = kernel > padding && stride > 0 && window.dilation[axis] == 1;
        let last = to[axis].saturating_sub(1).saturating_mul(stride);
        if !is_window
            || kernel > from[axis].max(1 << 13)
            || to[axis] == 0
            || last >= from[axis] + padding
        {
            return Err(format!("{window:?} over {x:?} make no {y:?}"));
        }
    }
    match x[..2] == y[..2] && x.len() == y.len() {
        true => Ok(y.to_vec()),
        false => Err(format!("{x:?} into {y:?}")),
    }
}

/// The shape that two are repeated to.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Checked<Vec<usize>> {
    let axes = a.len().max(b.len());
    let size = |shape: &[usize], axis: usize| {
        (axis + shape.len())
            .checked_sub(axes)
            .map_or(1, |axis| shape[axis])
    };
    let sizes = (0..axes).map(|axis| match (size(a, axis), size(b, axis)) {
        (a, b) if a == b || b == 1 => Ok(a),
        (1, b) => Ok(b),
        _ => Err(format!("{a:?} beside {b:?}")),
    });
    sizes.collect()
}

fn product(a: &[usize], b: &[usize]) -> Checked<Vec<usize>> {
    let ([before @ .., rows, shared], [others @ .., found, columns]) = (a, b) else {
        return Err(format!("{a:?} times {b:?}"));
    };
    if shared != found {
        return Err(format!("{a:?} times {b:?}"));
    }
    Ok([&broadcast(before, others)?[..], &[*rows, *columns]].concat())
}

fn swapped(shape: &[usize]) -> Checked<Vec<usize>> {
    let mut shape = shape.to_vec();
    let axes = shape.len();
    if axes < 2 {
        return Err(format!("{shape:?} has no two axes"));
    }
    shape.swap(axes - 2, axes - 1);
    Ok(shape)
}

/// Whether every `steps`th element of a shape from `starts` on, as many as the first shape has,
/// lies in the second.
fn inside(starts: &[usize], steps: &[usize], part: &[usize], whole: &[usize]) -> Checked {
    let fits = |axis: usize| {
        let last = part[axis].saturating_sub(1).saturating_mul(steps[axis]);
        part[axis] == 0 || starts[axis].saturating_add(last) < whole[axis]
    };
    let axes = whole.len();
    match [starts.len(), steps.len(), part.len()] == [axes; 3] && (0..axes).all(fits) {
        true => Ok(()),
        false => Err(format!(
            "{part:?} from {starts:?} by {steps:?} of {whole:?}"
        )),
    }
}
