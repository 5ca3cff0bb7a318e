//! Functions of single numbers, norms, softmax and pools.

use std::sync::Arc;

use super::moves::repeated;
use super::planner::Planner;
use super::products::unfit;
use super::view::{Layout, Manner, View};
use crate::error::Result;
use crate::inference::graph::{Id, Node, Operation, shapes};
use crate::inference::steps::{
    Broadcast, Channels, GroupNorm, LayerNorm, Map, Pool, PoolKind, Reduce, Softmax, SumPieces,
};
use crate::kernels::elementwise::{Binary, Instruction, keeps_zero};
use crate::kernels::standardise::Statistics;
use crate::kernels::strided::Axes;

impl Planner<'_> {
    /// A tensor without gaps, as it lies if it has none; in pieces only if what lies around them may
    /// be computed with.
    fn dense(&mut self, id: Id, pieces: bool) -> Result<View> {
        self.place(id);
        let shape = self.shape(id);
        let takes = |view: &&View| match view.layout.mosaic {
            Some(_) => pieces,
            None => view.layout.is_dense(shape),
        };
        match self.views(id).iter().find(takes) {
            Some(view) => Ok(view.clone()),
            None => self.plain(id),
        }
    }

    pub fn map(&mut self, node: &Node, program: &[Instruction]) -> Result<()> {
        let computed = node.inputs.iter().find(|id| !self.is_constant(**id));
        let first = *computed.unwrap_or(&node.inputs[0]);
        let pieces = keeps_zero(program, node.inputs.len());
        let layout = self.dense(first, pieces)?.layout;
        let mut from = Vec::new();
        for &id in &node.inputs {
            let view = self.view(id, &layout)?;
            from.push(self.whole(id, &view));
        }
        let kernel = Map {
            program: program.to_vec(),
            inputs: from.len(),
        };
        self.run(Arc::new(kernel), from, node.outputs[0], layout);
        Ok(())
    }

    pub fn broadcast(&mut self, node: &Node, function: Binary) -> Result<()> {
        let to = node.outputs[0];
        let shape = self.shape(to);
        // The output lies as the larger of both does.
        let large = node.inputs.iter().find(|id| self.shape(**id) == shape);
        let layout = match large {
            Some(&id) => self.dense(id, self.scales_planes(node, function))?.layout,
            None => Layout::plain(shape),
        };
        let mut views = Vec::new();
        for &id in &node.inputs {
            let shape = self.shape(id);
            views.push(match self.find(id, &layout) {
                Some(view) if shape == self.shape(to) => view,
                _ => self.any(id)?,
            });
        }
        let strides = |(id, view): (&Id, &View)| repeated(&view.layout, self.shape(*id), shape);
        let strides: Vec<_> = node.inputs.iter().zip(&views).map(strides).collect();
        let regions = node.inputs.iter().zip(&views);
        let from = regions.map(|(id, view)| self.whole(*id, view)).collect();
        let axes = match layout.mosaic {
            // A plane is one axis, with what lies around its pieces.
            Some(mosaic) => {
                let planes = [shape[0], shape[1], mosaic.length()];
                let whole = |at: usize| match views[at].layout.mosaic {
                    Some(_) => [strides[at][0], strides[at][1], 1],
                    None => [strides[at][0], strides[at][1], 0],
                };
                let [a, b] = [whole(0), whole(1)];
                let to = [layout.strides[0], layout.strides[1], 1];
                Axes::new(&planes, [&a, &b, &to])
            }
            None => Axes::new(shape, [&strides[0], &strides[1], &layout.strides]),
        };
        self.run(Arc::new(Broadcast { function, axes }), from, to, layout);
        Ok(())
    }

    /// Whether whole planes are multiplied by a number each, so that what is zero stays so.
    fn scales_planes(&self, node: &Node, function: Binary) -> bool {
        let to = self.shape(node.outputs[0]);
        let is_number = |id: &Id| {
            let shape = self.shape(*id);
            shape.len() == 4 && shape[2..] == [1, 1] && to[2..] != [1, 1]
        };
        function == Binary::Multiply
            && to.len() == 4
            && node.inputs.iter().filter(|id| is_number(id)).count() == 1
    }

    pub fn channels(&mut self, node: &Node, relu: bool) -> Result<()> {
        let floats = |at: usize| self.graph.floats(node.inputs[at]).unwrap_or(&[]).iter();
        let factors = floats(1).copied().zip(floats(2).copied()).collect();
        let id = node.inputs[0];
        let shape = self.shape(id);
        self.place(id);
        let mosaic = self.mosaic(id);
        let view = match mosaic {
            Some(mosaic) => self.view(id, &Layout::pieces(shape, mosaic))?,
            None => self.plain(id)?,
        };
        let from = vec![self.whole(id, &view)];
        let pixels = || shape.get(2..).map_or(1, |rest| rest.iter().product());
        let kernel = Channels {
            factors,
            length: mosaic.map_or_else(pixels, |mosaic| mosaic.length()),
            mosaic,
            relu,
        };
        self.run(Arc::new(kernel), from, node.outputs[0], view.layout);
        Ok(())
    }

    pub fn layer_norm(&mut self, node: &Node, epsilon: f32, centred: bool) -> Result<()> {
        let (from, to) = (node.inputs[0], node.outputs[0]);
        let shape = self.shape(from);
        let columns: usize = shape[..shape.len() - 1].iter().product();
        let manner = if columns == 1 {
            Manner::Plain
        } else {
            Manner::Columns
        };
        let layout = manner.layout(shape);
        let mut regions = Vec::new();
        let view = self.view(from, &layout)?;
        regions.push(self.whole(from, &view));
        for &id in &node.inputs[1..] {
            let view = self.plain(id)?;
            regions.push(self.whole(id, &view));
        }
        let kernel = LayerNorm {
            statistics: Statistics { epsilon, centred },
            columns: (columns > 1).then_some(columns),
        };
        self.run(Arc::new(kernel), regions, to, layout);
        Ok(())
    }

    pub fn group_norm(&mut self, node: &Node, epsilon: f32, groups: usize) -> Result<()> {
        let shape = self.shape(node.inputs[0]);
        let mut regions = Vec::new();
        for &id in &node.inputs {
            let view = self.plain(id)?;
            regions.push(self.whole(id, &view));
        }
        let kernel = GroupNorm {
            statistics: Statistics {
                epsilon,
                centred: true,
            },
            groups,
            size: shape[1..].iter().product::<usize>() / groups,
        };
        let layout = Layout::plain(shape);
        self.run(Arc::new(kernel), regions, node.outputs[0], layout);
        Ok(())
    }

    pub fn softmax(&mut self, node: &Node, axis: usize, logarithm: bool) -> Result<()> {
        let from = node.inputs[0];
        let view = self.dense(from, false)?;
        let shape = self.shape(from);
        let kernel = Softmax {
            count: shape[axis],
            inner: if shape[axis] == 1 {
                1
            } else {
                view.layout.strides[axis]
            },
            logarithm,
        };
        let region = self.whole(from, &view);
        self.run(Arc::new(kernel), vec![region], node.outputs[0], view.layout);
        Ok(())
    }

    pub fn pool(&mut self, node: &Node) -> Result<()> {
        let (from, to) = (node.inputs[0], node.outputs[0]);
        let (kind, window) = match node.operation {
            Operation::AveragePool {
                window,
                counts_padding: true,
            } => (PoolKind::Mean, window),
            Operation::AveragePool { window, .. } => (PoolKind::MeanInside, window),
            Operation::MaxPool { window } => (PoolKind::Most, window),
            _ => return Ok(()),
        };
        let view = self.plain(from)?;
        let shape = self.shape(to);
        let kernel = Pool {
            kind,
            window,
            input: shapes::plane(self.shape(from)).map_err(unfit)?,
            output: shapes::plane(shape).map_err(unfit)?,
        };
        let region = self.whole(from, &view);
        self.run(Arc::new(kernel), vec![region], to, Layout::plain(shape));
        Ok(())
    }

    pub fn reduce(&mut self, node: &Node, axes: &[usize], mean: bool) -> Result<()> {
        let (from, to) = (node.inputs[0], node.outputs[0]);
        let shape = self.shape(from);
        let layout = Layout::plain(self.shape(to));
        if let (Some(mosaic), [2, 3]) = (self.mosaic(from), axes) {
            let view = self.view(from, &Layout::pieces(shape, mosaic))?;
            let pixels = (shape[2] * shape[3]) as f32;
            let kernel = SumPieces(mosaic, if mean { 1.0 / pixels } else { 1.0 });
            let region = self.whole(from, &view);
            self.run(Arc::new(kernel), vec![region], to, layout);
            return Ok(());
        }
        let view = self.any(from)?;
        let pick = |wanted: bool, numbers: &[usize]| -> Vec<usize> {
            let numbers = numbers.iter().enumerate();
            let numbers = numbers.filter(|(axis, _)| axes.contains(axis) == wanted);
            numbers.map(|(_, number)| *number).collect()
        };
        let strides = &view.layout.strides;
        let reduced = pick(true, shape);
        let count: usize = reduced.iter().product();
        let kernel = Reduce {
            kept: Axes::new(
                &pick(false, shape),
                [&pick(false, strides), &pick(false, &layout.strides)],
            ),
            reduced: Axes::new(&reduced, [&pick(true, strides)]),
            factor: if mean { 1.0 / count as f32 } else { 1.0 },
        };
        let region = self.whole(from, &view);
        self.run(Arc::new(kernel), vec![region], to, layout);
        Ok(())
    }
}
