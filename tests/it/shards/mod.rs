//! Runs that several processes share without a server, and their reports.

pub(crate) mod reports;
pub(crate) mod runs;

mod kubernetes;
mod mistakes;
mod support;
