//! Facts about destinations without a query of the single tag: from the list of a destination's tags, and from the
//! records.
//!
//! # When a list is requested
//!
//! One list of a destination repository replaces, for each new tag, a HEAD there and one at the source. So a list pays
//! if several tags go to a repository that the records do not know; it is requested together with the list of the
//! source. If the records know the repository, most tags are unchanged, and two HEADs for each, in flight together, are
//! sufficient. For tags that the user declares immutable, and that the records know as copied, the list replaces all
//! other requests.
//!
//! A list is no barrier: only the search for one rule's images waits for it, and only for a short time. It may be stale
//! when it is used. Then a push finds a tag that the list lacked, which `copy` handles.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use image_syncer_registry::{Digest, Tag};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::discover::ImageDestination;
use crate::discover::tag_list::{TagList, Wait, Waited};
use crate::inventory::Inventory;
use crate::lock::lock;
use crate::rule::{Rule, Selection};
use crate::store::Stores;
use crate::{Endpoint, Repository};

/// Minimum number of tags that justify a list.
const SEVERAL: usize = 3;

/// Hint about a destination before it is queried.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum DestinationHint {
    /// Nothing is known.
    #[default]
    None,
    /// A recent list lacked the tag.
    Absent,
    /// The tag is immutable and exists, and the records have it as copied, with this digest.
    Recorded(Digest),
}

/// Facts from lists and records about the destinations of a run.
pub(crate) struct DestinationTagIndex {
    inventory: Arc<Inventory>,
    /// Destinations of rules that have not ended.
    destinations: Mutex<HashMap<Repository, IndexedRepository>>,
    /// Registries whose lists are late.
    late: Mutex<HashSet<Endpoint>>,
    tasks: TaskTracker,
}

struct IndexedRepository {
    list: Arc<TagList>,
    /// Number of rules that have not ended.
    rules: usize,
    /// True if several tags go there.
    several: bool,
    names: usize,
}

impl DestinationTagIndex {
    /// Returns the index for all destinations of `rules`, which must be all rules of the run.
    pub(crate) fn new(
        stores: &Arc<dyn Stores>,
        inventory: Arc<Inventory>,
        rules: &[Arc<Rule>],
    ) -> Self {
        let mut destinations = HashMap::new();
        for rule in rules {
            for destination in &rule.destinations {
                let repository = &destination.repository;
                let entry = destinations.entry(repository.clone());
                let entry = entry.or_insert_with(|| IndexedRepository {
                    list: Arc::new(TagList::new(Arc::clone(stores), repository.clone())),
                    rules: 0,
                    several: false,
                    names: 0,
                });
                entry.rules += 1;
                match &rule.source.select {
                    Selection::All | Selection::Matching(_) => entry.several = true,
                    Selection::Tags(tags) => entry.names += tags.len(),
                    Selection::Digest { tag, .. } => entry.names += usize::from(tag.is_some()),
                }
                entry.several |= entry.names >= SEVERAL;
            }
        }
        Self {
            inventory,
            destinations: Mutex::new(destinations),
            late: Mutex::default(),
            tasks: TaskTracker::new(),
        }
    }

    /// Starts the lists that `rule` needs.
    pub(super) async fn begin(&self, rule: &Rule) {
        let lists = matches!(rule.source.select, Selection::All | Selection::Matching(_));
        for destination in &rule.destinations {
            let repository = &destination.repository;
            let known = self.inventory.was_copied_to(repository).await;
            let options = rule.options_for(destination);
            let confirms = lists && known && options.has_immutable_tags();
            if options.conflict.may_overwrite()
                && let Some((list, several)) = self.list(repository)
                && (confirms || several && !known)
            {
                list.start(&self.tasks);
            }
        }
    }

    /// Ends `rule`: drops lists that no other rule needs.
    pub(super) fn end(&self, rule: &Rule) {
        let mut destinations = lock(&self.destinations);
        for destination in &rule.destinations {
            let repository = &destination.repository;
            if let Some(entry) = destinations.get_mut(repository) {
                entry.rules -= 1;
                if entry.rules == 0 {
                    destinations.remove(repository);
                }
            }
        }
    }

    /// Returns the hint for `place`, the destination of the image with `tag` in `source`. Waits for a list if that
    /// saves requests, but not beyond `cancel`.
    pub(super) async fn hint(
        &self,
        source: &Repository,
        tag: Option<&Tag>,
        place: &ImageDestination,
        cancel: &CancellationToken,
    ) -> DestinationHint {
        let Some(place_tag) = &place.tag else {
            return DestinationHint::None;
        };
        // Its digest decides, which neither a list nor the records prove.
        if place.options.conflict.keeps(place_tag) {
            return DestinationHint::None;
        }
        let repository = &place.repository;
        let Some((list, several)) = self.list(repository) else {
            return DestinationHint::None;
        };
        let known = self.inventory.was_copied_to(repository).await;
        let options = &place.options;
        let immutable = tag.filter(|tag| options.is_immutable(tag));
        let recorded = match immutable {
            Some(tag) => {
                let copied = self
                    .inventory
                    .last_copied(source, tag, repository, place_tag, options);
                copied.await
            }
            None => None,
        };
        // An immutable tag that the records lack is new, if they know others.
        if several && !known || known && immutable.is_some() {
            list.start(&self.tasks);
            let wait = match &recorded {
                Some(_) => Wait::Whole,
                None => Wait::Near,
            };
            let wait = self.wait(&list, wait, repository.endpoint());
            cancel.run_until_cancelled(wait).await;
        }
        if list.is_empty() {
            self.inventory.note_empty(repository);
        }
        match (list.has(place_tag), recorded) {
            (Some(false), _) => DestinationHint::Absent,
            (Some(true), Some(digest)) => DestinationHint::Recorded(digest),
            _ => DestinationHint::None,
        }
    }

    /// Waits until no list is in flight. All rules must have ended.
    pub(crate) async fn wait_for_lists(&self) {
        lock(&self.destinations).clear();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Waits for a list. After one timeout, the other lists of the registry are not waited for.
    async fn wait(&self, list: &TagList, wait: Wait, endpoint: &Endpoint) {
        if lock(&self.late).contains(endpoint) {
            return;
        }
        if list.wait(wait).await == Waited::Late {
            lock(&self.late).insert(endpoint.clone());
        }
    }

    fn list(&self, repository: &Repository) -> Option<(Arc<TagList>, bool)> {
        let destinations = lock(&self.destinations);
        let destination = destinations.get(repository)?;
        Some((Arc::clone(&destination.list), destination.several))
    }
}
