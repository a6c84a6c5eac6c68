//! The destination of a comparison.

use image_syncer_registry::{Digest, Tag};

use crate::graph::SourceImage;
use crate::inventory::ManifestScope;
use crate::rule::{ConflictAction, ConflictPolicy, CopyOptions};
use crate::store::Destination;

/// Destination to compare an image with, and the options of its copy there.
#[derive(Clone, Copy)]
pub(crate) struct CompareTarget<'a> {
    pub(super) store: &'a dyn Destination,
    pub(super) force: bool,
    pub(super) verify: bool,
    /// Scope in which manifests of the image are known there.
    pub(super) scope: ManifestScope,
    /// Policy for a tag that exists with another digest; `None` overwrites it.
    conflict: Option<&'a ConflictPolicy>,
    /// Digest of the tag in a recent list of the destination.
    pub(super) listed: Option<&'a Digest>,
}

impl<'a> CompareTarget<'a> {
    /// Returns `store` as the destination of `image`, or of a referrer of an image, with the `options` of the copy. With
    /// `force`, manifests are pushed even if the destination has them; with `verify`, an existing manifest proves
    /// nothing about the content below it.
    pub(crate) fn new(
        store: &'a dyn Destination,
        image: &SourceImage,
        options: &CopyOptions,
    ) -> Self {
        let CopyOptions { force, verify, .. } = *options;
        Self {
            store,
            force,
            verify,
            scope: image.scope(force, verify),
            conflict: None,
            listed: None,
        }
    }
    /// Sets the policy for a tag that exists with another digest. Referrers have none: their tags are lists that grow.
    #[must_use]
    pub(crate) fn with_conflict_policy(self, policy: &'a ConflictPolicy) -> Self {
        let conflict = Some(policy);
        Self { conflict, ..self }
    }
    /// Sets the digest of the tag in a recent list of the destination.
    #[must_use]
    pub(crate) fn with_listed_digest(self, listed: Option<&'a Digest>) -> Self {
        Self { listed, ..self }
    }
    /// Returns the action if `tag` exists with another digest.
    pub(super) fn conflict_action(&self, tag: &Tag) -> ConflictAction {
        let action = self.conflict.map(|policy| policy.action(tag));
        action.unwrap_or_default()
    }
    /// Returns the scope in which manifests of the image are known.
    pub(crate) fn scope(&self) -> ManifestScope {
        self.scope
    }
}
