//! Differences between sources and destinations, and where an image is.

use std::sync::Arc;

use crate::service::history::{
    DifferencePage, PastTag, RepositoryTags, RuleTags, TagPage, TagRecord,
};
use crate::service::page::view::list::ListPage;

/// Number of tags of a page.
pub(crate) const PER_PAGE: usize = 100;

/// Number of rules of a page, and of repositories.
pub(crate) const ROWS: usize = 50;

/// The tags of all rules.
#[derive(Clone, Debug)]
pub(crate) struct RulesDifferences {
    /// Rules: those with differences first.
    pub(crate) rules: ListPage<RuleTags>,
    /// Number of rules with differences.
    pub(crate) different: usize,
}

impl RulesDifferences {
    /// Selects the rules of a page.
    pub(crate) fn new(mut rules: Vec<RuleTags>, page: usize) -> Self {
        // The order of the names stays within both groups.
        rules.sort_by_key(|rule| rule.counts.different() == 0);
        let different = rules.partition_point(|rule| rule.counts.different() > 0);
        Self {
            rules: ListPage::new(rules, page, ROWS),
            different,
        }
    }
}

/// The tags of one rule.
#[derive(Clone, Debug)]
pub(crate) struct RuleDifferences {
    /// Name of the rule.
    pub(crate) rule: Arc<str>,
    /// Its numbers; `None` before the first run.
    pub(crate) tags: Option<RuleTags>,
    /// Its source repositories: those with differences first.
    pub(crate) repositories: ListPage<RepositoryTags>,
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
