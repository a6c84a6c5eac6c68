//! Whole runs over in-memory stores: images at their source, call by call.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod filtering;
