//! Whole runs over in-memory stores: facts from earlier runs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod blob_facts;
mod records;
