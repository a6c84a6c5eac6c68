//! The service as a process.

mod api;
mod connections;
pub(crate) mod flags;
#[cfg(feature = "share")]
mod replicas;
mod running;
