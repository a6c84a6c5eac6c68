//! The service as a process.

mod api;
mod connections;
pub(crate) mod flags;
mod running;
