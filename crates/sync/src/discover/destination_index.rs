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
//! A list with digests replaces the HEAD of each tag that did not change, so it pays for several tags in any case, if the
//! destination has one (`tag_pages`). It may need many more pages than the tags are worth: a rule may want ten of 50,000
//! tags. So each further page must be justified by four wanted tags: a list that helps with no tag costs a quarter more
//! requests, and one that helps with all saves up to 99 of 100 (`tag_list`). Copies that a filter changes have other
//! digests, and `--force` and `--verify` believe no digest: for these, no list with digests is requested.
//!
//! A list is no barrier: only the search for one rule's images waits for it, and only for a short time. It may be stale
//! when it is used. Then a push finds a tag that the list lacked, which `copy` handles.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use image_syncer_registry::{Digest, Tag};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::Instrument;

use crate::discover::ImageDestination;
use crate::discover::tag_list::{TagList, Wait, Waited};
use crate::discover::tag_pages::{RepositoryEnd, SEVERAL};
use crate::failure::Side;
use crate::inventory::Inventory;
use crate::inventory::records::{RecordedCopies, RecordedDigest};
use crate::lock::lock;
use crate::rule::{CopyOptions, Rule, Selection};
use crate::settings::Listing;
use crate::store::ListedDigest;
use crate::store::{Stores, TagDetail};
use crate::{Endpoint, Repository};

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
    /// A list shows the tag with this digest.
    Listed(ListedDigest),
}

/// Facts about the destination of an image before it is queried.
#[derive(Default)]
pub(super) struct KnownDestination {
    pub(super) hint: DestinationHint,
    /// Digest of the last copy from the same source, according to a record that need not be written again.
    pub(super) recorded: Option<RecordedDigest>,
}

/// Facts that decide about a hint.
struct HintEvidence<'a> {
    /// An existing tag is not overwritten.
    keeps: bool,
    is_immutable: bool,
    /// The records have copies to the repository.
    is_known: bool,
    /// Digest of the last copy, if the tag is immutable.
    recorded: Option<&'a RecordedDigest>,
}

impl DestinationHint {
    /// Returns the digest that a recent list shows.
    pub(crate) fn listed_digest(&self) -> Option<&Digest> {
        match self {
            Self::Listed(listed) => listed.recent(),
            Self::None | Self::Absent | Self::Recorded(_) => None,
        }
    }
}

/// Facts from lists and records about the destinations of a run.
pub(crate) struct DestinationTagIndex {
    stores: Arc<dyn Stores>,
    listing: Listing,
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
    /// Last copies to it, read before the first image is copied there.
    copies: Arc<OnceCell<RecordedCopies>>,
    preparation: Option<AbortOnDropHandle<()>>,
}

/// Facts about a destination repository while rules copy to it.
struct DestinationFacts {
    list: Arc<TagList>,
    several: bool,
    copies: Arc<OnceCell<RecordedCopies>>,
}

impl DestinationTagIndex {
    /// Returns an empty index.
    pub(crate) fn new(stores: &Arc<dyn Stores>, inventory: Arc<Inventory>) -> Self {
        Self {
            stores: Arc::clone(stores),
            listing: Listing::default(),
            inventory,
            destinations: Mutex::default(),
            late: Mutex::default(),
            tasks: TaskTracker::new(),
        }
    }

    /// Sets the use of lists with digests.
    pub(crate) fn with_listing(self, listing: Listing) -> Self {
        Self { listing, ..self }
    }

    /// Adds the destinations of `rule`, before its search.
    pub(crate) fn add(&self, rule: &Rule) {
        let mut destinations = lock(&self.destinations);
        for destination in &rule.destinations {
            let repository = &destination.repository;
            let entry = destinations.entry(repository.clone());
            let entry = entry.or_insert_with(|| IndexedRepository {
                list: Arc::new(TagList::new(
                    Arc::clone(&self.stores),
                    repository.clone(),
                    Side::Destination,
                )),
                rules: 0,
                several: false,
                names: 0,
                copies: Arc::default(),
                preparation: None,
            });
            entry.rules += 1;
            match &rule.source.select {
                Selection::All | Selection::Matching(_) | Selection::Policy(_) => {
                    entry.several = true;
                }
                Selection::Tags(tags) => entry.names += tags.len(),
                Selection::Digest { tag, .. } => entry.names += usize::from(tag.is_some()),
            }
            entry.several |= entry.names >= SEVERAL;
        }
    }

    /// Starts the lists that `rule` needs.
    pub(super) async fn begin(&self, rule: &Rule) {
        if let Selection::Tags(tags) = &rule.source.select {
            self.want(rule, tags.len()).await;
        }
        let lists = rule.source.select.is_listed();
        for destination in &rule.destinations {
            let repository = &destination.repository;
            let Some(facts) = self.facts(repository) else {
                continue;
            };
            let DestinationFacts { list, several, .. } = &facts;
            let (several, known) = (*several, !self.copies(repository, &facts).await.is_empty());
            let options = rule.options_for(destination);
            let confirms = lists && known && options.has_immutable_tags();
            let detail = if confirms {
                TagDetail::Names
            } else {
                self.detail(options)
            };
            let overwrites = options.conflict.may_overwrite();
            if overwrites && (confirms || several && !known)
                || several && detail == TagDetail::Digests && self.lists_digests(list, 0).await
            {
                list.start(&self.tasks, detail);
            } else if known && lists {
                self.prepare(repository);
            }
        }
    }

