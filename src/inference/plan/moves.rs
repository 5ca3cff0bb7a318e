//! Operations that only move numbers: most of them need no step, only another way to look at what
//! is there.

use std::sync::Arc;

use super::planner::Planner;
use super::view::{Layout, Manner, View};
use crate::error::Result;
use crate::inference::graph::{Graph, Id, Kind, Node};
use crate::inference::steps::{Assemble, Embedding, Part};
use crate::kernels::strided::Axes;

impl Planner<'_> {
    /// The output lies wherever the input does, seen in another way.
    fn seen(&mut self, node: &Node, look: impl Fn(&View, &[usize]) -> Option<View>) -> Result<()> {
        let (from, to) = (node.inputs[0], node.outputs[0]);
        self.place(from);
        let shape = self.shape(from);
        let look_at = |planner: &Self| -> Vec<View> {
            let views = planner.views(from).iter();
            views.filter_map(|view| look(view, shape)).collect()
        };
        let mut seen = look_at(self);
        if seen.is_empty() {
            self.plain(from)?;
            seen = look_at(self);
        }
        seen.into_iter().for_each(|view| self.alias(to, view));
        Ok(())
    }

    pub fn reshape(&mut self, node: &Node) -> Result<()> {
        let to = self.shape(node.outputs[0]);
        self.seen(node, |view, from| {
            let layout = view.layout.reshaped(from, to)?;
            Some(View {
                layout,
                ..view.clone()
            })
        })
    }

    pub fn permute(&mut self, node: &Node, order: &[usize]) -> Result<()> {
        self.seen(node, |view, _| {
            let strides = order.iter().map(|axis| view.layout.strides[*axis]);
            strided(view, 0, strides.collect())
        })
    }

    pub fn expand(&mut self, node: &Node) -> Result<()> {
        let to = self.shape(node.outputs[0]);
        self.seen(node, |view, from| {
            strided(view, 0, repeated(&view.layout, from, to))
        })
    }

    pub fn slice(&mut self, node: &Node, starts: &[usize], steps: &[usize]) -> Result<()> {
        let to = self.shape(node.outputs[0]);
        self.seen(node, |view, from| {
            let strides = &view.layout.strides;
            let skipped = strides
                .iter()
                .zip(starts)
                .map(|(stride, start)| stride * start);
            let offset = skipped.sum();
            // Whole planes stay in pieces.
            let is_whole =
                from.len() == 4 && from[2..] == to[2..] && steps[..2] == [1, 1] && from[0] == 1;
            if view.layout.mosaic.is_some() && is_whole {
                let mut view = view.clone();
                view.offset += offset;
                return Some(view);
            }
            let strides = strides
                .iter()
                .zip(steps)
                .map(|(stride, step)| stride * step);
            strided(view, offset, strides.collect())
        })
    }

    pub fn concat(&mut self, node: &Node, axis: usize) -> Result<()> {
        let to = node.outputs[0];
        let manner = self.manner_of_parts(node, axis)?;
        let layout = manner.layout(self.shape(to));
        let zeros = |graph: &Graph, id: Id| {
            let numbers = graph.floats(id);
            numbers.is_some_and(|numbers| numbers.iter().all(|number| number.to_bits() == 0))
        };
        let (mut parts, mut from, mut fill) = (Vec::new(), Vec::new(), None);
        let mut at = 0;
        for &id in &node.inputs {
            let shape = self.shape(id);
            let place = at * layout.strides[axis];
            at += shape[axis];
            if shape.contains(&0) {
                continue;
            }
            if zeros(self.graph, id) {
                fill = Some(0.0);
                continue;
            }
            let view = match self.is_constant(id) || layout.mosaic.is_some() {
                true => self.view(id, &manner.layout(shape))?,
                false => self.any(id)?,
            };
            if layout.mosaic.is_some() {
                let region = self.whole(id, &view);
                from.push(region);
                let axes = Axes::new(&[region.length], [&[1], &[1]]);
                parts.push(Part { axes, to: place });
                continue;
            }
            from.push(self.whole(id, &view));
            let axes = Axes::new(shape, [&view.layout.strides, &layout.strides]);
            parts.push(Part { axes, to: place });
        }
        self.run(Arc::new(Assemble { fill, parts }), from, to, layout);
        Ok(())
    }

    /// As the first computed part lies: in pieces if all parts do and channels are put together, or
    /// in columns.
    fn manner_of_parts(&mut self, node: &Node, axis: usize) -> Result<Manner> {
        let shape = self.shape(node.outputs[0]);
        let mut mosaics = node.inputs.iter().map(|id| self.mosaic(*id));
        if let Some(Some(mosaic)) = mosaics.next()
            && (axis, shape.len(), shape[0]) == (1, 4, 1)
            && mosaics.all(|other| other == Some(mosaic))
        {
            return Ok(Manner::Pieces(mosaic));
        }
        let mut computed = node.inputs.iter().filter(|id| !self.is_constant(**id));
        let Some(&first) = computed.next() else {
            return Ok(Manner::Plain);
        };
        self.any(first)?;
        let lies = |manner: Manner| {
            self.find(first, &manner.layout(self.shape(first)))
                .is_some()
        };
        Ok(match !lies(Manner::Plain) && lies(Manner::Columns) {
            true => Manner::Columns,
            false => Manner::Plain,
        })
    }

    pub fn pad(&mut self, node: &Node, before: &[usize], value: f32) -> Result<()> {
        let (from, to) = (node.inputs[0], node.outputs[0]);
        let view = self.any(from)?;
        let layout = Layout::plain(self.shape(to));
        let part = part(self.shape(from), &view.layout, &layout, before, None);
        let region = self.whole(from, &view);
        let kernel = Assemble {
            fill: Some(value),
            parts: vec![part],
        };
        self.run(Arc::new(kernel), vec![region], to, layout);
        Ok(())
    }

    pub fn assign(&mut self, node: &Node, starts: &[usize], steps: &[usize]) -> Result<()> {
        let (to, mut parts, mut from) = (node.outputs[0], Vec::new(), Vec::new());
        let layout = Layout::plain(self.shape(to));
        for (&id, starts, steps) in [
            (&node.inputs[0], None, None),
            (&node.inputs[1], Some(starts), Some(steps)),
        ] {
            let shape = self.shape(id);
            if shape.contains(&0) {
                continue;
            }
            let view = self.any(id)?;
            let none = vec![0; shape.len()];
            parts.push(part(
                shape,
                &view.layout,
                &layout,
                starts.unwrap_or(&none),
                steps,
            ));
            from.push(self.whole(id, &view));
        }
        self.run(Arc::new(Assemble { fill: None, parts }), from, to, layout);
        Ok(())
    }

    pub fn embedding(&mut self, node: &Node) -> Result<()> {
        let [table, indices] = [node.inputs[0], node.inputs[1]];
        debug_assert_eq!(self.kind(indices), Kind::Int);
        let shape = self.shape(table);
        let views = [self.plain(table)?, self.plain(indices)?];
        let from = vec![self.whole(table, &views[0]), self.whole(indices, &views[1])];
        let kernel = Embedding {
            rows: shape[0],
            width: shape[1],
        };
        let to = node.outputs[0];
        self.run(Arc::new(kernel), from, to, Layout::plain(self.shape(to)));
        Ok(())
    }
}

