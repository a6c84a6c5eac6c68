//! The registry itself: listeners and their answers.

mod body;
mod builder;
mod call;
mod connection;
mod endpoints;
mod incoming;
mod judge;
mod listener;
mod pipeline;
mod rate_limit;
mod registry;
mod route;
mod sent;
mod shared;
mod verify;
mod wire;

pub use builder::RegistryBuilder;
pub use registry::Registry;
