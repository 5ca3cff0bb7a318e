//! What layers keep beside a mask, without the masks knowing what it is.

use std::any::Any;
use std::sync::{Arc, OnceLock};

/// A place for one value of any type.
#[derive(Debug, Default)]
pub(super) struct Beside(OnceLock<Arc<dyn Any + Send + Sync>>);

impl Beside {
    /// The value, made when it is first asked for.
    pub fn get<T: Default + Any + Send + Sync>(&self) -> Arc<T> {
        let value = self.0.get_or_init(|| Arc::new(T::default()));
        let value = value.clone().downcast();
        value.expect("whoever keeps something beside a mask asks for one type")
    }
}
