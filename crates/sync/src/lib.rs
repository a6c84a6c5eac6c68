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
//! into a [`Config`]: [`rule`]s and credentials. `discover` turns a rule into images. `compare` turns an image and
//! a destination into a plan. [`transfer`] moves its blobs, and `commit` pushes its manifests, leaves first, the tag
//! last. `graph` holds the image at its source for these stages: root, children and blobs, each fetched once.
//! `copy` drives one image through compare, transfer and commit, and repeats them if a fact was wrong. [`engine`]
//! owns the queue and the limits. Every outcome leaves as an [`event`]; [`report`] folds events into a summary. This
//! crate prints nothing. A [`Session`] owns everything that runs share, and starts them.
//!
//! # Embedding
//!
//! `Session::from_env()?` is enough for registries with TLS and the logins of docker and podman. The registries of this
//! example are in the same process and have neither:
//!
//! ```
//! use std::sync::Arc;
//!
//! use image_syncer_registry::Options;
//! use image_syncer_registry::auth::{Credential, Keychain, KeychainEntry};
//! use image_syncer_registry::transport::{Transport, TransportOptions};
//! use image_syncer_sync::session::{Session, SessionOptions};
//! # use testkit::{Image, Layer, Profile, Registry};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let source = Registry::start(Profile::distribution()).await;
//! # let destination = Registry::start(Profile::distribution()).await;
//! # source.push("team/app", Some("v1"), &Image::single([Layer::synthetic(100_000, 1)]));
//! # let (from, to) = (source.host(), destination.host());
//! let login = |host: &str| {
//!     KeychainEntry::new(host, Credential::Anonymous, "the example").with_insecure(true)
//! };
//! let keychain = Keychain::new(vec![login(&from), login(&to)], None)?;
//! let transport = Transport::new(TransportOptions::from_env())?;
//! let registries = Options::new(Arc::new(transport), Arc::new(keychain));
//! let session = Session::new(registries, SessionOptions::default());
//!
//! let source_image = format!("{from}/team/app:v1");
//! let images = session.copy(&source_image, &format!("{to}/mirror/app")).await?;
//! for image in &images {
//!     println!("{} is at {}: {:?}", image.source, image.destination, image.outcome);
//! }
//! # assert_eq!(images.len(), 1);
//! # destination.verify_complete("mirror/app", "v1")?;
//! # Ok(())
//! # }
//! ```
//!
//! One result flows back: each copy returns the signature tags and other referrer tags that its image covers. [`engine`]
//! collects them for each source, and passes them to the last pass of discover, which sends the leftover tags as images.

mod commit;
mod compare;
pub mod config;
mod copy;
mod deadline;
mod discover;
pub mod engine;
pub mod event;
mod expand;
pub mod failure;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod graph;
mod id;
pub mod image_list;
pub mod inventory;
mod keyed;
mod lock;
pub mod report;
pub mod rule;
#[cfg(test)]
mod scenario;
mod serde_time;
pub mod session;
pub mod settings;
pub mod shard;
mod span;
pub mod sqlite_file;
pub mod store;
mod tag_divider;
mod text;
pub mod transfer;

/// The example of the README, which is compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use config::Config;
pub use engine::Engine;
pub use event::{Event, Listener, Outcome};
pub use failure::{FailedRequest, Failure, Responsibility, Side};
pub use id::{ImageId, RuleId, RuleIdError};
pub use session::Session;
pub use store::{ArchiveOptions, Archives, Endpoint, Repository};