/// A view at other strides; none of what lies in pieces.
fn strided(view: &View, offset: usize, strides: Vec<usize>) -> Option<View> {
    view.layout.mosaic.is_none().then(|| View {
        slot: view.slot,
        offset: view.offset + offset,
        layout: Layout {
            strides,
            mosaic: None,
        },
    })
}

/// Strides by which a tensor is repeated to a larger shape.
pub(super) fn repeated(layout: &Layout, from: &[usize], to: &[usize]) -> Vec<usize> {
    let mut strides = vec![0; to.len()];
    let axes = from.iter().zip(&layout.strides).rev();
    for (axis, (size, stride)) in (0..to.len()).rev().zip(axes) {
        strides[axis] = if *size == 1 { 0 } else { *stride };
    }
    strides
}

/// A part at a place of an output.
fn part(
    shape: &[usize],
    from: &Layout,
    to: &Layout,
    starts: &[usize],
    steps: Option<&[usize]>,
) -> Part {
    let place = starts
        .iter()
        .zip(&to.strides)
        .map(|(start, stride)| start * stride);
    let apart = to.strides.iter().enumerate();
    let apart = apart.map(|(axis, stride)| stride * steps.map_or(1, |steps| steps[axis]));
    Part {
        axes: Axes::new(shape, [&from.strides, &apart.collect::<Vec<_>>()]),
        to: place.sum(),
    }
}
