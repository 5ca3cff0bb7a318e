//! What a parameter is called, how it is shaped and which layer owns it.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{Tensor, TensorData};

use super::ParamVector;

/// One trainable parameter of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The parameter's id, which survives records and device moves.
    pub id: ParamId,
    /// Dotted path from the module's root, for example `layer1.0.conv1.weight`.
    pub path: String,
    /// Type name of the layer that owns the parameter, for example `Conv2d`.
    pub layer: String,
    /// Shape of the tensor, in burn's layout.
    pub shape: Vec<usize>,
}

impl Leaf {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the parameter holds no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Keeps track of where in the tree a visitor is.
#[derive(Default)]
pub(super) struct Path {
    names: Vec<String>,
    containers: Vec<String>,
}

impl Path {
    pub(super) fn enter(&mut self, name: &str, container: &str) {
        self.names.push(name.to_string());
        self.containers.push(container.to_string());
    }

    pub(super) fn exit(&mut self) {
        self.names.pop();
        self.containers.pop();
    }

    pub(super) fn dotted(&self) -> String {
        self.names.join(".")
    }

    fn layer(&self) -> String {
        let container = self.containers.last().map_or("", String::as_str);
        container
            .strip_prefix("Struct:")
            .unwrap_or(container)
            .to_string()
    }
}

struct LeafVisitor {
    path: Path,
    leaves: Vec<Leaf>,
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
        if self.all || param.is_require_grad() {
            self.leaves.push(Leaf {
                id: param.id,
                path: self.path.dotted(),
                layer: self.path.layer(),
                shape: param.lazy_shape().to_vec(),
            });
        }
    }
}

/// The trainable parameters of a module, in the order of its fields.
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

/// As [`leaves`], with frozen parameters and running statistics: the tensors of [`named_tensors`].
pub(crate) fn float_leaves<M: Module>(model: &M) -> Vec<Leaf> {
    collect(model, true)
}

fn collect<M: Module>(model: &M, all: bool) -> Vec<Leaf> {
    let mut visitor = LeafVisitor {
        path: Path::default(),
        leaves: Vec::new(),
        all,
    };
    model.visit(&mut visitor);
    visitor.leaves
}

struct ValueVisitor {
    values: ParamVector,
    /// Whether frozen parameters and running statistics have values, too.
    all: bool,
}

impl ModuleVisitor for ValueVisitor {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.all && !param.is_require_grad() {
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
    let values = ParamVector::default();
    let mut visitor = ValueVisitor { values, all };
    model.visit(&mut visitor);
    visitor.values
}

struct NamedVisitor {
    path: Path,
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
        self.tensors
            .push((self.path.dotted(), param.base().into_data()));
    }
}

/// Every float tensor of a module with its path, running statistics included.
///
/// Updates of running statistics that burn keeps pending are folded in first.
pub fn named_tensors<M: Module>(model: &M) -> Vec<(String, TensorData)> {
    let mut visitor = NamedVisitor {
        path: Path::default(),
        tensors: Vec::new(),
    };
    model.valid().visit(&mut visitor);
    visitor.tensors
}

pub(super) fn flatten<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let elements = tensor.shape().num_elements();
    tensor.reshape([elements])
}
