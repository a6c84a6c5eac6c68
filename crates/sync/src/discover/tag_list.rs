//! List of the tags of one repository, requested once and kept for look-ups.
//!
//! A list with digests is bounded by the number of tags that are looked up. It has fewer tags in a page, and a repository
//! may have many more tags than a rule wants: then it pauses, and its tags are queried one by one, until more tags are
//! wanted.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use image_syncer_registry::{Digest, ErrorKind, ListedTag, Tag};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::Instrument;

use crate::Repository;
use crate::discover::tag_pages::{RepositoryEnd, TagPages};
use crate::failure::Side;
use crate::lock::lock;
use crate::store::ListedDigest;
use crate::store::{StoreError, StoreResult, Stores, TagDetail};

/// Maximum number of tags kept: four megabytes. Tags of longer lists are queried one by one.
const MAX_TAGS: usize = 500_000;

/// Maximum number of digests kept: three megabytes. The other tags of a longer list are queried one by one.
const MAX_DIGESTS: usize = 50_000;

/// Number of pages of a list of names that all searches wait for. In longer lists most tags exist already, and queries
/// are quicker than waiting.
const FEW_PAGES: usize = 10;

/// Number of wanted tags that justify a further page of a longer list of names. Nobody waits for it, and it is of no use
/// before its end.
const TAGS_PER_PAGE_OF_NAMES: usize = 20;

/// Number of tags in a full page of most lists with digests.
const FULL_PAGE: usize = 100;

/// Number of wanted tags that justify a further page of digests of a destination, where most tags are copies.
const TAGS_PER_DESTINATION_PAGE: usize = 4;

/// Number of wanted tags that justify a further page of digests of a source, where a rule names some of many tags.
pub(super) const TAGS_PER_SOURCE_PAGE: usize = 8;

/// Maximum time to wait for a page.
const PATIENCE: Duration = Duration::from_secs(5);

/// List of one repository's tags. It is requested once, at the first use; dropping it cancels the request.
pub(super) struct TagList {
    stores: Arc<dyn Stores>,
    repository: Repository,
    content: Arc<ListContent>,
    start: OnceLock<ListStart>,
    task: OnceLock<AbortOnDropHandle<()>>,
    /// True after a wait that was too long.
    is_late: AtomicBool,
}

/// Facts about the start of a list.
struct ListStart {
    at: Instant,
    detail: TagDetail,
}

/// Content of a list, which its task fills.
struct ListContent {
    side: Side,
    state: watch::Sender<ListState>,
    /// Number of tags that are looked up.
    wanted: watch::Sender<usize>,
    /// Digests of the tags so far, by the hashes of the tags.
    digests: Mutex<HashMap<u64, KeptDigest>>,
    /// True if the list has names only, even if digests were requested.
    has_names_only: AtomicBool,
    hasher: RandomState,
}

/// Digest of a tag, as the list shows it.
struct KeptDigest {
    sha256: [u8; 32],
    without_referrers: bool,
}

/// Progress of the list.
#[derive(Default)]
enum ListState {
    /// Requested; no page has arrived.
    #[default]
    Asked,
    Coming(usize),
    /// More pages would cost more than queries for the wanted tags.
    Paused(usize),
    /// Complete, with the sorted hashes of the tags. A collision makes a missing tag look present, which costs the query
    /// that would have been made anyway; no present tag can look missing.
    Here(Vec<u64>),
    /// Refused, failed or too long.
    Unavailable,
}

/// Condition to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// The end of the list.
    Whole,
    /// The end of a short list.
    Near,
}

/// Result of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// The condition is met, or cannot be met.
    Out,
    /// No page arrived for so long that waiting costs more than queries.
    Late,
}

