//! The tags of one destination repository, listed once.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use image_syncer_registry::{Error, ErrorKind, Tag};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::Instrument;

use crate::store::Store;

/// The most tags that are kept: four megabytes. What a longer list would spare is asked instead.
const MAX_TAGS: usize = 500_000;

/// Pages that everybody waits for. Where more follow, most of what is to be compared is there already, and asking is
/// quicker than waiting.
const FEW_PAGES: usize = 10;

/// How long a page may take before nobody waits for it any more.
const PATIENCE: Duration = Duration::from_secs(5);

/// The list of one repository's tags: not asked for until somebody wants it, and then once. Dropped, it is let go.
pub(super) struct TagList {
    store: Arc<dyn Store>,
    state: watch::Sender<ListState>,
    task: OnceLock<AbortOnDropHandle<()>>,
}

/// How far the list has come.
#[derive(Default)]
enum ListState {
    /// It is on its way; so many pages have come.
    #[default]
    Asked,
    Coming(usize),
    /// It is whole.
    Here(TagHashes),
    /// It cannot be had, or is too long.
    Unavailable,
}

/// Tags by their hashes of 64 bits: that a tag seems to be there costs the question that would have been asked
/// anyway, and none can seem to be missing.
struct TagHashes {
    hashes: Vec<u64>,
    hasher: RandomState,
}

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// For the end, however far it is.
    Whole,
    /// For the end, if it is near.
    Near,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// There is nothing more to wait for.
    Out,
    /// Nothing came for so long that waiting costs more than asking.
    Late,
}

impl TagList {
    /// The list of `store`'s tags, not asked for yet.
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        let (state, _) = watch::channel(ListState::default());
        Self {
            store,
            state,
            task: OnceLock::new(),
        }
    }
    /// Asks for it, if nobody has yet.
    pub(super) fn start(&self, tasks: &TaskTracker) {
        self.task.get_or_init(|| {
            let fetch = fetch(Arc::clone(&self.store), self.state.clone());
            AbortOnDropHandle::new(tasks.spawn(fetch.in_current_span()))
        });
    }
    /// Waits for a list that was asked for.
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
    /// Whether it is known that there are no tags at all.
    pub(super) fn is_empty(&self) -> bool {
        matches!(&*self.state.borrow(), ListState::Here(tags) if tags.hashes.is_empty())
    }
    /// Whether the tag is there; `None` where that is not known.
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

/// Reads the list to its end, telling `state` how far it is.
async fn fetch(store: Arc<dyn Store>, state: watch::Sender<ListState>) {
    // Whatever happens, a panic included, nobody waits for ever.
    let state = ListGuard(state);
    let mut pages = store.tags_for_push();
    let mut tags = TagHashes {
        hashes: Vec::new(),
        hasher: RandomState::new(),
    };
    for number in 1.. {
        match pages.next().await {
            Ok(Some(page)) => {
                let hashes = page.iter().map(|tag| tags.hasher.hash_one(tag.as_str()));
                tags.hashes.extend(hashes);
            }
            Ok(None) => break,
            Err(error) if is_no_repository(&error) => break,
            Err(error) => {
                tracing::debug!(%error, "the destination's tags are asked for one by one");
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

/// Ends the waiting for a list that did not become whole.
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

/// Whether the registry says that there is no such repository, so no tag: `NAME_UNKNOWN`, or Harbor's word. Another
/// 404 may mean that it has no lists.
fn is_no_repository(error: &Error) -> bool {
    error.kind() == ErrorKind::NotFound
        && matches!(error.code(), Some("NAME_UNKNOWN" | "NOT_FOUND"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::store::Stores;
    use crate::store::memory::{MemoryStores, error, repository};

    struct World {
        stores: MemoryStores,
        list: TagList,
        tasks: TaskTracker,
    }

    /// A list of a repository with `tags` tags, `page` in a page.
    fn world(tags: usize, page: usize) -> World {
        let stores = MemoryStores::new();
        stores.behave(|behaviour| behaviour.page = page);
        let place = repository("dst.example/app");
        if tags > 0 {
            let image = stores.image(&place, "image", "linux/amd64", &[]);
            for number in 0..tags {
                stores.tag(&place, &format!("v{number}"), &image);
            }
        }
        World {
            list: TagList::new(stores.store(&place)),
            tasks: TaskTracker::new(),
            stores,
        }
    }

    impl World {
        async fn wait(&self, wait: Wait) -> Waited {
            self.list.start(&self.tasks);
            self.list.wait(wait).await
        }
        fn has(&self, tag: &str) -> Option<bool> {
            self.list.has(&Tag::parse(tag).unwrap())
        }
    }

    #[tokio::test]
    async fn it_is_asked_for_once_and_knows_what_is_there_and_what_is_not() {
        let world = world(5, 2);
        assert_eq!((world.has("v1"), world.stores.calls().len()), (None, 0));
        assert_eq!(world.wait(Wait::Near).await, Waited::Out);
        assert_eq!(world.wait(Wait::Whole).await, Waited::Out);
        assert_eq!(world.has("v4"), Some(true));
        assert_eq!(world.has("v5"), Some(false));
        // Three pages, and the one that shows the end.
        assert_eq!(world.stores.calls(), vec!["tags dst.example/app"; 4]);
    }

    #[tokio::test]
    async fn a_repository_that_is_not_there_has_no_tags_and_a_refusal_says_nothing() {
        let nothing = world(0, 100);
        nothing.wait(Wait::Near).await;
        assert_eq!(nothing.has("v1"), Some(false));
        for kind in [ErrorKind::NotFound, ErrorKind::Denied, ErrorKind::Server] {
            let refused = world(1, 100);
            refused
                .stores
                .fail("tags", 1, move || error(kind, "dst.example"));
            assert_eq!(refused.wait(Wait::Whole).await, Waited::Out);
            assert_eq!(refused.has("v0"), None);
        }
    }

    #[tokio::test]
    async fn a_long_list_is_waited_for_only_by_who_needs_it() {
        let world = world(40, 2);
        let mut gate = world.stores.block_calls("tags dst.example/app");
        world.list.start(&world.tasks);
        gate.reached(1).await;
        gate.open();
        world.list.wait(Wait::Near).await;
        world.list.wait(Wait::Whole).await;
        assert_eq!(world.has("v39"), Some(true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_does_not_come_is_not_waited_for_and_is_let_go() {
        let world = world(1, 100);
        let mut gate = world.stores.block_calls("tags");
        assert_eq!(world.wait(Wait::Whole).await, Waited::Late);
        assert_eq!(world.has("v0"), None);
        gate.reached(1).await;
        let World { list, tasks, .. } = world;
        drop(list);
        tasks.close();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn a_panic_ends_the_waiting() {
        let world = world(1, 100);
        world.stores.panic_at("tags");
        assert_eq!(world.wait(Wait::Whole).await, Waited::Out);
        assert_eq!(world.has("v0"), None);
    }
}
