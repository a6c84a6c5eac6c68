//! Bounds, interruption and the end of whole runs over in-memory stores.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod ending;
mod stopping;
