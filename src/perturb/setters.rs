//! The builder methods of configurations, and the check that most of their fields need.

use crate::error::{Result, check};

/// `with_field(value)` for fields of a configuration.
macro_rules! setters {
    ($config:ident { $($(#[$doc:meta])* $name:ident($field:ident: $kind:ty)),* $(,)? }) => {
        impl $config {
            /// The defaults.
            pub fn new() -> Self {
                Self::default()
            }

            $($(#[$doc])*
            pub fn $name(mut self, $field: $kind) -> Self {
                self.$field = $field;
                self
            })*
        }
    };
}

pub(super) use setters;

/// Checks a radius, a weight and the like.
pub(super) fn not_negative(field: &'static str, value: f64) -> Result<()> {
    check(field, value, value >= 0.0, "finite and at least 0")
}
