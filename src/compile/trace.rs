//! A forward pass as burn records it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use burn::backend::capture::{CaptureBackend, TensorId};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Bool, BoolStore, Device, DeviceConfig, Int, IntDType, Tensor, TensorData};
use burn_ir::OperationIr;

use super::mappers::{ids, moved};
use super::tensors::Tensors;
use crate::error::{Error, Result, caught};

/// The operations of a forward pass, without those that only make tensors from data.
pub(super) struct Trace {
    pub operations: Vec<OperationIr>,
    /// Numbers of inputs, parameters and constants.
    pub values: BTreeMap<TensorId, TensorData>,
    /// Paths of parameters and running statistics.
    pub names: HashMap<TensorId, String>,
    pub inputs: Vec<TensorId>,
    pub outputs: Vec<TensorId>,
}

/// Capture devices that are at rest. A process can make 65,536 of them, and each takes any number
/// of recordings, one at a time.
static DEVICES: Mutex<Vec<Device>> = Mutex::new(Vec::new());

/// Records a forward pass in evaluation mode. The module and its running statistics stay as they
/// are.
pub(super) fn trace<M: Module, I: Tensors, O: Tensors>(
    module: &M,
    sample: &I,
    forward: &impl Fn(&M, I) -> O,
) -> Result<Trace> {
    let device = DEVICES.lock().ok().and_then(|mut devices| devices.pop());
    let device = device.unwrap_or_else(Device::capture);
    // Running statistics are shared by clones, and moving a clone moves them: `valid` makes new
    // ones.
    let module = module.valid().materialize();
    let recorded = caught(|| {
        let mut names = Names::default();
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        let captured = device.capture_scope(|scope| {
            // As flex has them: whole numbers that a module makes must meet those of the inputs. It
            // can be set once.
            let types = DeviceConfig::default()
                .int_dtype(IntDType::I32)
                .bool_dtype(BoolStore::Native);
            let _ = device.clone().configure(types);
            let module = module.to_device(&device);
            module.visit(&mut names);
            let sample = moved(sample.clone(), &device);
            inputs = ids(&sample);
            let output = forward(&module, sample);
            outputs = ids(&output);
            scope.complete(inputs.iter().copied().flatten(), [])
        });
        captured.map(|captured| (captured, names.names, inputs, outputs))
    });
    if let Ok(mut devices) = DEVICES.lock() {
        devices.push(device);
    }
    let recorded = recorded.map_err(panicked)?;
    let (captured, names, inputs, outputs) = recorded.map_err(|error| Error::Compile {
        reason: error.to_string(),
        instead: "a forward pass of its inputs alone",
    })?;
    let known = |ids: Vec<Option<TensorId>>, what: &str| {
        let ids: Option<Vec<TensorId>> = ids.into_iter().collect();
        ids.ok_or_else(|| Error::Compile {
            reason: format!("{what} was made on another device"),
            instead: "outputs have to be computed from the inputs and the module's parameters",
        })
    };
    let mut operations = captured.graph.operations;
    operations
        .retain(|operation| !matches!(operation, OperationIr::Init(_) | OperationIr::Drop(_)));
    Ok(Trace {
        operations,
        values: captured.values,
        names,
        inputs: known(inputs, "an input")?,
        outputs: known(outputs, "an output")?,
    })
}

/// What a forward pass said when it panicked, and what to do about it.
pub(super) fn panicked(text: String) -> Error {
    let instead = HINTS.iter().find(|(part, _)| text.contains(part));
    Error::Compile {
        instead: instead.map_or("it has to run on the sample that was given", |(_, hint)| {
            hint
        }),
        reason: format!("its forward pass stopped: {text}"),
    }
}

/// Parts of burn's messages, and what to do.
const HINTS: [(&str, &str); 6] = [
    (
        "no concrete value",
        "a forward pass may branch on shapes, not on numbers: they are not known while it is recorded",
    ),
    (
        "no initialized value",
        "a forward pass may branch on shapes, not on numbers: they are not known while it is recorded",
    ),
    (
        "not on the same device",
        "every tensor that it uses has to be an input, or a parameter or buffer of the module, which move with it",
    ),
    (
        "wrong backend",
        "every tensor that it uses has to be an input, or a parameter or buffer of the module, which move with it",
    ),
    (
        "Backend not supported for custom op",
        "an operation for one backend cannot be recorded: fall back to burn's own on other devices",
    ),
    (
        "seeding is not supported",
        "a forward pass has to be the same every time",
    ),
];

/// Paths of what a module holds, by its tensors on the capture device.
#[derive(Default)]
struct Names {
    path: Vec<String>,
    names: HashMap<TensorId, String>,
}

impl Names {
    fn add(&mut self, id: Option<TensorId>) {
        if let Some(id) = id {
            self.names.insert(id, self.path.join("."));
        }
    }
}

impl ModuleVisitor for Names {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val().try_into_primitive::<CaptureBackend>();
        self.add(tensor.ok().map(|tensor| tensor.id()));
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        let tensor = param.val().try_into_primitive::<CaptureBackend>();
        self.add(tensor.ok().map(|tensor| tensor.id()));
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        let tensor = param.val().try_into_primitive::<CaptureBackend>();
        self.add(tensor.ok().map(|tensor| tensor.id()));
    }
}
