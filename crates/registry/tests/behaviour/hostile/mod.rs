//! Registries, storage and token servers that mean harm.

mod bounds;
mod documents;
mod leading;
mod logins;
mod world;
