//! What is known of places before they are asked: from the list of a destination's tags, and from the records.
//!
//! # When a list is taken
//!
//! One list of a destination repository replaces a HEAD there, and one at the source, for each tag that is new. So it
//! pays where several tags go to a repository that the records do not know; it is asked for together with the source's
//! own. Where the records know the repository, most tags are unchanged, and the two HEADs of each, in flight together,
//! are all there is to ask. For tags that the user declares immutable, and that the records know as copied, the list
//! takes the place of everything else.
//!
//! A list is no barrier: who waits for it is the search for one rule's images, and not for long. It may be stale when
//! it is used; then a push meets a tag that it lacks, which `copy` settles.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use image_syncer_registry::{Digest, Registry, Repository, Tag};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Settings;
use crate::discover::ImageDestination;
use crate::discover::tag_list::{TagList, Wait, Waited};
use crate::inventory::Inventory;
use crate::lock::lock;
use crate::rule::{Immutable, Rule, Selection};
use crate::store::Stores;

/// As many tags as are worth a list.
const SEVERAL: usize = 3;

/// What is known of a place before it is asked. No more than a hint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DestinationHint {
    /// Nothing.
    #[default]
    None,
    /// The tag was not there a moment ago.
    Absent,
    /// The tag never changes, it is there, and the records say that it was copied, with this digest.
    Recorded(Digest),
}

/// What lists and records say of the destinations of a run.
pub(crate) struct DestinationTagIndex {
    inventory: Arc<Inventory>,
    immutable: Arc<Immutable>,
    /// The destinations of rules that have not ended.
    destinations: Mutex<HashMap<Repository, IndexedRepository>>,
    /// Registries whose lists do not come.
    late: Mutex<HashSet<Registry>>,
    tasks: TaskTracker,
}

struct IndexedRepository {
    list: Arc<TagList>,
    /// Rules that have not ended.
    rules: usize,
    /// Whether several tags go there.
    several: bool,
    names: usize,
}

impl DestinationTagIndex {
    /// A census of all destinations of `rules`, which must be all of the run's.
    pub(crate) fn new(
        stores: &Arc<dyn Stores>,
        inventory: Arc<Inventory>,
        settings: &Settings,
        rules: &[Arc<Rule>],
    ) -> Self {
        let mut destinations = HashMap::new();
        for rule in rules {
            for destination in &rule.destinations {
                let repository = &destination.repository;
                let entry = destinations.entry(repository.clone());
                let entry = entry.or_insert_with(|| IndexedRepository {
                    list: Arc::new(TagList::new(stores.store(repository))),
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
        // Whoever pushes again, or looks deeper, wants to see for himself.
        let looks = settings.force || settings.verify;
        Self {
            inventory,
            immutable: if looks {
                Arc::default()
            } else {
                Arc::clone(&settings.immutable)
            },
            destinations: Mutex::new(destinations),
            late: Mutex::default(),
            tasks: TaskTracker::new(),
        }
    }

    /// The images of `rule` are being looked for: asks for the lists that it will need.
    pub(super) async fn begin(&self, rule: &Rule) {
        let lists = matches!(rule.source.select, Selection::All | Selection::Matching(_));
        for destination in &rule.destinations {
            let repository = &destination.repository;
            let known = self.inventory.was_copied_to(repository).await;
            let confirms = lists && known && !self.immutable.is_empty();
            if let Some((list, several)) = self.list(repository)
                && (confirms || several && !known)
            {
                list.start(&self.tasks);
            }
        }
    }

    /// The images of `rule` were all found: lists that no other rule needs are let go.
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

    /// What is known of `place`, to which the image goes that is called `tag` in `source`; waits for a list where
    /// that spares more than it costs, but not beyond `cancel`.
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
        let repository = &place.repository;
        let Some((list, several)) = self.list(repository) else {
            return DestinationHint::None;
        };
        let known = self.inventory.was_copied_to(repository).await;
        let immutable = tag.filter(|tag| self.immutable.matches(tag));
        let recorded = match immutable {
            Some(tag) => {
                let copied = self
                    .inventory
                    .last_copied(source, tag, repository, place_tag);
                copied.await
            }
            None => None,
        };
        // An immutable tag that the records do not know is new, where they know others.
        if several && !known || known && immutable.is_some() {
            list.start(&self.tasks);
            let wait = match &recorded {
                Some(_) => Wait::Whole,
                None => Wait::Near,
            };
            let wait = self.wait(&list, wait, repository.registry());
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

    /// Returns when no list is on its way any more; all rules must have ended.
    pub(crate) async fn wait_for_lists(&self) {
        lock(&self.destinations).clear();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// A registry whose lists do not come is waited for once, not once for each of its repositories.
    async fn wait(&self, list: &TagList, wait: Wait, registry: &Registry) {
        if lock(&self.late).contains(registry) {
            return;
        }
        if list.wait(wait).await == Waited::Late {
            lock(&self.late).insert(registry.clone());
        }
    }

    fn list(&self, repository: &Repository) -> Option<(Arc<TagList>, bool)> {
        let destinations = lock(&self.destinations);
        let destination = destinations.get(repository)?;
        Some((Arc::clone(&destination.list), destination.several))
    }
}
