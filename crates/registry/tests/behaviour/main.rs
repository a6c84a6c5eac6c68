//! The requests of the crate, seen from outside.
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
mod listing;
mod server;
mod transport;