impl TagList {
    /// Returns the list of the tags of `repository` at one `side` of a copy. Sends no request yet.
    pub(super) fn new(stores: Arc<dyn Stores>, repository: Repository, side: Side) -> Self {
        Self {
            stores,
            repository,
            content: Arc::new(ListContent {
                side,
                state: watch::Sender::default(),
                wanted: watch::Sender::default(),
                digests: Mutex::default(),
                has_names_only: AtomicBool::new(false),
                hasher: RandomState::new(),
            }),
            start: OnceLock::new(),
            task: OnceLock::new(),
            is_late: AtomicBool::new(false),
        }
    }
    /// Returns the repository.
    pub(super) fn repository(&self) -> &Repository {
        &self.repository
    }
    /// Requests the list, once.
    pub(super) fn start(&self, tasks: &TaskTracker, detail: TagDetail) {
        self.task.get_or_init(|| {
            let at = Instant::now();
            self.start.get_or_init(|| ListStart { at, detail });
            let (stores, repository) = (Arc::clone(&self.stores), self.repository.clone());
            let fetch = fetch(stores, repository, Arc::clone(&self.content), detail);
            AbortOnDropHandle::new(tasks.spawn(fetch.in_current_span()))
        });
    }
    /// Returns true if the list was requested.
    pub(super) fn is_started(&self) -> bool {
        self.start.get().is_some()
    }
    /// Returns true if the list was requested with digests, and is not known to have names only.
    pub(super) fn may_have_digests(&self) -> bool {
        let start = self.start.get();
        start.is_some_and(|start| start.detail == TagDetail::Digests)
            && !self.content.has_names_only.load(Ordering::Acquire)
    }
    /// Adds `tags` to the number of tags that are looked up, and returns the sum.
    pub(super) fn want(&self, tags: usize) -> usize {
        let content = &self.content;
        content.wanted.send_modify(|wanted| *wanted += tags);
        let wanted = *content.wanted.borrow();
        content.state.send_if_modified(|state| match state {
            ListState::Paused(pages) if content.justifies(*pages, wanted) => {
                *state = ListState::Coming(*pages);
                true
            }
            _ => false,
        });
        wanted
    }
    /// Waits for a list that was started, or for the digest of `tag`.
    pub(super) async fn wait(&self, wait: Wait, tag: &Tag) -> Waited {
        if self.is_late.load(Ordering::Acquire) {
            return Waited::Late;
        }
        let mut state = self.content.state.subscribe();
        loop {
            match &*state.borrow_and_update() {
                ListState::Here(_) | ListState::Unavailable | ListState::Paused(_) => {
                    return Waited::Out;
                }
                ListState::Coming(pages)
                    if wait == Wait::Near && *pages >= FEW_PAGES && !self.may_have_digests() =>
                {
                    return Waited::Out;
                }
                ListState::Coming(_) if wait == Wait::Near && self.content.shows(tag) => {
                    return Waited::Out;
                }
                ListState::Asked | ListState::Coming(_) => {}
            }
            if timeout(PATIENCE, state.changed()).await.is_err() {
                self.is_late.store(true, Ordering::Release);
                return Waited::Late;
            }
        }
    }
    /// Returns true if the complete list is empty.
    pub(super) fn is_empty(&self) -> bool {
        matches!(&*self.content.state.borrow(), ListState::Here(tags) if tags.is_empty())
    }
    /// Returns whether the tag exists; `None` if unknown.
    pub(super) fn has(&self, tag: &Tag) -> Option<bool> {
        match &*self.content.state.borrow() {
            ListState::Here(tags) => Some(tags.binary_search(&self.content.hash(tag)).is_ok()),
            _ => None,
        }
    }
    /// Returns the digest that the list shows for the tag.
    pub(super) fn digest(&self, tag: &Tag) -> Option<ListedDigest> {
        let digests = lock(&self.content.digests);
        let kept = digests.get(&self.content.hash(tag))?;
        let digest = Digest::from_sha256(&kept.sha256);
        let listed = ListedDigest::new(digest, self.start.get()?.at);
        Some(listed.with_missing_referrers(kept.without_referrers))
    }
}