    /// Prepares the destination for the requests of the rule's images while their source is listed. The first of them
    /// would wait for a token.
    fn prepare(&self, repository: &Repository) {
        if let Some(entry) = lock(&self.destinations).get_mut(repository) {
            entry.preparation.get_or_insert_with(|| {
                let (stores, repository) = (Arc::clone(&self.stores), repository.clone());
                let prepare = async move {
                    if let Ok(destination) = stores.destination(&repository).await {
                        destination.prepare().await;
                    }
                };
                AbortOnDropHandle::new(self.tasks.spawn(prepare.in_current_span()))
            });
        }
    }

    /// Records that `rule` is about to send `tags` more tags. Starts lists that pay for them.
    pub(super) async fn want(&self, rule: &Rule, tags: usize) {
        for destination in &rule.destinations {
            let options = rule.options_for(destination);
            let Some(DestinationFacts { list, several, .. }) = self.facts(&destination.repository)
            else {
                continue;
            };
            let wanted = list.want(tags);
            if several
                && self.detail(options) == TagDetail::Digests
                && self.lists_digests(&list, wanted).await
            {
                list.start(&self.tasks, TagDetail::Digests);
            }
        }
    }

    /// Returns the detail of lists that is of use for copies with these `options`.
    fn detail(&self, options: &CopyOptions) -> TagDetail {
        match self.listing {
            Listing::Auto if options.believes_listed_digests() => TagDetail::Digests,
            Listing::Auto | Listing::Off => TagDetail::Names,
        }
    }

    /// Returns true if a list that was not requested yet has digests. For many `wanted` tags, the destination may be probed.
    async fn lists_digests(&self, list: &TagList, wanted: usize) -> bool {
        if list.is_started() {
            return false;
        }
        let Ok(destination) = self.stores.destination(list.repository()).await else {
            return false;
        };
        let end = RepositoryEnd::Destination(destination);
        end.lists_digests(wanted.max(SEVERAL)).await
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

    /// Returns what is known about `place`, the destination of the image with `tag` in `source`. Waits for a list if that
    /// saves requests, but not beyond `cancel`.
    pub(super) async fn known(
        &self,
        source: &Repository,
        tag: Option<&Tag>,
        place: &ImageDestination,
        cancel: &CancellationToken,
    ) -> KnownDestination {
        let (Some(place_tag), Some(facts)) = (&place.tag, self.facts(&place.repository)) else {
            return KnownDestination::default();
        };
        let copies = self.copies(&place.repository, &facts).await;
        let filter = place.options.content_fingerprint();
        let copy = tag.and_then(|tag| copies.find((source, tag), place_tag, filter));
        // Its digest decides, which neither a list of names nor the records prove.
        let keeps = place.options.conflict.keeps(place_tag);
        let is_immutable = tag.is_some_and(|tag| !keeps && place.options.is_immutable(tag));
        let evidence = HintEvidence {
            keeps,
            is_immutable,
            is_known: !copies.is_empty(),
            recorded: copy.filter(|_| is_immutable).map(|copy| copy.digest),
        };
        KnownDestination {
            hint: self.hint(place, place_tag, &facts, evidence, cancel).await,
            recorded: copy
                .filter(|copy| copy.is_recent)
                .map(|copy| copy.digest.clone()),
        }
    }

    async fn hint(
        &self,
        place: &ImageDestination,
        tag: &Tag,
        DestinationFacts { list, several, .. }: &DestinationFacts,
        evidence: HintEvidence<'_>,
        cancel: &CancellationToken,
    ) -> DestinationHint {
        let HintEvidence {
            keeps,
            is_immutable,
            is_known,
            recorded,
        } = evidence;
        let (repository, options) = (&place.repository, &place.options);
        // An immutable tag that the records lack is new, if they know others.
        let needs_names = !keeps && (*several && !is_known || is_known && is_immutable);
        let may_show = list.may_have_digests() && self.detail(options) == TagDetail::Digests;
        if needs_names || may_show {
            list.start(&self.tasks, self.detail(options));
            let wait = match recorded {
                Some(_) => Wait::Whole,
                None => Wait::Near,
            };
            let wait = self.wait(list, wait, tag, repository.endpoint());
            cancel.run_until_cancelled(wait).await;
        }
        if list.is_empty() {
            self.inventory.note_empty(repository);
        }
        match (list.has(tag), recorded) {
            (Some(false), _) if !keeps => DestinationHint::Absent,
            (Some(true), Some(digest)) => DestinationHint::Recorded(digest.to_digest()),
            _ => match list.digest(tag) {
                Some(listed) => DestinationHint::Listed(listed),
                None => DestinationHint::None,
            },
        }
    }

    /// Waits until no list is in flight. All rules must have ended.
    pub(crate) async fn wait_for_lists(&self) {
        lock(&self.destinations).clear();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Waits for a list. After one timeout, the other lists of the registry are not waited for.
    async fn wait(&self, list: &TagList, wait: Wait, tag: &Tag, endpoint: &Endpoint) {
        if lock(&self.late).contains(endpoint) {
            return;
        }
        if list.wait(wait, tag).await == Waited::Late {
            lock(&self.late).insert(endpoint.clone());
        }
    }

    fn facts(&self, repository: &Repository) -> Option<DestinationFacts> {
        let destinations = lock(&self.destinations);
        let destination = destinations.get(repository)?;
        Some(DestinationFacts {
            list: Arc::clone(&destination.list),
            several: destination.several,
            copies: Arc::clone(&destination.copies),
        })
    }

    /// Returns the recorded copies to `repository`, which are read once for all of its rules.
    async fn copies<'a>(
        &self,
        repository: &Repository,
        facts: &'a DestinationFacts,
    ) -> &'a RecordedCopies {
        let read = || self.inventory.recorded_copies(repository);
        facts.copies.get_or_init(read).await
    }
}
