//! The engine of image-syncer: from rules to copied images.
//!
//! # How data flows
//!
//! ```text
//!  config ─▶ rule ─▶ discover ─▶ compare ─▶ transfer ─▶ commit ─▶ report
//!                                └──────────── copy ───────────┘
//!                       └─────────────── graph ────────────────┘
//! ```
//!
//! Each word is a module of this crate, and data flows through them in this order. [`config`] turns files and flags
//! into a [`Config`]: [`rule`]s and credentials. [`discover`] turns a rule into images. [`compare`] turns an image and
//! a destination into a plan. [`transfer`] moves its blobs, and [`commit`] pushes its manifests, leaves first, the tag
//! last. [`graph`] holds the image at its source for these stages: root, children and blobs, each fetched once.
//! [`copy`] drives one image through compare, transfer and commit, and repeats them if a fact was wrong. [`engine`]
//! owns the queue and the limits. Every outcome leaves as an [`event`]; [`report`] folds events into a summary. This
//! crate prints nothing.
//!
//! One result flows back: each copy returns the signature tags and other referrer tags that its image covers. [`engine`]
//! collects them for each source, and passes them to the last pass of discover, which sends the leftover tags as images.

pub mod commit;
pub mod compare;
pub mod config;
pub mod copy;
mod deadline;
pub mod discover;
pub mod engine;
pub mod event;
pub mod failure;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod graph;
mod id;
pub mod inventory;
mod keyed;
mod lock;
pub mod report;
pub mod rule;
#[cfg(test)]
mod scenario;
mod serde_time;
mod session;
pub mod settings;
mod span;
pub mod store;
mod text;
pub mod transfer;

pub use config::Config;
pub use engine::Engine;
pub use event::{Event, Listener, Outcome};
pub use failure::{FailedRequest, Failure, Responsibility, Side};
pub use id::{ImageId, RuleId, RuleIdError, with_distinct_ids};
pub use store::{Endpoint, Repository};
