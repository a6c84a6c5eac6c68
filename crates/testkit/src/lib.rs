//! A registry in this process that counts requests, injects faults and judges.
#![allow(
    clippy::expect_used,
    reason = "test support: a fixture that cannot be set up must stop the test"
)]
#![allow(
    clippy::return_self_not_must_use,
    reason = "the crate is full of builders, and whoever drops one sees it in the test"
)]

pub mod auth;
pub mod blob;
pub mod digest;
pub mod fault;
pub mod image;
pub mod log;
pub mod profile;
pub mod raw;
pub mod real;
pub mod server;
pub mod state;
pub mod tls;

pub use auth::{Access, Auth, Grant, TokenPlace, TokenRules};
pub use blob::Blob;
pub use fault::{Action, Answer, Cut, Fault, RetryAfter};
pub use image::{Image, Layer, Manifest, Platform};
pub use log::{Authorization, Kind, Request};
pub use profile::Profile;
pub use server::{Builder, Registry};
pub use state::State;
pub use tls::Tls;
