//! List of one repository's tags: the task that reads it, and the kept content.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use futures_util::FutureExt;
use image_syncer_registry::ListedTag;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::Instrument;

use crate::Repository;
use crate::discover::referrer_tags::{ReferrerTag, ReferrerTags, TagSubject};
use crate::discover::source_tags::Budget;
use crate::discover::source_tags::page::PackedPage;
use crate::discover::tag_pages::{MANY, RepositoryEnd, TagPages};
use crate::failure::Failure;
use crate::store::ListedDigest;
use crate::store::{Stores, TagDetail, Tags};

/// Maximum number of pages of a list that no rule reads. For a longer list, queries for the tags of the few images that
/// rules name cost less.
const FEW_PAGES: usize = 10;

/// List of one repository's tags. It is requested once, at the first use; dropping it cancels the request.
pub(in crate::discover) struct SourceList {
    stores: Arc<dyn Stores>,
    repository: Repository,
    /// Maximum number of referrer tags.
    most: usize,
    cancel: CancellationToken,
    /// True if a rule lists the repository. Then the list is read to its end and its pages are kept.
    by_rule: AtomicBool,
    /// True if a rule that lists the repository copies referrers, and so defers their tags.
    defers: AtomicBool,
    /// True if digests are of use for a rule that lists the repository.
    with_digests: AtomicBool,
    /// True if times of pushes are needed by a rule that lists the repository.
    with_times: AtomicBool,
    started_at: OnceLock<Instant>,
    state: watch::Sender<ListState>,
    task: OnceLock<AbortOnDropHandle<()>>,
}

/// Progress of the list.
pub(super) struct ListState {
    pub(super) text: BufferedPages,
    /// Result, after the end.
    pub(super) end: Option<Result<(), Failure>>,
    /// Referrer tags of the list, after the end.
    told: Option<ListedReferrerTags>,
}

/// Pages that were read ahead of the searches.
pub(super) struct BufferedPages {
    pages: Vec<Arc<PackedPage>>,
    /// True if some pages are not kept.
    cut: bool,
    budget: Arc<Budget>,
    taken: usize,
}

/// Referrer tags of a list.
#[derive(Clone, Debug)]
pub(in crate::discover) enum ListedReferrerTags {
    /// All of them.
    Whole(Arc<ReferrerTags>),
    /// The tags before the failure of the list.
    Partly(Arc<ReferrerTags>),
    /// Nothing.
    Nothing,
}

impl SourceList {
    /// Returns the list of the tags of `repository`. Sends no request yet.
    pub(super) fn new(
        stores: Arc<dyn Stores>,
        repository: Repository,
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
            stores,
            repository,
            most,
            cancel,
            by_rule: AtomicBool::new(false),
            defers: AtomicBool::new(false),
            with_digests: AtomicBool::new(false),
            with_times: AtomicBool::new(false),
            started_at: OnceLock::new(),
            state: watch::channel(state).0,
            task: OnceLock::new(),
        }
    }
    /// Marks the list as read by a rule, which may defer referrer tags (`defers`). Returns false, without an effect, if
    /// the list started before it was known that a rule reads it.
    pub(super) fn will_be_read(&self, defers: bool) -> bool {
        if self.task.get().is_some() && !self.by_rule.load(Ordering::Acquire) {
            return false;
        }
        self.by_rule.store(true, Ordering::Release);
        self.defers.fetch_or(defers, Ordering::AcqRel);
        true
    }
    /// Lists digests as well, where the store has a list with them. Returns false, without an effect, if the list started
    /// without them.
    pub(super) fn needs_digests(&self) -> bool {
        if self.task.get().is_none() {
            self.with_digests.store(true, Ordering::Release);
        }
        self.with_digests.load(Ordering::Acquire)
    }
    /// Lists digests and times, where the store has a list with them: an unknown store is probed. Must precede the start of
    /// the list.
    pub(super) fn needs_times(&self) {
        self.needs_digests();
        self.with_times.store(true, Ordering::Release);
    }
    /// Returns the digest of `tag` with the age of the list.
    pub(in crate::discover) fn listed_digest(&self, tag: &ListedTag) -> Option<ListedDigest> {
        let digest = tag.digest.clone()?;
        let listed_at = self.started_at.get()?;
        let listed = ListedDigest::new(digest, *listed_at);
        Some(listed.with_missing_referrers(tag.without_referrers))
    }
    /// Returns the detail of the list that rules read.
    pub(super) fn detail(&self) -> TagDetail {
        if self.with_digests.load(Ordering::Acquire) {
            TagDetail::Digests
        } else {
            TagDetail::Names
        }
    }
    /// Returns true if a listing rule may defer referrer tags.
    pub(super) fn may_defer_any(&self) -> bool {
        self.defers.load(Ordering::Acquire)
    }
    /// Requests the list, once.
    pub(super) fn start(&self, tasks: &TaskTracker) {
        self.task.get_or_init(|| {
            self.started_at.get_or_init(Instant::now);
            let reading = ListTask {
                stores: Arc::clone(&self.stores),
                repository: self.repository.clone(),
                cancel: self.cancel.clone(),
                state: self.state.clone(),
                few: !self.by_rule.load(Ordering::Acquire),
                detail: self.detail(),
                with_times: self.with_times.load(Ordering::Acquire),
                most: self.most,
                found: Vec::new(),
            };
            AbortOnDropHandle::new(tasks.spawn(reading.run().in_current_span()))
        });
    }
    /// Waits for the end of the list, and returns its referrer tags. The list must have been started.
    pub(in crate::discover) async fn referrer_tags(&self) -> ListedReferrerTags {
        let mut state = self.state.subscribe();
        let ended = state.wait_for(|state| state.told.is_some()).await;
        let told = ended.ok().and_then(|state| state.told.clone());
        told.unwrap_or(ListedReferrerTags::Nothing)
    }
    /// Drops the pages. Later readers list the repository again.
    pub(super) fn drop_pages(&self) {
        self.state.send_modify(|state| {
            state.text.cut = true;
            state.text.clear();
        });
    }
    /// Returns a receiver of the list's progress.
    pub(super) fn state(&self) -> watch::Receiver<ListState> {
        self.state.subscribe()
    }
    /// Returns the repository.
    pub(super) fn repository(&self) -> &Repository {
        &self.repository
    }
    /// Opens the list again, from its first page.
    pub(in crate::discover) async fn open_pages(
        &self,
        detail: TagDetail,
    ) -> Result<Box<dyn Tags>, Failure> {
        Ok(self.stores.source(&self.repository).await?.tags(detail))
    }

    /// Returns true if a listing rule may defer tags of `subject`. Before the end of the list, each subject may have tags.
    pub(super) fn may_defer(&self, subject: TagSubject) -> bool {
        let state = self.state.borrow();
        self.may_defer_any()
            && match &state.told {
                Some(ListedReferrerTags::Whole(tags) | ListedReferrerTags::Partly(tags)) => {
                    tags.refer_to(subject)
                }
                Some(ListedReferrerTags::Nothing) | None => true,
            }
    }
}

