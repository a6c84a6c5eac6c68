//! The tags of source repositories: one list for each repository and run, for whoever needs it.
//!
//! The searches of all rules that list a repository read one list of it, and images ask it which tags name what refers
//! to a manifest. An image that waits for a list's end, and a search that waits for room in the images' queue, must not
//! wait for each other; so a task of its own reads the list, ahead of the searches.
//!
//! # Memory
//!
//! What was read ahead is kept as text until the last search has read it, at most 16 MiB of it in a run: some 700,000
//! tags. Of what lies beyond, only the tags that name referrers are kept, 34 bytes for each subject; a search that comes
//! so far lists the repository itself. Beyond half a million of such tags in one repository, it cannot be told what they
//! are. A list is let go when all rules that copy from the repository have ended, with their images.

mod list;
mod reader;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use image_syncer_registry::{Digest, Repository};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::discover::referrer_tags::{MAX_TAGS, ReferrerTags, TagSubject};
use crate::lock::lock;
use crate::rule::{Rule, Selection};
use crate::store::{Store, Stores};
pub(super) use list::{ListedReferrerTags, SourceList};
pub(super) use reader::PageReader;

/// The most text of tags that is read ahead in a run, in bytes.
const MAX_AHEAD: usize = 16 * 1024 * 1024;

/// The tags of all source repositories of a run.
pub(crate) struct SourceTags {
    stores: Arc<dyn Stores>,
    sources: Mutex<HashMap<Repository, Source>>,
    budget: Arc<Budget>,
    most: usize,
    tasks: TaskTracker,
}

/// A repository from which something is still to be copied.
struct Source {
    list: Arc<SourceList>,
    /// Rules that have not ended, their images included.
    rules: usize,
    /// Rules that have yet to read the list to its end.
    readers: usize,
    /// For rules that have not been begun.
    pending: Vec<TaskTrackerToken>,
}

/// Keeps the list of a rule's source while anything of the rule is under way.
pub(crate) struct Hold {
    sources: Arc<SourceTags>,
    source: Repository,
}

/// How much text may yet be read ahead.
struct Budget(AtomicUsize);

impl SourceTags {
    /// Knows nothing yet.
    pub(crate) fn new(stores: Arc<dyn Stores>) -> Arc<Self> {
        Self::bounded(stores, MAX_AHEAD, MAX_TAGS)
    }

    /// At most `ahead` bytes of text are read ahead, and `most` tags that name referrers are kept of one repository.
    pub(super) fn bounded(stores: Arc<dyn Stores>, ahead: usize, most: usize) -> Arc<Self> {
        Arc::new(Self {
            stores,
            sources: Mutex::default(),
            budget: Arc::new(Budget(AtomicUsize::new(ahead))),
            most,
            tasks: TaskTracker::new(),
        })
    }

    /// `rules` will be carried out; each is to be begun by [`SourceTags::hold`]. Once `cancel` is cancelled, no further
    /// page is asked for.
    pub(crate) fn expect(&self, rules: &[Arc<Rule>], cancel: &CancellationToken) {
        let mut sources = lock(&self.sources);
        for rule in rules {
            let repository = &rule.source.repository;
            let source = sources
                .entry(repository.clone())
                .or_insert_with(|| self.source(repository, cancel.clone()));
            source.rules += 1;
            source.pending.push(source.list.in_flight().token());
            if matches!(rule.source.select, Selection::All | Selection::Matching(_)) {
                source.readers += 1;
                source.list.will_be_read();
            }
        }
    }

    fn source(&self, repository: &Repository, cancel: CancellationToken) -> Source {
        let store = self.stores.store(repository);
        Source {
            list: Arc::new(SourceList::new(
                store,
                Arc::clone(&self.budget),
                self.most,
                cancel,
            )),
            rules: 0,
            readers: 0,
            pending: Vec::new(),
        }
    }

    /// A rule is begun that was expected; what is known of its source is kept until the first was dropped. The second
    /// is to be kept by its search, and by its images, while tags that name referrers may yet come along with them.
    pub(super) fn hold(self: &Arc<Self>, rule: &Rule) -> (Arc<Hold>, TaskTrackerToken) {
        let source = rule.source.repository.clone();
        let list = self.list(&source);
        let expected = lock(&self.sources)
            .get_mut(&source)
            .and_then(|source| source.pending.pop());
        let sources = Arc::clone(self);
        let token = expected.unwrap_or_else(|| list.in_flight().token());
        (Arc::new(Hold { sources, source }), token)
    }

