//! From a graph to steps: what each operation computes with, how tensors lie between them, and what
//! memory they share.

mod burn;
mod memory;
mod moves;
mod others;
mod planner;
mod products;
mod view;

pub(crate) use memory::{Buffers, Place};
pub(crate) use planner::{Action, Region, Step};

use super::graph::{Graph, Id, Kind, Operation};
use super::interpreter::Program;
use crate::error::Result;
use planner::Planner;

/// A network, ready to run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub steps: Vec<Step>,
    pub buffers: Buffers,
    /// Where the outputs are, or burn's tensors that they are.
    pub outputs: Vec<(Region, Option<Id>)>,
    /// Constants that a step's kernel has taken over, with that step.
    pub taken: Vec<(Id, usize)>,
    /// Operations that are left to burn.
    pub program: Program,
}

impl Plan {
    pub fn new(graph: &Graph) -> Result<Self> {
        let mut planner = Planner::new(graph);
        for (at, node) in graph.nodes.iter().enumerate() {
            planner.node = at;
            match &node.operation {
                Operation::Conv { .. } | Operation::ConvTranspose { .. } => planner.conv(node)?,
                Operation::Linear { after } => planner.linear(node, *after)?,
                Operation::MatMul => planner.matmul(node)?,
                Operation::Attention { factor, masked } => {
                    planner.attention(node, *factor, *masked)?;
                }
                Operation::Map(program) => planner.map(node, program)?,
                Operation::Broadcast(function) => planner.broadcast(node, *function)?,
                Operation::Channels { relu } => planner.channels(node, *relu)?,
                Operation::BatchNorm { .. } => {
                    return Err(products::unfit(
                        "batch norm of what is no constant".to_string(),
                    ));
                }
                Operation::LayerNorm { epsilon, centred } => {
                    planner.layer_norm(node, *epsilon, *centred)?;
                }
                Operation::GroupNorm { epsilon, groups } => {
                    planner.group_norm(node, *epsilon, *groups)?;
                }
                Operation::Softmax { axis, logarithm } => {
                    planner.softmax(node, *axis, *logarithm)?;
                }
                Operation::MaxPool { .. } | Operation::AveragePool { .. } => planner.pool(node)?,
                Operation::Reduce { axes, mean } => planner.reduce(node, axes, *mean)?,
                Operation::Reshape => planner.reshape(node)?,
                Operation::Permute { order } => planner.permute(node, order)?,
                Operation::Slice { starts, steps } => planner.slice(node, starts, steps)?,
                Operation::Expand => planner.expand(node)?,
                Operation::Concat { axis } => planner.concat(node, *axis)?,
                Operation::Pad { before, value } => planner.pad(node, before, *value)?,
                Operation::Assign { starts, steps } => planner.assign(node, starts, steps)?,
                Operation::Embedding => planner.embedding(node)?,
                Operation::Burn(json) => planner.burn(node, json)?,
            }
        }
        // Whatever outputs take is no operation's.
        planner.node = graph.nodes.len();
        let mut outputs = Vec::new();
        let mut burned = Vec::new();
        for &id in &graph.outputs {
            let is_float = graph.tensors[id].kind == Kind::Float;
            if !is_float && planner.views(id).is_empty() && !planner.is_constant(id) {
                burned.push(id);
                outputs.push((Region::NONE, Some(id)));
                continue;
            }
            let view = planner.plain(id)?;
            outputs.push((planner.whole(id, &view), None));
        }
        let Planner {
            steps,
            slots,
            taken,
            mut program,
            ..
        } = planner;
        program.finish(&steps, &burned);
        let buffers = Buffers::assign(&steps, slots, &outputs);
        Ok(Self {
            steps,
            buffers,
            outputs,
            taken,
            program,
        })
    }
}
