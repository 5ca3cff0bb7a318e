//! The wrapper as a module of burn.

use std::fmt;

use burn::module::{Devices, Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::{GradientsParams, MultiGradientsParams};
use burn::tensor::{Device, Tensor};

use super::SparseModel;
use crate::perturb::Perturbation;

/// Name of the state among the parameters.
const STATE: &str = "sparsity";
const CONTAINER: &str = "Struct:SparseModel";

/// The inner model's parameters under their own paths, and one more that holds masks, history and
/// steps. It is made when a record is, so that it costs nothing otherwise.
impl<M: Module, P: Perturbation> Module for SparseModel<M, P> {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.model.collect_devices(devices)
    }

    fn fork(self, device: &Device) -> Self {
        Self {
            lineage: self.lineage.forked(),
            model: self.model.fork(device),
            shared: self.shared,
        }
    }

    fn to_device(self, device: &Device) -> Self {
        self.with(|model| model.to_device(device))
    }

    fn train(self) -> Self {
        self.with(Module::train)
    }

    fn valid(&self) -> Self {
        Self::with_shared(self.model.valid(), self.shared.clone())
    }

    fn materialize(self) -> Self {
        self.with(Module::materialize)
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.model.visit(visitor);
        visitor.enter_module(STATE, CONTAINER);
        visitor.visit_int(&self.shared.param());
        visitor.exit_module(STATE, CONTAINER);
    }

    fn map<V: ModuleMapper>(self, mapper: &mut V) -> Self {
        let Self { model, shared, .. } = self;
        let model = model.map(mapper);
        mapper.enter_module(STATE, CONTAINER);
        let state = mapper.map_int(shared.param());
        mapper.exit_module(STATE, CONTAINER);
        // A mapper that has no business with the state has not looked at it.
        if state.is_initialized() {
            shared.load(&state.val());
        }
        Self::with_shared(model, shared)
    }
}

impl<M: Module, P> SparseModel<M, P> {
    fn with(self, change: impl FnOnce(M) -> M) -> Self {
        Self {
            model: change(self.model),
            ..self
        }
    }
}

impl<M: fmt::Display, P> fmt::Display for SparseModel<M, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.model.fmt(f)
    }
}

/// The sum of the gradients of several devices, as burn's own multi-device step adds them.
pub(super) fn summed<M: Module>(
    model: &M,
    gradients: &mut MultiGradientsParams,
) -> GradientsParams {
    struct Sum<'a> {
        parts: &'a mut MultiGradientsParams,
        whole: GradientsParams,
    }

    impl ModuleVisitor for Sum<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some((gradient, _)) = self.parts.remove::<D>(param.id) {
                let gradient = gradient.to_device(&param.lazy_device().without_autodiff());
                self.whole.register(param.id, gradient);
            }
        }
    }

    let mut sum = Sum {
        parts: gradients,
        whole: GradientsParams::new(),
    };
    model.visit(&mut sum);
    sum.whole
}
