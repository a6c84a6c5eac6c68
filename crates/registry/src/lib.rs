//! The OCI distribution protocol for a client that copies.
//!
//! # Concepts
//!
//! A [`Client`] is the handle on one registry. It has the endpoints that a copy needs, one family per file: manifests,
//! tags, referrers, blobs and uploads. [`Registries`] creates one client per registry and lets them share connections,
//! limits and tokens.
//!
//! A [`Manifest`] is the bytes that a registry sent, with views that read them. Nothing is serialised again, except for
//! two kinds of indexes that have to be written: filtered ones, and lists of referrers at registries without a
//! referrers API. Every blob that flows through a [`BlobReader`] is hashed and measured against its [`Descriptor`]
//! before its last byte is handed on.
//!
//! An upload is asked for, then sent. [`Client::open_upload`] settles in one request whether the blob is there, can
//! be mounted from another repository, or has to be sent; [`Client::upload`] sends it from a [`BlobSource`], which it
//! opens when the registry is ready for bytes, and again, at the offset where the registry stands, when a connection
//! broke. A small copy of one blob:
//!
//! ```
//! use futures_util::FutureExt;
//! use futures_util::future::BoxFuture;
//! use image_syncer_registry::{BlobSource, BlobStream, Client, Descriptor, Error, OpenedUpload, Repository};
//!
//! struct At<'a> {
//!     client: &'a Client,
//!     repository: &'a Repository,
//!     blob: &'a Descriptor,
//! }
//!
//! impl BlobSource for At<'_> {
//!     fn open(&self, offset: u64) -> BoxFuture<'_, Result<BlobStream, Error>> {
//!         async move {
//!             let reader = self.client.open_blob(self.repository, self.blob, offset);
//!             Ok(reader.await?.into_stream())
//!         }
//!         .boxed()
//!     }
//! }
//!
//! async fn copy(from: &At<'_>, to: &Client, repository: &Repository) -> Result<(), Error> {
//!     match to.open_upload(repository, from.blob, None).await? {
//!         OpenedUpload::Present { .. } => Ok(()),
//!         OpenedUpload::Session(upload) => to.upload(upload, from).await,
//!     }
//! }
//! ```
//!
//! [`Client::referrers`] lists the manifests that name another as their subject (signatures, attestations, SBOMs), from
//! the referrers API or from the fallback tag.
//!
//! A client remembers the observed behaviour of its registry for as long as it lives (forms of uploads, endpoints that
//! fail, the referrers API), as hints that cost one request if they are wrong.
//!
//! Below the client lie two layers that know nothing of images: [`auth`] turns challenges and credentials into
//! `Authorization` headers, [`transport`] turns calls into answers (TLS, redirects, limits, stalls) and is the one
//! place that decides what is worth a retry.
//!
//! This crate has no policy (which image goes where), no configuration file and no output. An
//! [`Observer`](transport::Observer) receives what happens on the wire.

pub mod auth;
mod client;
mod digest;
mod error;
mod error_body;
mod file;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod keyed_once;
mod lock;
pub mod manifest;
mod open_files;
mod quote;
mod reference;
mod serde_text;
mod setters;
mod text;
mod timestamp;
pub mod transport;

/// The example of the README, which is compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use client::{
    BlobReader, BlobSize, BlobSource, BlobStream, CatalogPages, Client, CopiedBlob, IndexedBy,
    IndexedReferrers, ManifestHead, ManifestPresence, OpenedUpload, Options, Ping, PingLogin,
    Presence, PushedManifest, RangeOptions, Referrers, ReferrersOrigin, Registries, TagPages,
    Upload,
};
pub use digest::{Algorithm, Digest, DigestError, Hasher};
pub use error::{Cause, Error, ErrorKind, Retryable, UnknownName};
pub use file::require_regular;
pub use manifest::{Descriptor, Manifest, Platform};
pub use reference::{Reference, ReferenceError, Registry, Repository, Tag, Target};
pub use text::{clean as clean_text, io_clause};
