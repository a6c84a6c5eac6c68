//! The list of one repository's tags: a task that reads it, and what is kept of it.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use futures_util::FutureExt;
use image_syncer_registry::{Repository, Tag};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::Instrument;

use crate::discover::referrer_tags::{ReferrerTag, ReferrerTags, TagSubject};
use crate::discover::source_tags::Budget;
use crate::failure::{Failure, Side};
use crate::lock::lock;
use crate::store::Store;

/// The most pages of a list that no rule reads: where more follow, it costs less to ask for the tags of the few images
/// that rules name.
const FEW_PAGES: usize = 10;

/// The list of one repository's tags: not asked for until somebody wants it, and then once. Dropped, it is let go.
pub(in crate::discover) struct SourceList {
    store: Arc<dyn Store>,
    /// The most tags that name referrers.
    most: usize,
    cancel: CancellationToken,
    /// Whether a rule lists the repository: then the list is read to its end and its pages are kept.
    by_rule: AtomicBool,
    state: watch::Sender<ListState>,
    task: OnceLock<AbortOnDropHandle<()>>,
    /// What is under way from the repository and may see to tags that name referrers.
    under_way: TaskTracker,
    /// Subjects of whose tags an image sees to, and at which destination; only those that have tags, once it is known
    /// which have.
    answered: Mutex<HashSet<(TagSubject, Repository)>>,
    /// Subjects whose fallback tags name an image, and no list of referrers.
    images: Mutex<HashSet<TagSubject>>,
}

/// How far the list has come.
pub(super) struct ListState {
    pub(super) text: BufferedPages,
    /// How it ended, when it has.
    pub(super) end: Option<Result<(), Failure>>,
    /// What it tells, when it has ended.
    told: Option<ListedReferrerTags>,
}

/// Pages that were read ahead.
pub(super) struct BufferedPages {
    /// The tags of each page, a line each.
    pages: Vec<Arc<str>>,
    /// Whether there were pages that are not kept.
    cut: bool,
    budget: Arc<Budget>,
    taken: usize,
}

/// What a list tells of the tags that name referrers.
#[derive(Clone, Debug)]
pub(in crate::discover) enum ListedReferrerTags {
    /// All of them.
    Whole(Arc<ReferrerTags>),
    /// Those that came before the list failed.
    Partly(Arc<ReferrerTags>),
    /// Nothing.
    Nothing,
}

impl SourceList {
    /// The list of `store`'s tags, not asked for yet.
    pub(super) fn new(
        store: Arc<dyn Store>,
        budget: Arc<Budget>,
        most: usize,
        cancel: CancellationToken,
    ) -> Self {
        let text = BufferedPages {
            pages: Vec::new(),
            cut: false,
            budget,
            taken: 0,
        };
        let state = ListState {
            text,
            end: None,
            told: None,
        };
        Self {
            store,
            most,
            cancel,
            by_rule: AtomicBool::new(false),
            state: watch::channel(state).0,
            task: OnceLock::new(),
            under_way: TaskTracker::new(),
            answered: Mutex::default(),
            images: Mutex::default(),
        }
    }
    /// A rule will list the repository; to be said before the list is started.
    pub(super) fn will_be_read(&self) {
        self.by_rule.store(true, Ordering::Release);
    }
    /// Whether a rule lists the repository.
    pub(super) fn is_read_by_rules(&self) -> bool {
        self.by_rule.load(Ordering::Acquire)
    }
    /// Asks for it, if nobody has yet.
    pub(super) fn start(&self, tasks: &TaskTracker) {
        self.task.get_or_init(|| {
            let reading = ListTask {
                store: Arc::clone(&self.store),
                cancel: self.cancel.clone(),
                state: self.state.clone(),
                few: !self.by_rule.load(Ordering::Acquire),
                most: self.most,
                found: Vec::new(),
            };
            AbortOnDropHandle::new(tasks.spawn(reading.run().in_current_span()))
        });
    }
    /// What it tells, when it has ended; it must have been started.
    pub(in crate::discover) async fn referrer_tags(&self) -> ListedReferrerTags {
        let mut state = self.state.subscribe();
        let ended = state.wait_for(|state| state.told.is_some()).await;
        let told = ended.ok().and_then(|state| state.told.clone());
        told.unwrap_or(ListedReferrerTags::Nothing)
    }
    /// Whoever reads it from now on lists the repository anew.
    pub(super) fn drop_pages(&self) {
        self.state.send_modify(|state| {
            state.text.cut = true;
            state.text.clear();
        });
    }
    /// How far it is, now and later.
    pub(super) fn state(&self) -> watch::Receiver<ListState> {
        self.state.subscribe()
    }
    /// The repository.
    pub(in crate::discover) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// What is under way from the repository and may see to tags that name referrers: tokens of it.
    pub(super) fn in_flight(&self) -> &TaskTracker {
        &self.under_way
    }
    /// Returns when nothing is under way that may see to tags that name referrers.
    pub(in crate::discover) async fn wait_for_images(&self) {
        self.under_way.close();
        self.under_way.wait().await;
    }

