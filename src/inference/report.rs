//! What a network computes with, operation by operation.

use std::fmt;
use std::time::Duration;

use super::graph::{Graph, Node, Operation, work};
use super::plan::{Action, Plan};

/// The arithmetic of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Arithmetic {
    /// Live weights alone.
    Sparse,
    /// Live weights alone, on images that lie in pieces, see [`Mosaic`](crate::kernels::Mosaic).
    SparseInPieces,
    /// Outputs that have a live weight, densely.
    Dense,
    /// The engine's own, without weights.
    Direct,
    /// No step: the same numbers, seen in another way.
    Nothing,
    /// Burn's flex backend.
    Burn,
}

impl fmt::Display for Arithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sparse => "sparse",
            Self::SparseInPieces => "sparse, in pieces",
            Self::Dense => "dense",
            Self::Direct => "direct",
            Self::Nothing => "-",
            Self::Burn => "burn",
        })
    }
}

/// One operation of a network.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OperationReport {
    /// What it does, with what was joined to it.
    pub operation: String,
    /// The path of its weight in the module.
    pub path: Option<String>,
    /// Shape of its first output.
    pub shape: Vec<usize>,
    /// Share of its weights that live.
    pub density: Option<f64>,
    /// What it computes with.
    pub arithmetic: Arithmetic,
    /// Multiply-adds of live weights, or of two tensors with each other, for the graph's inputs.
    pub multiply_adds: u64,
    /// Bytes of weights, bias and of what finds the weights.
    pub bytes: usize,
    /// Times that numbers are put into another order for it.
    pub conversions: usize,
    /// Its time, conversions included, if it was measured.
    pub time: Option<Duration>,
}

/// A network's operations, in order. Its text is a table of those that take a step.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct NetworkReport {
    /// In the order in which they are done.
    pub operations: Vec<OperationReport>,
}

impl NetworkReport {
    pub(super) fn new(graph: &Graph, plan: &Plan) -> Self {
        let mut operations: Vec<_> = graph.nodes.iter().map(|node| of(graph, node)).collect();
        for (at, step) in plan.steps.iter().enumerate() {
            let Some(report) = operations.get_mut(step.node) else {
                continue;
            };
            // The last step of an operation is its own; those before it change the order of
            // numbers.
            let is_last = plan
                .steps
                .get(at + 1)
                .is_none_or(|next| next.node != step.node);
            match &step.action {
                Action::Run { kernel, .. } if is_last => {
                    report.arithmetic = kernel.arithmetic();
                    report.bytes = kernel.bytes();
                    let weights = graph.nodes[step.node].inputs.get(1);
                    let uses = work::uses(graph, &graph.nodes[step.node]);
                    if let Some((id, uses)) = weights.zip(uses) {
                        let count = graph.tensors[*id].count().max(1);
                        report.density = Some(kernel.live() as f64 / count as f64);
                        report.multiply_adds = kernel.live() as u64 * uses;
                    }
                }
                Action::Operate(_) => report.arithmetic = Arithmetic::Burn,
                Action::Run { .. } | Action::Give { .. } | Action::Get { .. } => {
                    report.conversions += 1;
                }
            }
        }
        Self { operations }
    }

    pub(super) fn with_times(mut self, plan: &Plan, times: &[Duration]) -> Self {
        for (step, time) in plan.steps.iter().zip(times) {
            if let Some(report) = self.operations.get_mut(step.node) {
                *report.time.get_or_insert_default() += *time;
            }
        }
        self
    }

    /// Names of the operations that are left to burn.
    pub fn left_to_burn(&self) -> impl Iterator<Item = &str> {
        let left = self
            .operations
            .iter()
            .filter(|report| report.arithmetic == Arithmetic::Burn);
        left.map(|report| report.operation.as_str())
    }

    /// Multiply-adds of all operations, those left to burn apart.
    pub fn multiply_adds(&self) -> u64 {
        self.operations
            .iter()
            .map(|report| report.multiply_adds)
            .sum()
    }
}

fn of(graph: &Graph, node: &Node) -> OperationReport {
    let weight = node.inputs.get(1).copied();
    let is_burn = matches!(node.operation, Operation::Burn(_));
    OperationReport {
        operation: node.operation.name(),
        path: weight
            .and_then(|id| graph.weight_path(id))
            .map(str::to_string),
        shape: node
            .outputs
            .first()
            .map_or(Vec::new(), |id| graph.shape(*id).to_vec()),
        density: None,
        arithmetic: if is_burn {
            Arithmetic::Burn
        } else {
            Arithmetic::Nothing
        },
        multiply_adds: work::between(graph, node),
        bytes: 0,
        conversions: 0,
        time: None,
    }
}

impl fmt::Display for NetworkReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps = || {
            let operations = self.operations.iter();
            operations.filter(|report| report.arithmetic != Arithmetic::Nothing)
        };
        let total: Duration = steps().filter_map(|report| report.time).sum();
        let width = |text: fn(&OperationReport) -> &str, least: usize| {
            steps()
                .map(|report| text(report).len())
                .max()
                .unwrap_or(0)
                .max(least)
        };
        let paths = width(|report| report.path.as_deref().unwrap_or(""), 4);
        let names = width(|report| &report.operation, 9).min(40);
        writeln!(
            f,
            "{:paths$}  {:names$}  {:>16}  {:>7}  {:14}  {:>9}  {:>9}  {:>9}  {:>6}",
            "path", "operation", "shape", "density", "arithmetic", "MFLOP", "bytes", "µs", "time"
        )?;
        for report in steps() {
            let shape: Vec<String> = report.shape.iter().map(usize::to_string).collect();
            let density = report
                .density
                .map_or("-".into(), |density| format!("{density:.4}"));
            let time = report.time.map(|time| time.as_secs_f64());
            let microseconds = time.map_or("-".into(), |time| format!("{:.1}", 1e6 * time));
            let share =
                |time: f64| format!("{:.1}%", 100.0 * time / total.as_secs_f64().max(1e-12));
            writeln!(
                f,
                "{:paths$}  {:names$}  {:>16}  {density:>7}  {:14}  {:>9.3}  {:>9}  {microseconds:>9}  {:>6}",
                report.path.as_deref().unwrap_or(""),
                shortened(&report.operation),
                shape.join("x"),
                report.arithmetic,
                2e-6 * report.multiply_adds as f64,
                report.bytes,
                time.map_or("-".into(), share),
            )?;
        }
        let left: Vec<&str> = self.left_to_burn().collect();
        match left.is_empty() {
            true => write!(f, "nothing is left to burn"),
            false => write!(f, "left to burn: {} ({})", left.len(), left.join(", ")),
        }
    }
}

/// Programs of many functions have long names.
fn shortened(name: &str) -> String {
    match name.chars().count() {
        ..=40 => name.to_string(),
        _ => name.chars().take(39).chain(['…']).collect(),
    }
}
