//! The server over real sockets.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod access;
mod document;
mod events;
mod property;
mod refusals;
mod support;
mod tls;
