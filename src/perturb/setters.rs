//! The builder methods of configurations.

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
