//! What the crate does on the wire, seen from outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod auth;
mod certificates;
mod client;
mod hostile;
mod server;
mod transport;
