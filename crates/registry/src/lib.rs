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
//! An upload is requested, then sent. [`Client::open_upload`] settles in one request whether the blob is there, can
//! be mounted from another repository, or has to be sent; [`Client::upload`] sends it from a [`BlobSource`], which it
//! opens when the registry is ready for bytes, and again, at the offset of the registry, when a connection broke.
//! [`Client::copy_blob`] does both for a blob of another repository:
//!
//! ```
//! use image_syncer_registry::{Client, CopiedBlob, Descriptor, Error, Repository};
//!
//! async fn copy(
//!     (source, from): (&Client, &Repository),
//!     layers: &[Descriptor],
//!     (destination, to): (&Client, &Repository),
//! ) -> Result<u64, Error> {
//!     let mut sent = 0;
//!     for layer in layers {
//!         if source.copy_blob(from, layer, destination, to).await? == CopiedBlob::Uploaded {
//!             sent += layer.size.unwrap_or_default();
//!         }
//!     }
//!     Ok(sent)
//! }
//! ```
//!
//! [`Registries::from_env`] is the shortest way to a client: it uses the credentials of docker and podman, the system's
//! certificates, and proxies from the environment. [`Client::list_repositories`] lists the repositories of a registry
//! and [`Client::list_tags`] tags with their digests, through the API that the registry has ([`Listings`]);
//! [`Client::ping`] asks whether a host is a registry and accepts the login, and [`Client::delete_manifest`] deletes.
//!
//! [`Client::referrers`] lists the manifests that name another as their subject (signatures, attestations, SBOMs), from
//! the referrers API or from the fallback tag.
//!
//! A client remembers the observed behaviour of its registry for as long as it lives (forms of uploads, endpoints that
//! fail, the referrers API), as hints that cost one request if they are wrong.
//!
//! This crate has no policy (which image goes where), no configuration file and no output. An
//! [`Observer`](transport::Observer) receives what happens on the wire.
//!
//! Nouns (references, digests, descriptors, kinds and causes of errors) implement serde's `Serialize` and `Deserialize`
//! as the text that people write.
//!
//! # Platforms
//!
//! Unix. Credential helpers, the places of credentials and certificates, and the handling of exhausted file descriptors
//! follow its conventions; elsewhere they would fail at run time, so the crate does not compile there.

#[cfg(not(unix))]
compile_error!(
    "image-syncer-registry supports Unix only: places of credentials and certificates are those of Unix"
);

mod allowed_hosts;
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
mod listing;
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

pub use allowed_hosts::AllowedHosts;
pub use client::{
    BlobReader, BlobSize, BlobSource, BlobStream, CatalogPages, Client, CopiedBlob, IndexedBy,
    IndexedReferrers, ManifestHead, ManifestPresence, OpenedUpload, Options, Ping, PingLogin,
    Presence, PushedManifest, RangeOptions, Referrers, ReferrersOrigin, Registries, TagPages,
    Upload,
};
pub use digest::{Algorithm, Digest, DigestError, Hasher};
pub use error::{Cause, Error, ErrorKind, Retryable, UnknownName};
pub use file::require_regular;
pub use listing::{
    ListedTag, ListedTagPages, Lister, ListingSettings, Listings, RepositoryPage, RepositoryPages,
    UnknownLister,
};
pub use manifest::{Descriptor, Manifest, Platform};
pub use reference::{Reference, ReferenceError, Registry, Repository, Tag, Target};
pub use text::{clean as clean_text, io_clause};
