//! The OCI distribution protocol for a client that copies.
//!
//! # Concepts
//!
//! A [`Client`] is the handle on one registry. It speaks the endpoints that a copy needs, one family a file:
//! manifests, tags, blobs and uploads. It is made by [`Registries`], which keeps one client per registry and lets
//! them share connections, limits and tokens.
//!
//! Bytes are sacred: a [`Manifest`] is the bytes that a registry sent, with views that read them; nothing here
//! serialises one again. Every blob that flows through a [`BlobReader`] is hashed and measured against its
//! [`Descriptor`] before its last byte is handed on.
//!
//! Below the client lie two layers that know nothing of images: [`auth`] turns challenges and credentials into
//! `Authorization` headers, [`transport`] turns calls into answers (TLS, redirects, limits, stalls) and is the one
//! place that decides what is worth a retry.
//!
//! There is no policy in this crate (which image goes where), no configuration file of ours and no printing: what
//! happens on the wire reaches the outside through an [`Observer`](transport::Observer).

pub mod auth;
mod client;
mod digest;
mod error;
mod error_body;
pub mod manifest;
mod quote;
mod reference;
mod text;
pub mod transport;

pub use client::{
    BlobReader, BlobSource, BlobStream, Client, ManifestHead, OpenedUpload, Options, Registries,
    TagPages, Upload,
};
pub use digest::{Algorithm, Digest, DigestError, Hasher};
pub use error::{Error, ErrorKind, Retryable};
pub use manifest::{Descriptor, Manifest, Platform};
pub use reference::{Reference, ReferenceError, Registry, Repository, Tag, Target};
