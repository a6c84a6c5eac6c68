//! Tags of source repositories: one list for each repository and run.
//!
//! The searches of all rules that list a repository read one list of it, and images query it for referrer tags. An image
//! that waits for the end of a list, and a search that waits for capacity in the queue of images, must not wait for each
//! other: a task of its own reads the list, ahead of the searches.
//!
//! # Memory
//!
//! Tags that were read ahead are kept until the last search has read them, up to 16 MiB in a run: some 700,000 tags, or
//! 300,000 with digests (`page`). Beyond that, only referrer tags are kept, 34 bytes for each subject; a search that gets there lists the repository itself. With
//! more than half a million referrer tags in one repository, none is kept. A list is dropped after the end of all rules that
//! copy from the repository, and of their images.

mod list;
mod page;
mod reader;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use image_syncer_registry::{Digest, Tag};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Repository;
use crate::discover::referrer_tags::{MAX_TAGS, ReferrerTags, TagSubject};
use crate::discover::tag_list::{TAGS_PER_SOURCE_PAGE, TagList, Wait};
use crate::failure::Failure;
use crate::failure::Side;
use crate::lock::lock;
use crate::rule::{Rule, Selection};
use crate::settings::Listing;
use crate::store::ListedDigest;
use crate::store::{self, Stores, TagDetail};
pub(super) use list::{ListedReferrerTags, SourceList};
pub(super) use reader::PageReader;

/// Maximum size of the tags that are read ahead in a run, in bytes.
const MAX_AHEAD: usize = 16 * 1024 * 1024;

/// Lists of all source repositories of a run.
pub(crate) struct SourceTags {
    stores: Arc<dyn Stores>,
    listing: Listing,
    sources: Mutex<HashMap<Repository, Source>>,
    budget: Arc<Budget>,
    most: usize,
    tasks: TaskTracker,
}

/// A repository whose rules or images have not ended.
struct Source {
    list: Arc<SourceList>,
    /// Rules that have yet to read the list to its end.
    readers: usize,
    /// List of digests for the tags that rules name.
    named: Arc<TagList>,
}

/// Remaining capacity for tags that are read ahead.
struct Budget(AtomicUsize);

impl SourceTags {
    /// Returns an empty set of lists.
    pub(crate) fn new(stores: Arc<dyn Stores>, listing: Listing) -> Arc<Self> {
        Self::bounded(stores, listing, MAX_AHEAD, MAX_TAGS)
    }

