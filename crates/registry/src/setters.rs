//! Setters of option structs, which can get further fields without breaking their users.

/// Adds a chainable method for each named field.
macro_rules! setters {
    ($options:ty { $($(#[$doc:meta])* $method:ident($field:ident: $value:ty);)* }) => {
        impl $options {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $method(mut self, $field: $value) -> Self {
                    self.$field = $field;
                    self
                }
            )*
        }
    };
}

pub(crate) use setters;
