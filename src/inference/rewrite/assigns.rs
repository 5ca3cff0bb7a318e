//! An output that is written part by part is put together once: the outputs of a recurrent layer's
//! steps.

use crate::inference::graph::{Graph, Id, Index, Operation};

pub(super) fn join(graph: &mut Graph) {
    let index = Index::new(graph);
    for at in 0..graph.nodes.len() {
        let is_last = |id: Id| {
            let next = index.only_reader(id).map(|next| &graph.nodes[next]);
            !next.is_some_and(|next| is_assign(&next.operation) && next.inputs[0] == id)
        };
        if !is_assign(&graph.nodes[at].operation) || !is_last(graph.nodes[at].outputs[0]) {
            continue;
        }
        if let Some((axis, parts)) = parts(graph, &index, at) {
            graph.nodes[at].operation = Operation::Concat { axis };
            graph.nodes[at].inputs = parts;
        }
    }
}

fn is_assign(operation: &Operation) -> bool {
    matches!(operation, Operation::Assign { .. })
}

/// The axis and the parts in its order, if those that are written, up to an operation, are the
/// whole.
fn parts(graph: &Graph, index: &Index, at: usize) -> Option<(usize, Vec<Id>)> {
    let mut at = at;
    let shape = graph.shape(graph.nodes[at].outputs[0]);
    let mut places: Vec<(usize, usize, Id)> = Vec::new();
    let mut along = None;
    while let Operation::Assign { starts, steps } = &graph.nodes[at].operation {
        let [whole, part] = graph.nodes[at].inputs[..] else {
            return None;
        };
        let size = graph.shape(part);
        let mut axes = (0..shape.len()).filter(|axis| size[*axis] != shape[*axis]);
        let axis = match (axes.next(), axes.next(), along) {
            (Some(axis), None, None) => axis,
            (Some(axis), None, Some(other)) if axis == other => axis,
            _ => return None,
        };
        along = Some(axis);
        if steps[axis] != 1 && size[axis] != 1 {
            return None;
        }
        // What is written later is written over what was before.
        let range = (starts[axis], starts[axis] + size[axis]);
        if places
            .iter()
            .all(|(start, end, _)| range.1 <= *start || range.0 >= *end)
        {
            places.push((range.0, range.1, part));
        } else {
            return None;
        }
        match index.maker[whole] {
            Some(before) if index.only_reader(whole).is_some() => at = before,
            _ => break,
        }
    }
    places.sort_unstable();
    let axis = along?;
    let mut end = 0;
    for (start, next, _) in &places {
        if *start != end {
            return None;
        }
        end = *next;
    }
    (end == shape[axis]).then(|| (axis, places.into_iter().map(|(.., id)| id).collect()))
}