    /// Notes that an image sees to the tags of `subject` at `destination`.
    pub(super) fn answer(&self, subject: TagSubject, destination: &Repository) {
        let unasked = !self.by_rule.load(Ordering::Acquire)
            || match &self.state.borrow().told {
                Some(ListedReferrerTags::Whole(tags) | ListedReferrerTags::Partly(tags)) => {
                    !tags.refer_to(subject)
                }
                Some(ListedReferrerTags::Nothing) | None => false,
            };
        if !unasked {
            lock(&self.answered).insert((subject, destination.clone()));
        }
    }
    /// Whether an image sees to `tag` at `destination`.
    pub(in crate::discover) fn is_answered(
        &self,
        tag: ReferrerTag,
        destination: &Repository,
    ) -> bool {
        let is_image = !tag.is_companion() && lock(&self.images).contains(&tag.subject);
        !is_image && lock(&self.answered).contains(&(tag.subject, destination.clone()))
    }
    /// Notes that the fallback tag of `subject` names an image.
    pub(super) fn note_image(&self, subject: TagSubject) {
        if self.by_rule.load(Ordering::Acquire) {
            lock(&self.images).insert(subject);
        }
    }
}

impl BufferedPages {
    /// A page, if it is kept.
    pub(super) fn page(&self, number: usize) -> Option<&Arc<str>> {
        self.pages.get(number)
    }
    /// Whether there were pages that are not kept.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }
    fn push(&mut self, tags: &[Tag]) {
        if self.cut {
            return;
        }
        let bytes = tags.iter().map(|tag| tag.as_str().len() + 1).sum();
        if !self.budget.take(bytes) {
            self.cut = true;
            return;
        }
        self.taken += bytes;
        let mut page = String::with_capacity(bytes);
        for tag in tags {
            page.push_str(tag.as_str());
            page.push('\n');
        }
        self.pages.push(Arc::from(page));
    }
    fn clear(&mut self) {
        self.pages = Vec::new();
        self.budget.give_back(std::mem::take(&mut self.taken));
    }
}

impl Drop for BufferedPages {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The task that reads a list to its end.
struct ListTask {
    store: Arc<dyn Store>,
    cancel: CancellationToken,
    state: watch::Sender<ListState>,
    /// Whether no more than a few pages are worth it, and none need be kept.
    few: bool,
    /// The most tags that name referrers.
    most: usize,
    found: Vec<ReferrerTag>,
}

impl ListTask {
    /// Reads; whatever happens, a panic included, nobody waits for ever.
    async fn run(mut self) {
        let pages = AssertUnwindSafe(self.pages()).catch_unwind().await;
        let end = pages.unwrap_or_else(|panic| Err(Failure::panicked(&*panic)));
        let (end, whole) = match end {
            Ok(whole) => (Ok(()), whole),
            Err(failure) => {
                tracing::debug!(%failure, "tags that name referrers are asked for one by one");
                (Err(failure), false)
            }
        };
        let told = if self.found.len() > self.most {
            ListedReferrerTags::Nothing
        } else {
            let tags = Arc::new(ReferrerTags::new(std::mem::take(&mut self.found)));
            if whole {
                ListedReferrerTags::Whole(tags)
            } else {
                ListedReferrerTags::Partly(tags)
            }
        };
        self.state.send_modify(|state| {
            state.end = Some(end);
            state.told = Some(told);
        });
    }

    /// Reads page after page; whether that was all.
    async fn pages(&mut self) -> Result<bool, Failure> {
        let mut pages = self.store.tags();
        let mut number = 0;
        loop {
            if self.few && number == FEW_PAGES {
                return Ok(false);
            }
            let page = self.cancel.run_until_cancelled(pages.next()).await;
            let page = page.ok_or_else(Failure::interrupted)?;
            let page = page.map_err(|error| Failure::registry(Side::Source, &error))?;
            let Some(tags) = page else { return Ok(true) };
            number += 1;
            self.record_tags(&tags);
        }
    }

    fn record_tags(&mut self, tags: &[Tag]) {
        // One more than is kept tells that there were too many.
        let room = (self.most + 1).saturating_sub(self.found.len());
        let found = tags
            .iter()
            .filter_map(|tag| ReferrerTag::parse(tag.as_str()));
        self.found.extend(found.take(room));
        let few = self.few;
        self.state.send_modify(|state| {
            state.text.cut |= few;
            state.text.push(tags);
        });
    }
}