impl ListContent {
    fn hash(&self, tag: &Tag) -> u64 {
        self.hasher.hash_one(tag.as_str())
    }
    fn shows(&self, tag: &Tag) -> bool {
        lock(&self.digests).contains_key(&self.hash(tag))
    }
    /// Returns true if `wanted` tags justify a page of digests after `pages` of them.
    fn justifies(&self, pages: usize, wanted: usize) -> bool {
        let per_page = match self.side {
            Side::Source => TAGS_PER_SOURCE_PAGE,
            _ => TAGS_PER_DESTINATION_PAGE,
        };
        pages < wanted.div_ceil(per_page).max(1)
    }
    /// Waits until enough tags are wanted for a page of digests after `pages` of them.
    async fn pause(&self, pages: usize) {
        self.state.send_if_modified(|state| {
            let pauses = !self.justifies(pages, *self.wanted.borrow());
            if pauses {
                *state = ListState::Paused(pages);
            }
            pauses
        });
        let mut wanted = self.wanted.subscribe();
        // The sender lives as long as this.
        let _ = wanted
            .wait_for(|wanted| self.justifies(pages, *wanted))
            .await;
    }
    /// Keeps the digests of a page. Returns false if there are too many.
    fn keep_digests(&self, page: &[ListedTag]) -> bool {
        let mut digests = lock(&self.digests);
        for listed in page {
            if let Some(sha256) = listed.digest.as_ref().and_then(Digest::to_sha256) {
                let without_referrers = listed.without_referrers;
                let kept = KeptDigest {
                    sha256,
                    without_referrers,
                };
                digests.insert(self.hash(&listed.tag), kept);
            }
        }
        digests.len() <= MAX_DIGESTS
    }
}

/// Reads the list to its end into `content`.
async fn fetch(
    stores: Arc<dyn Stores>,
    repository: Repository,
    content: Arc<ListContent>,
    detail: TagDetail,
) {
    // Ends all waits, even after a panic.
    let guard = ListGuard(&content);
    match read(&*stores, &repository, &content, detail).await {
        Ok(Some(mut hashes)) => {
            hashes.sort_unstable();
            hashes.shrink_to_fit();
            content.state.send_replace(ListState::Here(hashes));
        }
        Ok(None) => {}
        Err(error) => {
            tracing::debug!(%error, "tags are queried one by one");
            lock(&content.digests).clear();
        }
    }
    drop(guard);
}

/// Returns the hashes of all tags, or `None` if the list is too long or of no use.
async fn read(
    stores: &dyn Stores,
    repository: &Repository,
    content: &ListContent,
    detail: TagDetail,
) -> StoreResult<Option<Vec<u64>>> {
    let end = match content.side {
        Side::Source => RepositoryEnd::Source(stores.source(repository).await?),
        _ => RepositoryEnd::Destination(stores.destination(repository).await?),
    };
    let wanted = *content.wanted.borrow();
    let mut pages = TagPages::open(end, detail, wanted).await;
    if content.side == Side::Source && !pages.with_digests() {
        return Ok(None);
    }
    let mut hashes: Vec<u64> = Vec::new();
    let mut short_pages = 0;
    for number in 0_usize.. {
        if pages.with_digests() {
            content.pause(number.saturating_sub(short_pages)).await;
        } else if number >= FEW_PAGES && number > *content.wanted.borrow() / TAGS_PER_PAGE_OF_NAMES
        {
            return Ok(None);
        }
        let page = match pages.next().await {
            Ok(Some(page)) => page,
            Ok(None) => break,
            Err(error) if is_no_repository(&error) => break,
            Err(error) => return Err(error),
        };
        let names_only = !pages.with_digests();
        content.has_names_only.store(names_only, Ordering::Release);
        // Most likely the last one, so that the end costs no request.
        short_pages = usize::from(page.len() < FULL_PAGE);
        hashes.extend(page.iter().map(|listed| content.hash(&listed.tag)));
        if hashes.len() > MAX_TAGS {
            return Ok(None);
        }
        if !content.keep_digests(&page) {
            content.state.send_replace(ListState::Paused(usize::MAX));
            return Ok(None);
        }
        content.state.send_replace(ListState::Coming(number + 1));
    }
    Ok(Some(hashes))
}

/// Ends the waits for a list that was not completed.
struct ListGuard<'a>(&'a ListContent);

impl Drop for ListGuard<'_> {
    fn drop(&mut self) {
        self.0.state.send_if_modified(|state| {
            let unfinished = matches!(state, ListState::Asked | ListState::Coming(_));
            if unfinished {
                *state = ListState::Unavailable;
            }
            unfinished
        });
    }
}