impl BufferedPages {
    /// Returns a page, if it is kept.
    pub(super) fn page(&self, number: usize) -> Option<&Arc<PackedPage>> {
        self.pages.get(number)
    }
    /// True if some pages are not kept.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }
    fn push(&mut self, tags: &[ListedTag]) {
        if self.cut {
            return;
        }
        let bytes = PackedPage::size(tags);
        if !self.budget.reserve(bytes) {
            self.cut = true;
            return;
        }
        self.taken += bytes;
        self.pages.push(Arc::new(PackedPage::new(tags)));
    }
    fn clear(&mut self) {
        self.pages = Vec::new();
        self.budget.release(std::mem::take(&mut self.taken));
    }
}

impl Drop for BufferedPages {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Task that reads a list to its end.
struct ListTask {
    stores: Arc<dyn Stores>,
    repository: Repository,
    cancel: CancellationToken,
    state: watch::Sender<ListState>,
    /// True if the list is worth a few pages only, and no page is kept.
    few: bool,
    detail: TagDetail,
    /// True if times of pushes are needed.
    with_times: bool,
    /// Maximum number of referrer tags.
    most: usize,
    found: Vec<ReferrerTag>,
}

impl ListTask {
    /// Reads the list, and ends all waits, even after a panic.
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

    /// Reads all pages. Returns false if pages were left out.
    async fn pages(&mut self) -> Result<bool, Failure> {
        // A list for referrer tags needs no digests.
        let detail = if self.few {
            TagDetail::Names
        } else {
            self.detail
        };
        let source = self.stores.source(&self.repository).await?;
        // Without times, a rule may fail, so that a probe is worth it for any number of tags.
        let wanted = if self.with_times { MANY } else { 0 };
        let mut pages = TagPages::open(RepositoryEnd::Source(source), detail, wanted).await;
        let mut number = 0;
        loop {
            if self.few && number == FEW_PAGES {
                return Ok(false);
            }
            let page = self.cancel.run_until_cancelled(pages.next()).await;
            let page = page.ok_or_else(Failure::interrupted)?;
            let page = page?;
            let Some(tags) = page else { return Ok(true) };
            number += 1;
            self.record_tags(&tags);
        }
    }

    fn record_tags(&mut self, tags: &[ListedTag]) {
        // One more than is kept, as a sign of too many.
        let room = (self.most + 1).saturating_sub(self.found.len());
        let found = tags
            .iter()
            .filter_map(|listed| ReferrerTag::parse(listed.tag.as_str()));
        self.found.extend(found.take(room));
        let few = self.few;
        self.state.send_modify(|state| {
            state.text.cut |= few;
            state.text.push(tags);
        });
    }
}
