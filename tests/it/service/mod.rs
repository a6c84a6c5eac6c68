//! The service as a process.

mod api;
pub(crate) mod flags;
mod running;
