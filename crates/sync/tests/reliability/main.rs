//! The proof that no image is lost: every fault at every request, and what becomes of it.
//!
//! [`faults`] is the table: a new fault is a new row. [`operations`] are the requests that it strikes, [`registries`]
//! the ways of registries that are no faults and end a copy all the same. [`matrix`] runs all of it, one world of
//! registries a cell, and [`document`] writes the same table as `docs/reliability.md`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod document;
mod expect;
mod faults;
mod matrix;
mod operations;
mod registries;
mod world;
