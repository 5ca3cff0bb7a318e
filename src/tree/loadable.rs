//! Models that burn can load a record into.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;

use super::twin;

struct Unread;

impl ModuleMapper for Unread {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let stored = mapper.on_save(tensor.clone().inner()).shape();
        if stored == tensor.shape() {
            return Param::from_mapped_value(id, tensor, mapper);
        }
        let (device, trainable) = (tensor.device(), tensor.is_require_grad());
        let on_save = mapper.clone();
        Param::uninitialized(id, move |_, _| tensor, device, trainable, stored)
            .load_mapper(move |stored| mapper.on_load(stored))
            .save_mapper(move |value| on_save.on_save(value))
    }
}

/// The isolated twin of a model, into which a record of it can be loaded.
///
/// burn holds a record's shapes against those that parameters announce before they are initialised,
/// and against their values' afterwards. The two differ where a weight is stored transposed, as
/// burn's `Linear` does in `LinearLayout::Col`, so that burn cannot load into a model that has been
/// used. Such weights are put back to where their values are still to be made. Loading writes
/// running statistics through a lock that clones share, hence the twin.
pub(crate) fn loadable<M: Module>(model: &M) -> M {
    twin(model).map(&mut Unread)
}
