//! Where the tensors of a network lie, and the steps so far.

use std::collections::HashMap;
use std::sync::Arc;

use super::view::{Layout, View};
use crate::error::Result;
use crate::inference::graph::{Data, Graph, Id, Kind};
use crate::inference::interpreter::Program;
use crate::inference::steps::{Assemble, Kernel, Part, Product, PutPieces, TakePieces};
use crate::kernels::Mosaic;
use crate::kernels::strided::{self, Axes};

/// Memory of a run, or what is there before it.
#[derive(Clone, Debug)]
pub(crate) enum Slot {
    /// An input of the network.
    Input(usize),
    Constant(Arc<Data>),
    /// So many floats that steps write.
    Buffer(usize),
}

/// Some numbers of a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Region {
    pub slot: usize,
    pub offset: usize,
    pub length: usize,
}

impl Region {
    pub const NONE: Self = Self {
        slot: 0,
        offset: 0,
        length: 0,
    };
}

/// What a step does.
#[derive(Debug)]
pub(crate) enum Action {
    /// A kernel from some regions to the whole of a slot.
    Run {
        kernel: Arc<dyn Kernel>,
        from: Vec<Region>,
        to: usize,
    },
    /// Hands a tensor to burn.
    Give { id: Id, from: Region },
    /// An operation of burn's.
    Operate(usize),
    /// Takes a tensor from burn.
    Get { id: Id, to: usize },
}

#[derive(Debug)]
pub(crate) struct Step {
    /// The operation that it belongs to.
    pub node: usize,
    pub action: Action,
}

pub(crate) struct Planner<'g> {
    pub graph: &'g Graph,
    pub slots: Vec<Slot>,
    pub steps: Vec<Step>,
    /// The operation at hand.
    pub node: usize,
    views: Vec<Vec<View>>,
    /// Constants that a step's kernel has taken over, with that step.
    pub taken: Vec<(Id, usize)>,
    /// Kernels with weights, which operations share that have everything in common: the steps of a
    /// recurrent layer.
    pub products: HashMap<String, Arc<Product>>,
    /// Operations that are left to burn.
    pub program: Program,
    /// Tensors that burn has.
    pub(super) given: Vec<bool>,
}

impl<'g> Planner<'g> {
    pub fn new(graph: &'g Graph) -> Self {
        let count = graph.tensors.len();
        let mut planner = Self {
            graph,
            slots: Vec::new(),
            steps: Vec::new(),
            node: 0,
            views: vec![Vec::new(); count],
            taken: Vec::new(),
            products: HashMap::new(),
            program: Program::default(),
            given: vec![false; count],
        };
        for (index, &id) in graph.inputs.iter().enumerate() {
            let slot = planner.slot(Slot::Input(index));
            planner.lies(id, slot, Layout::plain(graph.shape(id)));
        }
        planner
    }

    pub fn slot(&mut self, slot: Slot) -> usize {
        self.slots.push(slot);
        self.slots.len() - 1
    }

    /// Says that a tensor lies at the beginning of a slot.
    pub(super) fn lies(&mut self, id: Id, slot: usize, layout: Layout) {
        let view = View {
            slot,
            offset: 0,
            layout,
        };
        self.views[id].push(view);
    }

    /// Says where a tensor lies, too.
    pub fn alias(&mut self, id: Id, view: View) {
        self.views[id].push(view);
    }

    /// Where a tensor lies already.
    pub fn views(&self, id: Id) -> &[View] {
        &self.views[id]
    }

