//! Whole runs over in-memory stores: comparisons of images and destinations, call by call.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod indexes;
mod verifying;
