//! Outcomes of images.

use std::ops::AddAssign;

use image_syncer_registry::Digest;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// Outcome of an image. The five kinds add up to all discovered images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The image was copied to the destination.
    Copied(Copied),
    /// The destination had the same image.
    Unchanged {
        /// The root's digest.
        digest: Digest,
        /// Evidence for it.
        #[serde(rename = "evidence")]
        by: Evidence,
    },
    /// The image was not to be copied.
    Skipped {
        /// The reason.
        why: String,
    },
    /// The image is not at the destination.
    Failed(Failure),
    /// The image would be copied. Only in runs that write nothing.
    Planned(Box<Planned>),
}

/// Evidence that a destination has an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// The registry returned the digest.
    Registry,
    /// The registry returned the digest and has everything below the root.
    Verified,
    /// The tag is immutable and exists, and the records have the digest that was copied to it.
    Records,
}

/// Result of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// The digest at the destination.
    pub digest: Digest,
    /// True if the platform filter made a new index with another digest than the source.
    pub filtered: bool,
    /// True if the index was copied unchanged, without some of its children.
    pub sparse: bool,
    /// Data that was moved, with its referrers.
    pub volume: Volume,
    /// Earlier digest of the tag, if another one was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Digest>,
    /// Number of referrers and images of cosign's tags that were copied with it.
    pub referrers: u64,
    /// True if the root existed before, so that only referrers were copied.
    #[serde(rename = "only_referrers")]
    pub root_unchanged: bool,
    /// Manifests whose referrer lists other processes were writing at the same time. Entries may be missing until a
    /// further run.
    pub contended: u64,
    /// Lost parts below an existing root, if they are the reason for the copy; otherwise empty.
    pub losses: Vec<Loss>,
}

/// Amounts of data that were moved or already present.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Manifests pushed.
    pub manifests: u64,
    /// Blobs streamed.
    pub blobs: u64,
    /// Bytes of blobs streamed.
    pub bytes: u64,
    /// Bytes of blobs that the registry mounted from another of its repositories.
    pub mounted_bytes: u64,
    /// Bytes of blobs that existed at the destination.
    pub present_bytes: u64,
    /// Bytes of blobs that another image of this run uploaded.
    pub shared_bytes: u64,
}

impl AddAssign for Volume {
    fn add_assign(&mut self, other: Self) {
        self.manifests += other.manifests;
        self.blobs += other.blobs;
        self.bytes += other.bytes;
        self.mounted_bytes += other.mounted_bytes;
        self.present_bytes += other.present_bytes;
        self.shared_bytes += other.shared_bytes;
    }
}

impl Copied {
    /// Returns the result for `digest` without any moved data.
    pub fn without_transfer(digest: Digest) -> Self {
        Self {
            digest,
            filtered: false,
            sparse: false,
            volume: Volume::default(),
            replaced: None,
            referrers: 0,
            root_unchanged: false,
            contended: 0,
            losses: Vec::new(),
        }
    }
}

/// An image that would be copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Digest that the destination would have.
    pub digest: Digest,
    /// Difference from the destination.
    pub change: Change,
    /// True if the platform filter makes a new index with another digest than the source.
    pub filtered: bool,
    /// True if the index would be copied unchanged, without some of its children.
    pub sparse: bool,
    /// True if the registry hides the repository from an accepted login. It most likely does not exist yet.
    pub hidden: bool,
    /// Cost of the copy; `None` if only the difference was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
}

/// Reason for a planned copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// The tag does not exist.
    New,
    /// The tag has another digest.
    Moved {
        /// The digest at the destination.
        from: Digest,
    },
    /// The image exists, and some of its referrers do not.
    Referrers,
    /// The image exists, and parts below it are lost. Empty if it is pushed again without a look (`--force`).
    Again(Vec<Loss>),
}

/// Cost of a planned copy, as far as it is known without writing. Data that many images share counts once for each
/// registry as sent, and otherwise as shared or mounted. The image that sends it may be another one in a real run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Platforms of its images (`linux/arm64/v8`), in the order of its indexes; empty if they name none.
    pub platforms: Vec<String>,
    /// Number of different layers of images that the destination does not have yet.
    pub layers: u64,
    /// Data that would be moved, with referrers. Blobs in another repository of the registry count as mounted.
    pub volume: Volume,
    /// Number of referrers that would be copied.
    pub referrers: u64,
}

/// A lost part below an existing root at a destination. Displays as a clause.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// The manifest is missing.
    Manifest(Digest),
    /// Other content has the digest of the manifest.
    WrongManifest(Digest),
    /// The blob is missing.
    Blob(Digest),
    /// Content of another size has the digest of the blob.
    WrongBlob {
        /// The blob.
        digest: Digest,
        /// Its size, in bytes.
        size: u64,
        /// Size of the content, in bytes.
        found: u64,
    },
}

impl Loss {
    /// Returns the digest of the lost part.
    pub fn digest(&self) -> &Digest {
        match self {
            Self::Manifest(digest)
            | Self::WrongManifest(digest)
            | Self::Blob(digest)
            | Self::WrongBlob { digest, .. } => digest,
        }
    }
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Manifest(digest) => write!(f, "manifest {digest} was missing"),
            Self::WrongManifest(digest) => {
                write!(f, "manifest {digest} had other content")
            }
            Self::Blob(digest) => write!(f, "blob {digest} was missing"),
            Self::WrongBlob {
                digest,
                size,
                found,
            } => write!(f, "blob {digest} had {found} bytes instead of {size}"),
        }
    }
}