    pub fn shape(&self, id: Id) -> &'g [usize] {
        self.graph.shape(id)
    }

    pub fn is_constant(&self, id: Id) -> bool {
        self.graph.constants.contains_key(&id)
    }

    /// Sees to it that a tensor lies somewhere.
    pub fn place(&mut self, id: Id) {
        if !self.views[id].is_empty() {
            return;
        }
        match self.graph.constants.get(&id) {
            Some(constant) => {
                let slot = self.slot(Slot::Constant(constant.data.clone()));
                self.lies(id, slot, Layout::plain(self.shape(id)));
            }
            None => self.get(id),
        }
    }

    /// A tensor as it lies, for whoever walks by strides; the first place, if there are several.
    pub fn any(&mut self, id: Id) -> Result<View> {
        self.place(id);
        let mut views = self.views[id].iter();
        match views.find(|view| view.layout.mosaic.is_none()) {
            Some(view) => Ok(view.clone()),
            None => self.plain(id),
        }
    }

    /// A tensor as it lies, if it lies in a layout.
    pub fn find(&self, id: Id, layout: &Layout) -> Option<View> {
        let shape = self.shape(id);
        let mut views = self.views[id].iter();
        views.find(|view| view.layout.is(layout, shape)).cloned()
    }

    /// A tensor in a layout without gaps or in pieces, by a copy if it does not lie so yet.
    pub fn view(&mut self, id: Id, layout: &Layout) -> Result<View> {
        self.place(id);
        if let Some(view) = self.find(id, layout) {
            return Ok(view);
        }
        let shape = self.shape(id);
        let plain = Layout::plain(shape);
        let first = match (layout.mosaic, self.views[id][0].layout.mosaic) {
            (Some(_), _) => self.view(id, &plain)?,
            (None, Some(mosaic)) if layout.is(&plain, shape) && self.lies_in_pieces_only(id) => {
                let from = self.whole(id, &self.views[id][0]);
                return Ok(self.run(Arc::new(TakePieces(mosaic)), vec![from], id, plain));
            }
            _ => self.any(id)?,
        };
        if let Some(data) = self
            .graph
            .constants
            .get(&id)
            .map(|constant| &*constant.data)
            && let (Data::Float(numbers), None) = (data, layout.mosaic)
        {
            let mut turned = vec![0.0; numbers.len()];
            let axes = Axes::new(shape, [&first.layout.strides, &layout.strides]);
            strided::copy(&axes, numbers, &mut turned);
            let slot = self.slot(Slot::Constant(Arc::new(Data::Float(turned))));
            self.lies(id, slot, layout.clone());
            return Ok(self.views[id][self.views[id].len() - 1].clone());
        }
        let kernel: Arc<dyn Kernel> = match layout.mosaic {
            Some(mosaic) => Arc::new(PutPieces(mosaic)),
            None => {
                let axes = Axes::new(shape, [&first.layout.strides, &layout.strides]);
                Arc::new(Assemble::of(Part { axes, to: 0 }))
            }
        };
        let from = self.whole(id, &first);
        Ok(self.run(kernel, vec![from], id, layout.clone()))
    }

    fn lies_in_pieces_only(&self, id: Id) -> bool {
        let mut views = self.views[id].iter();
        views.all(|view| view.layout.mosaic.is_some())
    }

    /// As [`view`](Self::view), row after row.
    pub fn plain(&mut self, id: Id) -> Result<View> {
        self.view(id, &Layout::plain(self.shape(id)))
    }

    /// The region of a view.
    pub fn whole(&self, id: Id, view: &View) -> Region {
        Region {
            slot: view.slot,
            offset: view.offset,
            length: view.layout.span(self.shape(id)),
        }
    }

    /// Adds a step that writes a tensor in a layout of its own slot.
    pub fn run(
        &mut self,
        kernel: Arc<dyn Kernel>,
        from: Vec<Region>,
        id: Id,
        layout: Layout,
    ) -> View {
        let to = self.slot(Slot::Buffer(layout.span(self.shape(id))));
        let action = Action::Run { kernel, from, to };
        self.steps.push(Step {
            node: self.node,
            action,
        });
        self.lies(id, to, layout);
        self.views[id][self.views[id].len() - 1].clone()
    }

    /// The pieces that a tensor lies in.
    pub fn mosaic(&self, id: Id) -> Option<Mosaic> {
        self.views[id].iter().find_map(|view| view.layout.mosaic)
    }

    pub fn kind(&self, id: Id) -> Kind {
        self.graph.tensors[id].kind
    }
}
