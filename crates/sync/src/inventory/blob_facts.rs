//! Knowledge about blobs that comes from earlier runs or from other processes.

use std::fmt::Debug;

use futures_util::future::BoxFuture;

use crate::Repository;
use crate::inventory::DigestKey;

/// Knowledge about blobs at registries that outlives a run: the records file of this machine, or a place that several
/// machines share.
///
/// A fact is a hint only. A blob that is said to be in its destination is looked up there before it is relied on, and
/// one that is said to be in another repository of the registry is mounted from there, which the registry may refuse. A
/// wrong fact costs one request, and a missing one costs an upload.
pub trait BlobFacts: Debug + Send + Sync {
    /// Returns the repositories of the registry of `repository` that hold each of `blobs`, if any are known: `repository`
    /// itself first, then a few others.
    ///
    /// Called once for a manifest that is copied, with its blobs. The copy waits for the answer: a place that does not
    /// answer within a moment knows nothing.
    fn locations<'a>(
        &'a self,
        repository: &'a Repository,
        blobs: Vec<DigestKey>,
    ) -> BoxFuture<'a, Vec<(DigestKey, Vec<Repository>)>>;
    /// Notes an update. Never waits: updates are queued, and may be dropped.
    fn record(&self, update: BlobUpdate);
}

/// News about blobs at a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobUpdate {
    /// The repository holds these blobs, named by a manifest there.
    Holds(Repository, Vec<DigestKey>),
    /// The repository lacks this blob.
    Gone(Repository, DigestKey),
    /// Nothing is known about the repository any more.
    Forget(Repository),
}

impl BlobUpdate {
    /// Returns the repository that the update is about.
    pub fn repository(&self) -> &Repository {
        match self {
            Self::Holds(repository, _) | Self::Gone(repository, _) | Self::Forget(repository) => {
                repository
            }
        }
    }
}
