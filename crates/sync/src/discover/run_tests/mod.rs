//! Whole runs over in-memory stores: tags of sources and destinations, call by call.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod ages;
mod broken_lists;
mod conflicts;
mod destination_tags;
mod division;
mod leftovers;
mod listed_digests;
mod policies;
mod signature_conflicts;
mod templates;
