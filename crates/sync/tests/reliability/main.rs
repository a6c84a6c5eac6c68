//! Proof that no image is lost: every fault at every request, with the outcome.
//!
//! [`faults`] is the table: a new fault is a new row. [`operations`] are the affected requests, and [`registries`] the
//! legitimate behaviors that may still end a copy. [`matrix`] runs all of it, with new registries for each cell, and
//! [`document`] writes the same table as `docs/reliability.md`. [`thousands`] fails requests of many images at random,
//! [`cuts`] cuts a large layer to pieces, and [`stalls`] stops answering. They are short here; `scripts/reliability
//! --long` runs them at full length.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod cuts;
mod document;
mod expect;
mod faults;
mod matrix;
mod operations;
mod registries;
mod registry_pair;
mod stalls;
mod thousands;

/// Returns whether the tests with a long form run at full length.
fn is_long() -> bool {
    std::env::var_os("RELIABILITY_LONG").is_some()
}
