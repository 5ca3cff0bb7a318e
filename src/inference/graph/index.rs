//! Who makes a tensor and who reads it.

use super::{Graph, Id, Node};

/// Made of a graph, and good until the graph changes.
pub(crate) struct Index {
    /// The operation that makes a tensor.
    pub maker: Vec<Option<usize>>,
    /// The operations that read it, once for each time.
    pub readers: Vec<Vec<usize>>,
    is_output: Vec<bool>,
}

impl Index {
    pub fn new(graph: &Graph) -> Self {
        let count = graph.tensors.len();
        let mut index = Self {
            maker: vec![None; count],
            readers: vec![Vec::new(); count],
            is_output: vec![false; count],
        };
        for (at, node) in graph.nodes.iter().enumerate() {
            node.outputs
                .iter()
                .for_each(|id| index.maker[*id] = Some(at));
            node.inputs
                .iter()
                .for_each(|id| index.readers[*id].push(at));
        }
        for id in &graph.outputs {
            index.is_output[*id] = true;
        }
        index
    }

    /// The one operation that reads a tensor, once, if nobody else needs it.
    pub fn only_reader(&self, id: Id) -> Option<usize> {
        match self.readers[id][..] {
            [reader] if !self.is_output[id] => Some(reader),
            _ => None,
        }
    }

    /// The operation that makes a tensor.
    pub fn made_by<'g>(&self, graph: &'g Graph, id: Id) -> Option<&'g Node> {
        self.maker[id].map(|at| &graph.nodes[at])
    }
}
