//! From rules to copied images: the engine of image-syncer.
//!
//! # How data flows
//!
//! ```text
//!  config ─▶ rule ─▶ discover ─▶ compare ─▶ transfer ─▶ commit ─▶ report
//! ```
//!
//! Each word is a room of this crate, and data flows through them in this order; a later room may use an earlier
//! room's nouns and never calls back. [`config`] turns what the user wrote into a [`Config`]: [`rule`]s and
//! credentials. [`discover`] turns a rule into images, [`compare`] an image and a destination into a plan, [`transfer`]
//! moves its blobs, [`commit`] pushes its manifests, leaves first, the tag last. [`copy`] drives one image through the
//! last three, and once more if a fact was wrong. [`engine`] owns the queue and the limits. Everything that happens
//! leaves as an [`event`]; [`report`] folds events into a summary. Nothing here prints.

pub mod commit;
pub mod compare;
pub mod config;
pub mod copy;
pub mod discover;
pub mod engine;
pub mod event;
pub mod failure;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod graph;
pub mod inventory;
mod lock;
pub mod report;
pub mod rule;
mod span;
pub mod store;
mod text;
pub mod transfer;

pub use config::Config;
pub use engine::Engine;
pub use event::{Event, Listener, Outcome};
pub use failure::{FailedRequest, Failure, Responsibility, Side};