    /// Like [`SourceTags::new`], with a maximum of `ahead` bytes of tags read ahead, and of `most` referrer tags kept for one
    /// repository.
    pub(super) fn bounded(
        stores: Arc<dyn Stores>,
        listing: Listing,
        ahead: usize,
        most: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            stores,
            listing,
            sources: Mutex::default(),
            budget: Arc::new(Budget(AtomicUsize::new(ahead))),
            most,
            tasks: TaskTracker::new(),
        })
    }

    /// Prepares the list of `rule`, before its search. Once `cancel` is cancelled, no further page is requested.
    pub(crate) fn expect(&self, rule: &Rule, cancel: &CancellationToken) {
        let repository = &rule.source.repository;
        let mut sources = lock(&self.sources);
        let source = sources
            .entry(repository.clone())
            .or_insert_with(|| self.source(repository, cancel.clone()));
        let uses_times = self.listing == Listing::Auto
            && matches!(&rule.source.select, Selection::Policy(policy) if policy.uses_times());
        if rule.source.select.is_listed() {
            let defers = !matches!(rule.source.select, Selection::Policy(_));
            let defers = defers && rule.copies_referrers();
            if !source.list.will_be_read(defers) || uses_times && !source.list.needs_digests() {
                // A list that is read for named tags may end early, and keeps nothing; one of names has no times.
                *source = self.source(repository, cancel.clone());
                source.list.will_be_read(defers);
            }
            source.readers += 1;
        }
        if uses_times {
            source.list.needs_times();
        } else if self.needs_digests(rule) {
            source.list.needs_digests();
            if let Selection::Tags(tags) = &rule.source.select {
                source.named.want(tags.len());
            }
        }
    }

    fn source(&self, repository: &Repository, cancel: CancellationToken) -> Source {
        Source {
            list: Arc::new(SourceList::new(
                Arc::clone(&self.stores),
                repository.clone(),
                Arc::clone(&self.budget),
                self.most,
                cancel,
            )),
            readers: 0,
            named: Arc::new(TagList::new(
                Arc::clone(&self.stores),
                repository.clone(),
                Side::Source,
            )),
        }
    }

    /// Returns true if digests in a list of the source are of use for `rule`.
    fn needs_digests(&self, rule: &Rule) -> bool {
        let mut destinations = rule.destinations.iter();
        self.listing == Listing::Auto
            && destinations.any(|to| rule.options_for(to).believes_listed_digests())
    }

    /// Returns the digest that a list shows for a tag that `rule` names. A rule that names many tags of a repository lists
    /// it, at a store that lists digests, for as long as eight of these tags justify a page.
    pub(super) async fn named_digest(&self, rule: &Rule, tag: &Tag) -> Option<ListedDigest> {
        if !self.needs_digests(rule) {
            return None;
        }
        let named = {
            let sources = lock(&self.sources);
            let source = sources.get(&rule.source.repository)?;
            Arc::clone(&source.named)
        };
        if named.want(0) < TAGS_PER_SOURCE_PAGE {
            return None;
        }
        named.start(&self.tasks, TagDetail::Digests);
        named.wait(Wait::Near, tag).await;
        named.digest(tag)
    }

    /// Opens `source`.
    pub(super) async fn open(
        &self,
        source: &Repository,
    ) -> Result<Arc<dyn store::Source>, Failure> {
        Ok(self.stores.source(source).await?)
    }

    /// Returns a reader of the list of `source`, for the search of a rule that [`SourceTags::expect`] was called with.
    pub(super) fn read(self: &Arc<Self>, source: &Repository) -> PageReader {
        let list = self.list(source);
        list.start(&self.tasks);
        PageReader::new(Arc::clone(self), list)
    }

    /// Returns the referrer tags of `source`. Waits for the end of the repository's list, which is requested at the first
    /// use. Delays no search meanwhile.
    ///
    /// Returns `None` if the list was refused, failed or is too long, or if the run was stopped. Then tags must be queried
    /// one by one. If no rule lists the repository, more than ten pages are too long.
    pub(crate) async fn referrer_tags(
        &self,
        source: &Arc<dyn store::Source>,
    ) -> Option<Arc<ReferrerTags>> {
        let list = self.list(source.repository());
        list.start(&self.tasks);
        match list.referrer_tags().await {
            ListedReferrerTags::Whole(tags) => Some(tags),
            ListedReferrerTags::Partly(_) | ListedReferrerTags::Nothing => None,
        }
    }

    /// Returns true if a listing rule may defer tags of `subject` in `source`.
    pub(crate) fn may_defer_subject(&self, source: &Repository, subject: TagSubject) -> bool {
        self.known(source)
            .is_some_and(|list| list.may_defer(subject))
    }

    /// Returns true if a rule that lists `source` may defer referrer tags. If a rule lists the source, waits for the end of the
    /// list. Sends no request that no rule would send.
    pub(crate) async fn may_defer_tags(&self, source: &Repository) -> bool {
        let Some(list) = self.known(source).filter(|list| list.may_defer_any()) else {
            return false;
        };
        list.start(&self.tasks);
        match list.referrer_tags().await {
            ListedReferrerTags::Whole(tags) => !tags.is_empty(),
            ListedReferrerTags::Partly(_) | ListedReferrerTags::Nothing => true,
        }
    }

    /// Returns those of `subjects` whose tags a listing rule may defer. Waits as [`SourceTags::may_defer_tags`] does.
    pub(crate) async fn deferred_subjects(
        &self,
        source: &Repository,
        mut subjects: Vec<Digest>,
    ) -> Vec<Digest> {
        let Some(list) = self.known(source).filter(|list| list.may_defer_any()) else {
            return Vec::new();
        };
        list.start(&self.tasks);
        if let ListedReferrerTags::Whole(tags) | ListedReferrerTags::Partly(tags) =
            list.referrer_tags().await
        {
            subjects.retain(|subject| {
                TagSubject::from_digest(subject).is_some_and(|of| tags.refer_to(of))
            });
        }
        subjects
    }

    /// Waits until no list is in flight. Nothing may be requested after this call.
    pub(crate) async fn drained(&self) {
        lock(&self.sources).clear();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn known(&self, source: &Repository) -> Option<Arc<SourceList>> {
        let sources = lock(&self.sources);
        sources.get(source).map(|source| Arc::clone(&source.list))
    }

    fn list(&self, source: &Repository) -> Arc<SourceList> {
        let mut sources = lock(&self.sources);
        let entry = sources.entry(source.clone());
        let entry = entry.or_insert_with(|| self.source(source, CancellationToken::new()));
        Arc::clone(&entry.list)
    }

    /// Ends the use of the list by one search.
    fn was_read(&self, source: &Repository) {
        let mut sources = lock(&self.sources);
        if let Some(source) = sources.get_mut(source) {
            source.readers = source.readers.saturating_sub(1);
            if source.readers == 0 {
                source.list.drop_pages();
            }
        }
    }

    /// Drops the list of `source`, after the end of all of its rules and images.
    pub(crate) fn release(&self, source: &Repository) {
        lock(&self.sources).remove(source);
    }
}

impl Budget {
    /// Reserves `bytes`, if they are left.
    fn reserve(&self, bytes: usize) -> bool {
        let less = |left: usize| left.checked_sub(bytes);
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, less)
            .is_ok()
    }
    fn release(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::AcqRel);
    }
}
