//! The service as a process.

pub(crate) mod flags;
mod running;
