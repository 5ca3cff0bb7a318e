//! What a parameter is called, how it is shaped and which layer owns it.

use std::collections::HashMap;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{Tensor, TensorData};

use super::ParamVector;
use super::tied::First;

/// One trainable parameter of a module.
///
/// A parameter that the module uses in several places (an embedding that is the output's weight,
/// say) is one leaf: its first place, in the order of the module's fields, names it, says which
/// layer owns it and whether it is trainable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The parameter's id, which survives records and device moves.
    pub id: ParamId,
    /// Dotted path from the module's root, for example `layer1.0.conv1.weight`.
    pub path: String,
    /// Paths of a tied weight's other places.
    pub tied: Vec<String>,
    /// Type name of the layer that owns the parameter, for example `Conv2d`.
    pub layer: String,
    /// Shape of the tensor, in burn's layout.
    pub shape: Vec<usize>,
}

impl Leaf {
    /// The paths of all places.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let tied = self.tied.iter();
        std::iter::once(&self.path).chain(tied).map(String::as_str)
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the parameter holds no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Keeps track of where in the tree a visitor is. Walks are made several times in a step, so that
/// it holds two strings, not two for each module.
#[derive(Default)]
pub(super) struct Path {
    dotted: String,
    containers: String,
    /// How long both were before each module that is entered.
    before: Vec<(usize, usize)>,
}

impl Path {
    pub(super) fn enter(&mut self, name: &str, container: &str) {
        let is_root = self.before.is_empty();
        self.before.push((self.dotted.len(), self.containers.len()));
        if !is_root {
            self.dotted.push('.');
        }
        self.dotted.push_str(name);
        self.containers.push_str(container);
    }

    pub(super) fn exit(&mut self) {
        if let Some((dotted, containers)) = self.before.pop() {
            self.dotted.truncate(dotted);
            self.containers.truncate(containers);
        }
    }

    pub(super) fn dotted(&self) -> String {
        self.dotted.clone()
    }

    fn layer(&self) -> String {
        let start = self.before.last().map_or(0, |(_, containers)| *containers);
        let container = &self.containers[start..];
        container
            .strip_prefix("Struct:")
            .unwrap_or(container)
            .to_string()
    }
}

struct LeafVisitor {
    path: Path,
    leaves: Vec<Leaf>,
    /// Which leaf a parameter is, if it is one.
    met: HashMap<ParamId, Option<usize>>,
    /// Whether frozen parameters and running statistics are leaves, too.
    all: bool,
}

impl ModuleVisitor for LeafVisitor {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(met) = self.met.get(&param.id) {
            let leaf = met.map(|leaf| &mut self.leaves[leaf]);
            if let Some(leaf) = leaf {
                leaf.tied.push(self.path.dotted());
            }
            return;
        }
        // The value's own shape: where burn transposes a weight when it is initialised, the shape
        // that it announces before is another.
        let value = param.base();
        let is_leaf = self.all || value.is_require_grad();
        let leaf = is_leaf.then_some(self.leaves.len());
        self.met.insert(param.id, leaf);
        if is_leaf {
            self.leaves.push(Leaf {
                id: param.id,
                path: self.path.dotted(),
                tied: Vec::new(),
                layer: self.path.layer(),
                shape: value.dims().to_vec(),
            });
        }
    }
}

/// The trainable parameters of a module, in the order of its fields.
///
/// Parameters that nobody has read yet are initialised.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::LinearConfig, tensor::Device};
/// let layer = LinearConfig::new(3, 2).init(&Device::flex().autodiff());
/// let leaves = zosam::tree::leaves(&layer);
/// assert_eq!(leaves[0].path, "weight");
/// assert_eq!(leaves[0].layer, "Linear");
/// assert_eq!(leaves[0].shape, [3, 2]);
/// # }
/// ```
pub fn leaves<M: Module>(model: &M) -> Vec<Leaf> {
    collect(model, false)
}

/// As [`leaves`], of a model in validation mode, too, where burn lets nothing require a gradient.
pub(crate) fn trained<M: Module>(model: &M) -> Vec<Leaf> {
    match leaves(model) {
        none if none.is_empty() => leaves(&model.clone().train()),
        some => some,
    }
}

/// As [`leaves`], with frozen parameters and running statistics: the tensors of [`named_tensors`].
pub(crate) fn float_leaves<M: Module>(model: &M) -> Vec<Leaf> {
    collect(model, true)
}

fn collect<M: Module>(model: &M, all: bool) -> Vec<Leaf> {
    let mut visitor = LeafVisitor {
        path: Path::default(),
        leaves: Vec::new(),
        met: HashMap::new(),
        all,
    };
    model.visit(&mut visitor);
    visitor.leaves
}

struct Initialise;

impl ModuleVisitor for Initialise {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        param.base();
    }
}

/// Reads every float parameter, which burn initialises when it is first read.
pub(crate) fn initialise<M: Module>(model: &M) {
    model.visit(&mut Initialise);
}

struct ValueVisitor {
    values: ParamVector,
    first: First,
    /// Whether frozen parameters and running statistics have values, too.
    all: bool,
}

impl ModuleVisitor for ValueVisitor {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.first.is(param.id) || !(self.all || param.is_require_grad()) {
            return;
        }
        let tensor = param.base();
        let plain = match tensor.is_autodiff() {
            true => tensor.inner(),
            false => tensor,
        };
        self.values.push(param.id, flatten(plain));
    }
}

/// The values of the trainable parameters, detached from any graph.
pub fn values<M: Module>(model: &M) -> ParamVector {
    values_of(model, false)
}

/// The values of the parameters of [`float_leaves`], detached from any graph.
pub(crate) fn float_values<M: Module>(model: &M) -> ParamVector {
    values_of(model, true)
}

fn values_of<M: Module>(model: &M, all: bool) -> ParamVector {
    let mut visitor = ValueVisitor {
        values: ParamVector::default(),
        first: First::default(),
        all,
    };
    model.visit(&mut visitor);
    visitor.values
}

#[derive(Default)]
struct NamedVisitor {
    path: Path,
    first: First,
    tensors: Vec<(String, TensorData)>,
}

impl ModuleVisitor for NamedVisitor {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.first.is(param.id) {
            let data = param.base().into_data();
            // burn reads a GPU's numbers when they are first looked at, and by then a step may have
            // written others in their place: a rewind point would be the trained weights.
            let _ = data.as_bytes();
            self.tensors.push((self.path.dotted(), data));
        }
    }
}

/// Every float tensor of a module with its path, running statistics included; a tied weight under
/// its first path.
///
/// Updates of running statistics that burn keeps pending are folded in first.
pub fn named_tensors<M: Module>(model: &M) -> Vec<(String, TensorData)> {
    let mut visitor = NamedVisitor::default();
    model.valid().visit(&mut visitor);
    visitor.tensors
}

pub(super) fn flatten<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let elements = tensor.shape().num_elements();
    tensor.reshape([elements])
}
