//! Where a rule copies to.

use registry::{Repository, Tag};

/// A repository and the names that images get there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The repository.
    pub repository: Repository,
    /// The names.
    pub naming: Naming,
}

/// How images are named at a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Naming {
    /// As at the source; an image by digest without a tag stays untagged.
    Keep,
    /// These tags, pairwise with the source's tags (or the one tag for an image by digest).
    Tags(Vec<Tag>),
    /// By digest only.
    Untagged,
}