/// Returns true if the registry reports that the repository does not exist, so that it has no tags: `NAME_UNKNOWN`, or
/// Harbor's code. Another 404 may mean that it has no lists.
fn is_no_repository(error: &StoreError) -> bool {
    error.kind() == ErrorKind::NotFound
        && matches!(error.error().code(), Some("NAME_UNKNOWN" | "NOT_FOUND"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;
    use crate::store::memory::error;

    /// Returns a scenario whose destination has `tags` tags, `page` in a page, and the list of the destination.
    fn listed(tags: usize, page: usize) -> (Scenario, TagList) {
        let scenario = Scenario::new("src.example/app", &["dst.example/app"]).with_page(page);
        if tags > 0 {
            let tags: Vec<String> = (0..tags).map(|number| format!("v{number}")).collect();
            let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
            scenario.image_in("dst.example/app", "image", &tags, &[]);
        }
        let list = TagList::new(
            Arc::new(scenario.stores.clone()),
            scenario.destination.clone(),
            Side::Destination,
        );
        (scenario, list)
    }

    /// Starts the list and waits for it.
    async fn waited(list: &TagList, wait: Wait) -> Waited {
        list.start(&TaskTracker::new(), TagDetail::Names);
        list.wait(wait, &tag("v0")).await
    }

    fn tag(text: &str) -> Tag {
        Tag::parse(text).unwrap()
    }

    fn has(list: &TagList, tag: &str) -> Option<bool> {
        list.has(&Tag::parse(tag).unwrap())
    }

    #[tokio::test]
    async fn a_long_list_of_names_goes_on_for_many_tags_alone() {
        for (wanted, calls, is_known) in [(3, 10, None), (219, 11, None), (260, 13, Some(false))] {
            let (scenario, list) = listed(12, 1);
            list.want(wanted);
            assert_eq!(waited(&list, Wait::Whole).await, Waited::Out);
            assert_eq!(has(&list, "missing"), is_known, "{wanted}");
            assert_eq!(scenario.stores.calls().len(), calls, "{wanted}");
        }
    }

    #[tokio::test]
    async fn a_list_is_requested_once_and_tells_present_from_missing_tags() {
        let (scenario, list) = listed(5, 2);
        assert_eq!((has(&list, "v1"), scenario.stores.calls().len()), (None, 0));
        assert_eq!(waited(&list, Wait::Near).await, Waited::Out);
        assert_eq!(waited(&list, Wait::Whole).await, Waited::Out);
        assert_eq!(has(&list, "v4"), Some(true));
        assert_eq!(has(&list, "v5"), Some(false));
        // Three pages, and the one that shows the end.
        assert_eq!(scenario.stores.calls(), vec!["tags dst.example/app"; 4]);
    }

    #[tokio::test]
    async fn a_missing_repository_has_no_tags_and_a_refusal_is_no_answer() {
        let (_, missing) = listed(0, 100);
        waited(&missing, Wait::Near).await;
        assert_eq!(has(&missing, "v1"), Some(false));
        for kind in [ErrorKind::NotFound, ErrorKind::Denied, ErrorKind::Server] {
            let (scenario, list) = listed(1, 100);
            let refused = move || error(kind, "dst.example");
            scenario.stores.fail("tags", 1, refused);
            assert_eq!(waited(&list, Wait::Whole).await, Waited::Out);
            assert_eq!(has(&list, "v0"), None);
        }
    }

    #[tokio::test]
    async fn only_whole_waits_for_the_end_of_a_long_list() {
        let (scenario, list) = listed(40, 2);
        list.want(400);
        let gate = scenario.stores.block_calls("tags dst.example/app");
        list.start(&TaskTracker::new(), TagDetail::Names);
        gate.reached(1).await;
        gate.open();
        list.wait(Wait::Near, &tag("v0")).await;
        list.wait(Wait::Whole, &tag("v0")).await;
        assert_eq!(has(&list, "v39"), Some(true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_list_is_not_waited_for_and_is_cancelled() {
        let (scenario, list) = listed(1, 100);
        let gate = scenario.stores.block_calls("tags");
        let tasks = TaskTracker::new();
        list.start(&tasks, TagDetail::Names);
        assert_eq!(list.wait(Wait::Whole, &tag("v0")).await, Waited::Late);
        assert_eq!(has(&list, "v0"), None);
        gate.reached(1).await;
        drop(list);
        tasks.close();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn a_panic_ends_the_wait() {
        let (scenario, list) = listed(1, 100);
        scenario.stores.panic_at("tags");
        assert_eq!(waited(&list, Wait::Whole).await, Waited::Out);
        assert_eq!(has(&list, "v0"), None);
    }
}
