//! Hostile registries, storage hosts and token servers.

mod bounds;
mod documents;
mod leading;
mod logins;
mod world;
