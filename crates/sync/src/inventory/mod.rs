//! What is known to be where: facts only, each no more than a hint.

use registry::{Digest, Repository};

/// What is known of a blob and a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// It is in this repository.
    Here,
    /// It is in these other repositories of the same registry; the first is the best to mount from.
    Elsewhere(Vec<Repository>),
    /// Nothing.
    Unknown,
}

/// The facts of a run, shared by all tasks.
#[derive(Default)]
pub struct Inventory {}

impl Inventory {
    /// Nothing known.
    pub fn new() -> Self {
        Self::default()
    }
    /// What is known of `digest` for `repository`.
    pub fn blob(&self, _repository: &Repository, _digest: &Digest) -> Fact {
        todo!()
    }
    /// The blob is in the repository.
    pub fn blob_is_in(&self, _repository: &Repository, _digest: &Digest) {
        todo!()
    }
    /// Whether the manifest is known to be in the repository with everything below it.
    pub fn has_manifest(&self, _repository: &Repository, _digest: &Digest) -> bool {
        todo!()
    }
    /// The manifest is in the repository with everything below it; its blobs can be mounted from there now even
    /// where a registry demands a committed manifest.
    pub fn manifest_is_in(&self, _repository: &Repository, _digest: &Digest) {
        todo!()
    }
    /// The destination contradicted a fact: nothing is believed of the repository any more.
    pub fn forget(&self, _repository: &Repository) {
        todo!()
    }
}
