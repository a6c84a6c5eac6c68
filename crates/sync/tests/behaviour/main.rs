//! Behavior of the crate between registries in this process, over real HTTP.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod census;
mod deleting;
mod events;
mod heads;
mod isolation;
mod kit;
mod leases;
mod listed_digests;
mod options;
mod planning;
mod referrer_counts;
mod referrer_listings;
mod referrer_requests;
mod referrer_tags;
mod repositories;
mod run;
mod sessions;
mod settings;
mod shapes;
mod sharing;
mod tokens;
mod transfer;
mod unreachable;
