//! Differences between sources and destinations, and where an image is.

use std::sync::Arc;

use crate::service::history::{
    DifferencePage, PastTag, RepositoryTags, RuleTags, TagPage, TagRecord,
};

/// Number of tags of a page.
pub(crate) const PER_PAGE: usize = 100;

/// The tags of one rule.
#[derive(Clone, Debug)]
pub(crate) struct RuleDifferences {
    /// Name of the rule.
    pub(crate) rule: Arc<str>,
    /// Its numbers; `None` before the first run.
    pub(crate) tags: Option<RuleTags>,
    /// Its source repositories.
    pub(crate) repositories: Vec<RepositoryTags>,
    /// Position of the page; empty on the first.
    pub(crate) after: String,
    /// The tags that differ.
    pub(crate) differences: DifferencePage,
}

/// The tags of one source repository.
#[derive(Clone, Debug)]
pub(crate) struct RepositoryView {
    /// Name of the rule from whose page a reader came; may be empty.
    pub(crate) rule: String,
    /// The repository.
    pub(crate) repository: String,
    /// Position of the page; empty on the first.
    pub(crate) after: String,
    /// The tags.
    pub(crate) page: TagPage,
}

/// Places of an image, now and before.
#[derive(Clone, Debug, Default)]
pub(crate) struct ImageView {
    /// A reference or a digest.
    pub(crate) q: String,
    /// Tags that have it.
    pub(crate) tags: Vec<TagRecord>,
    /// Earlier digests of these tags.
    pub(crate) past: Vec<PastTag>,
}
