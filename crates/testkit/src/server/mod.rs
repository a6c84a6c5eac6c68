//! The registry itself: listeners, and what they answer.

mod body;
mod builder;
mod endpoints;
mod incoming;
mod judge;
mod listener;
mod pipeline;
mod registry;
mod reply;
mod route;
mod sent;
mod shared;
mod verify;
mod wire;

pub use builder::Builder;
pub use registry::Registry;
pub(crate) use reply::Reply;
