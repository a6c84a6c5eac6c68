//! Images of a store with and without names.

use image_syncer_registry::{ManifestHead, Tag};

use crate::Repository;

/// Image that the index of a file lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRoot {
    /// Repository of the full name; without one, the repository with an empty name.
    pub repository: Repository,
    /// Tag of the name; `None` for an image that is known by its digest alone.
    pub tag: Option<Tag>,
    /// Manifest as the index describes it.
    pub head: ManifestHead,
}
