//! Whole runs over in-memory stores: copies of images and their referrers, call by call.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod conflicts;
mod copying;
mod healing;
mod moving_tags;
mod options;
mod referrers;
mod sharing;
mod volume;
