//! List of the tags of one destination repository, requested once.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use image_syncer_registry::{ErrorKind, Tag};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::Instrument;

use crate::Repository;
use crate::store::{StoreError, Stores, TagDetail};

/// Maximum number of tags kept: four megabytes. Tags of longer lists are queried one by one.
const MAX_TAGS: usize = 500_000;

/// Number of pages that all searches wait for. In longer lists most tags exist already, and queries are quicker than
/// waiting.
const FEW_PAGES: usize = 10;

/// Maximum time to wait for a page.
const PATIENCE: Duration = Duration::from_secs(5);

/// List of one repository's tags. It is requested once, at the first use; dropping it cancels the request.
pub(super) struct TagList {
    stores: Arc<dyn Stores>,
    repository: Repository,
    state: watch::Sender<ListState>,
    task: OnceLock<AbortOnDropHandle<()>>,
}

/// Progress of the list.
#[derive(Default)]
enum ListState {
    /// Requested; no page has arrived.
    #[default]
    Asked,
    Coming(usize),
    /// Complete.
    Here(TagHashes),
    /// Refused, failed or too long.
    Unavailable,
}

/// Tags by their 64-bit hashes. A collision makes a missing tag look present, which costs the query that would have
/// been made anyway; no present tag can look missing.
struct TagHashes {
    hashes: Vec<u64>,
    hasher: RandomState,
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
    /// Returns the list of the tags of `repository`. Sends no request yet.
    pub(super) fn new(stores: Arc<dyn Stores>, repository: Repository) -> Self {
        let (state, _) = watch::channel(ListState::default());
        Self {
            stores,
            repository,
            state,
            task: OnceLock::new(),
        }
    }
    /// Requests the list, once.
    pub(super) fn start(&self, tasks: &TaskTracker) {
        self.task.get_or_init(|| {
            let (stores, repository) = (Arc::clone(&self.stores), self.repository.clone());
            let fetch = fetch(stores, repository, self.state.clone());
            AbortOnDropHandle::new(tasks.spawn(fetch.in_current_span()))
        });
    }
    /// Waits for a list that was started.
    pub(super) async fn wait(&self, wait: Wait) -> Waited {
        let mut state = self.state.subscribe();
        loop {
            match &*state.borrow_and_update() {
                ListState::Here(_) | ListState::Unavailable => return Waited::Out,
                ListState::Coming(pages) if wait == Wait::Near && *pages >= FEW_PAGES => {
                    return Waited::Out;
                }
                ListState::Asked | ListState::Coming(_) => {}
            }
            if timeout(PATIENCE, state.changed()).await.is_err() {
                return Waited::Late;
            }
        }
    }
    /// Returns true if the complete list is empty.
    pub(super) fn is_empty(&self) -> bool {
        matches!(&*self.state.borrow(), ListState::Here(tags) if tags.hashes.is_empty())
    }
    /// Returns whether the tag exists; `None` if unknown.
    pub(super) fn has(&self, tag: &Tag) -> Option<bool> {
        match &*self.state.borrow() {
            ListState::Here(tags) => Some(tags.has(tag)),
            _ => None,
        }
    }
}

impl TagHashes {
    fn has(&self, tag: &Tag) -> bool {
        let hash = self.hasher.hash_one(tag.as_str());
        self.hashes.binary_search(&hash).is_ok()
    }
}

/// Reads the list to its end, and reports the progress to `state`.
async fn fetch(stores: Arc<dyn Stores>, repository: Repository, state: watch::Sender<ListState>) {
    // Ends all waits, even after a panic.
    let state = ListGuard(state);
    let mut pages = match stores.destination(&repository).await {
        Ok(destination) => destination.tags(TagDetail::Names),
        Err(error) => {
            tracing::debug!(%error, "the destination's tags are queried one by one");
            return;
        }
    };
    let mut tags = TagHashes {
        hashes: Vec::new(),
        hasher: RandomState::new(),
    };
    for number in 1.. {
        match pages.next().await {
            Ok(Some(page)) => {
                let hashes = page
                    .iter()
                    .map(|listed| tags.hasher.hash_one(listed.tag.as_str()));
                tags.hashes.extend(hashes);
            }
            Ok(None) => break,
            Err(error) if is_no_repository(&error) => break,
            Err(error) => {
                tracing::debug!(%error, "the destination's tags are queried one by one");
                return;
            }
        }
        if tags.hashes.len() > MAX_TAGS {
            return;
        }
        state.0.send_replace(ListState::Coming(number));
    }
    tags.hashes.sort_unstable();
    tags.hashes.shrink_to_fit();
    state.0.send_replace(ListState::Here(tags));
}

/// Ends the waits for a list that was not completed.
struct ListGuard(watch::Sender<ListState>);

impl Drop for ListGuard {
    fn drop(&mut self) {
        self.0.send_if_modified(|state| {
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
        );
        (scenario, list)
    }

    /// Starts the list and waits for it.
    async fn waited(list: &TagList, wait: Wait) -> Waited {
        list.start(&TaskTracker::new());
        list.wait(wait).await
    }

    fn has(list: &TagList, tag: &str) -> Option<bool> {
        list.has(&Tag::parse(tag).unwrap())
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
        let gate = scenario.stores.block_calls("tags dst.example/app");
        list.start(&TaskTracker::new());
        gate.reached(1).await;
        gate.open();
        list.wait(Wait::Near).await;
        list.wait(Wait::Whole).await;
        assert_eq!(has(&list, "v39"), Some(true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_list_is_not_waited_for_and_is_cancelled() {
        let (scenario, list) = listed(1, 100);
        let gate = scenario.stores.block_calls("tags");
        let tasks = TaskTracker::new();
        list.start(&tasks);
        assert_eq!(list.wait(Wait::Whole).await, Waited::Late);
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