    /// The list of `source`, for the search of a rule that was expected to list it.
    pub(super) fn read(self: &Arc<Self>, source: &Repository) -> PageReader {
        let list = self.list(source);
        list.start(&self.tasks);
        PageReader::new(Arc::clone(self), list)
    }

    /// Which tags of `source` name what refers to a manifest. Waits for the end of the repository's list, which is asked
    /// for if nobody has yet; holds up no search meanwhile.
    ///
    /// `None` where it cannot be told: the list was refused or failed, is too long, or the run was asked to stop. Then
    /// the tags are to be asked for one by one. Where no rule lists the repository, a list of more than ten pages is
    /// too long.
    pub(crate) async fn of(&self, source: &Arc<dyn Store>) -> Option<Arc<ReferrerTags>> {
        let list = self.list(source.repository());
        list.start(&self.tasks);
        match list.referrer_tags().await {
            ListedReferrerTags::Whole(tags) => Some(tags),
            ListedReferrerTags::Partly(_) | ListedReferrerTags::Nothing => None,
        }
    }

    /// Notes that an image answers for all tags of `source` that name what refers to `subject`, as far as
    /// `destination` is concerned: it brings them there, merges them into what is there, fails if it cannot, or was told
    /// to leave them behind (by a filter of types or platforms). So they are no images of their own, for no rule that
    /// lists the repository. To be noted before the image ends, once for each subject that it looked at.
    pub(crate) fn answer(&self, source: &Repository, subject: &Digest, destination: &Repository) {
        if let (Some(list), Some(subject)) = (self.known(source), TagSubject::from_digest(subject))
        {
            list.answer(subject, destination);
        }
    }

    /// Whether a rule that lists `source` may hold tags back, as they name what refers to a manifest. Waits for the end of
    /// the list, where a rule reads one; asks for nothing that a rule would not ask for.
    pub(crate) async fn may_hold_back(&self, source: &Repository) -> bool {
        let Some(list) = self.known(source).filter(|list| list.is_read_by_rules()) else {
            return false;
        };
        list.start(&self.tasks);
        match list.referrer_tags().await {
            ListedReferrerTags::Whole(tags) => !tags.is_empty(),
            ListedReferrerTags::Partly(_) | ListedReferrerTags::Nothing => true,
        }
    }

    /// Returns those of `subjects` of which tags speak that a rule which lists `source` may hold back. Waits and asks as
    /// [`SourceTags::may_hold_back`] does.
    pub(crate) async fn held_back(
        &self,
        source: &Repository,
        mut subjects: Vec<Digest>,
    ) -> Vec<Digest> {
        let Some(list) = self.known(source).filter(|list| list.is_read_by_rules()) else {
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

    /// Notes that the fallback tag of `subject` in `source` names an image and no list of referrers, as where images are
    /// tagged by their own digests: nobody answers for it.
    pub(crate) fn is_an_image(&self, source: &Repository, subject: &Digest) {
        if let (Some(list), Some(subject)) = (self.known(source), TagSubject::from_digest(subject))
        {
            list.note_image(subject);
        }
    }

    /// Returns when no list is on its way any more; nothing may be asked after this was called.
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

    /// A search needs the list no more.
    fn was_read(&self, source: &Repository) {
        let mut sources = lock(&self.sources);
        if let Some(source) = sources.get_mut(source) {
            source.readers = source.readers.saturating_sub(1);
            if source.readers == 0 {
                source.list.drop_pages();
            }
        }
    }

    /// A rule has ended, its images included.
    fn ended(&self, source: &Repository) {
        let mut sources = lock(&self.sources);
        if let Some(entry) = sources.get_mut(source) {
            entry.rules = entry.rules.saturating_sub(1);
            if entry.rules == 0 {
                sources.remove(source);
            }
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.sources.ended(&self.source);
    }
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Hold").field(&self.source).finish()
    }
}

impl Budget {
    /// Takes as much, if it is there.
    fn take(&self, bytes: usize) -> bool {
        let less = |left: usize| left.checked_sub(bytes);
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, less)
            .is_ok()
    }
    fn give_back(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::AcqRel);
    }
}
