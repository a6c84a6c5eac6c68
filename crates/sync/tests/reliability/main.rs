//! The proof that no image is lost: every fault at every request, and what becomes of it.
//!
//! [`faults`] is the table: a new fault is a new row. [`operations`] are the requests that it strikes, [`registries`]
//! the ways of registries that are no faults and end a copy all the same. [`matrix`] runs all of it, one world of
//! registries a cell, and [`document`] writes the same table as `docs/reliability.md`. [`thousands`] lets every request of
//! many images fail now and then, [`cuts`] cuts a large layer to pieces, and [`stalls`] falls silent. They are short here;
//! `scripts/reliability --long` runs them at full length.
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
mod stalls;
mod thousands;
mod world;

/// Whether the tests that have a long form run at full length.
fn is_long() -> bool {
    std::env::var_os("RELIABILITY_LONG").is_some()
}
