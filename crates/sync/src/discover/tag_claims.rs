//! Conflicts between rules that write to the same name at a destination.
//!
//! One image that several rules send to one name is copied once. Different images for one name are a conflict: the
//! first rule keeps the name, and the image of the other one fails (`copy::conflict`). The order of the rules alone
//! decides, so that all runs decide the same: names that rules spell out are claimed before the run, and a rule waits
//! until the rules before it have listed the tags that they send to the same repository.
//!
//! Only repositories that are the destination of several rules are watched, so that a run with a hundred thousand tags
//! in separate repositories stores none of them.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use image_syncer_registry::{Tag, Target};
use tokio_util::sync::CancellationToken;

use crate::Repository;
use crate::discover::ImageDestination;
use crate::discover::referrer_tags::ReferrerTag;
use crate::failure::Failure;
use crate::lock::lock;
use crate::rule::{CopyOptions, Naming, Rule, RuleDestination, Selection};

/// Rules in their order, each with its position in the run.
type RankedRules = Arc<[(usize, Arc<Rule>)]>;

/// Claims on names, by watched repository.
pub(super) struct TagClaims {
    names: Mutex<HashMap<Repository, HashMap<Name, Claim>>>,
    /// Rules that list their source, by the repositories that they share with rules of other sources, in the order of
    /// the rules.
    listings: Mutex<HashMap<Repository, Vec<Arc<Listing>>>>,
    /// Rules that write to contested repositories, by repository, in the order of the rules, each with its position.
    writers: HashMap<Repository, RankedRules>,
}

/// Name at a destination. Untagged content cannot conflict with other content.
#[derive(PartialEq, Eq, Hash)]
enum Name {
    Tag(Tag),
    Untagged(Repository, Target),
}

/// Rule that claims names.
#[derive(Clone, Copy)]
pub(super) struct Claimant<'a> {
    /// Position of the rule in the run.
    pub(super) rank: usize,
    /// The rule.
    pub(super) rule: &'a Arc<Rule>,
    /// True for leftover referrer tags, which conflict with no other claim.
    pub(super) leftovers: bool,
}

/// First image for a name.
struct Claim {
    rank: usize,
    rule: Arc<Rule>,
    target: Target,
    options: Arc<CopyOptions>,
    /// Options with which the image was sent.
    sent: Vec<Arc<CopyOptions>>,
}

/// Search of a rule that lists its source.
struct Listing {
    rank: usize,
    rule: Arc<Rule>,
    ended: CancellationToken,
    /// True once the list was read to its end.
    complete: AtomicBool,
}

/// Ends the wait for a rule's list when it is dropped.
pub(super) struct ListingGuard(Vec<Arc<Listing>>);

/// An image of an earlier rule for the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rival {
    /// The rule's name, and where it was written.
    pub rule: String,
    /// The source of the image.
    pub source: Repository,
    /// Its name there.
    pub target: Target,
    /// Options of its copy.
    pub options: Arc<CopyOptions>,
    /// True if the rule has the image; false if its list could not be read, so that only the source can tell.
    pub certain: bool,
}

/// Rules before another one that write to the same repository and copy from other ones.
#[derive(Debug, Clone)]
pub(crate) struct EarlierRules {
    writers: RankedRules,
    rank: usize,
    source: Repository,
}

/// Decision on an image for a destination.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Send the image. It fails if one of these earlier images differs.
    Send(Vec<Rival>),
    /// The image was sent there before.
    Repeated,
}

impl TagClaims {
    /// Claims the names that `rules` spell out. With `watch_all`, every destination is watched, as rules of patterns may
    /// follow that send the same images there.
    pub(super) fn new(rules: &[Arc<Rule>], watch_all: bool) -> Self {
        let mut shared = Shared::new(rules);
        if watch_all {
            let destinations = rules.iter().flat_map(|rule| &rule.destinations);
            shared.watched.extend(destinations.map(|to| &to.repository));
        }
        let mut names: HashMap<Repository, HashMap<Name, Claim>> = HashMap::new();
        let mut listings: HashMap<Repository, Vec<Arc<Listing>>> = HashMap::new();
        let mut writers: HashMap<Repository, Vec<(usize, Arc<Rule>)>> = HashMap::new();
        for (rank, rule) in rules.iter().enumerate() {
            let listing = rule
                .source
                .select
                .is_listed()
                .then(|| Arc::new(Listing::new(rank, rule)));
            for destination in &rule.destinations {
                let repository = &destination.repository;
                if !shared.watched.contains(repository) {
                    continue;
                }
                if shared.contested.contains(repository) {
                    let all = writers.entry(repository.clone()).or_default();
                    all.push((rank, Arc::clone(rule)));
                    if let Some(listing) = &listing {
                        let all = listings.entry(repository.clone()).or_default();
                        all.push(Arc::clone(listing));
                    }
                }
                let names = names.entry(repository.clone()).or_default();
                let images = rule.spelled_out(destination).into_iter().flatten();
                for (target, tag) in images {
                    let Some(tag) = tag else { continue };
                    names.entry(Name::Tag(tag)).or_insert_with(|| Claim {
                        rank,
                        rule: Arc::clone(rule),
                        target,
                        options: Arc::clone(rule.options_for(destination)),
                        sent: Vec::new(),
                    });
                }
            }
        }
        Self {
            names: Mutex::new(names),
            listings: Mutex::new(listings),
            writers: writers
                .into_iter()
                .map(|(key, rules)| (key, rules.into()))
                .collect(),
        }
    }

    /// Adds a rule of a pattern, at position `rank`, that may claim the same names in `repository` as others of its pattern.
    /// Rules after it wait for its list.
    pub(super) fn watch(&self, rank: usize, rule: &Arc<Rule>, repository: &Repository) {
        lock(&self.names).entry(repository.clone()).or_default();
        let mut listings = lock(&self.listings);
        let listings = listings.entry(repository.clone()).or_default();
        listings.retain(|listing| !listing.has_claimed_all());
        listings.push(Arc::new(Listing::new(rank, rule)));
    }

    /// Returns the guard of the rule's list; the rules after it wait until the guard is dropped.
    pub(super) fn listing(&self, rank: usize) -> ListingGuard {
        let listings = lock(&self.listings);
        let all = listings.values().flatten();
        let own = all.filter(|listing| listing.rank == rank);
        ListingGuard(own.cloned().collect())
    }

    /// Waits until the rules before the claimant have claimed their names in the repository of `destination`.
    ///
    /// # Errors
    /// Fails if `cancel` is cancelled first.
    pub(super) async fn wait_for_earlier(
        &self,
        claimant: Claimant<'_>,
        destination: &RuleDestination,
        cancel: &CancellationToken,
    ) -> Result<(), Failure> {
        for listing in self.earlier(claimant, destination) {
            let ended = cancel.run_until_cancelled(listing.ended.cancelled()).await;
            ended.ok_or_else(Failure::interrupted)?;
        }
        Ok(())
    }

    /// Returns the rules before the claimant that write to `repository` and copy from other repositories.
    pub(super) fn earlier_rules(
        &self,
        claimant: Claimant<'_>,
        repository: &Repository,
    ) -> EarlierRules {
        EarlierRules {
            writers: self.writers.get(repository).cloned().unwrap_or_default(),
            rank: claimant.rank,
            source: claimant.rule.source.repository.clone(),
        }
    }

    /// Claims `place`, in the repository of `destination`, for what `target` names at the claimant's source.
    pub(super) fn claim(
        &self,
        claimant: Claimant<'_>,
        target: &Target,
        destination: &RuleDestination,
        place: &ImageDestination,
    ) -> Verdict {
        let mut names = lock(&self.names);
        let Some(names) = names.get_mut(&place.repository) else {
            return Verdict::Send(Vec::new());
        };
        let Claimant { rank, rule, .. } = claimant;
        let name = match &place.tag {
            Some(tag) => Name::Tag(tag.clone()),
            None => Name::Untagged(rule.source.repository.clone(), target.clone()),
        };
        let claim = Claim {
            rank,
            rule: Arc::clone(rule),
            target: target.clone(),
            options: Arc::clone(&place.options),
            sent: vec![Arc::clone(&place.options)],
        };
        let mut rivals = Vec::new();
        match names.get_mut(&name) {
            Some(first) if first.is_same_image(&claim) => {
                let was_sent = first.sent.contains(&place.options);
                if !was_sent {
                    first.sent.push(Arc::clone(&place.options));
                }
                if rank < first.rank {
                    let sent = std::mem::take(&mut first.sent);
                    *first = Claim { sent, ..claim };
                }
                if was_sent {
                    return Verdict::Repeated;
                }
            }
            // The same name with other content has another digest.
            Some(_) if claimant.leftovers || place.tag.is_none() => {}
            // A later rule spells out the name. That rule waits for this one.
            Some(later) if later.rank > rank && later.sent.is_empty() => *later = claim,
            Some(first) => rivals.push(first.rival()),
            None => drop(names.insert(name, claim)),
        }
        if let Some(tag) = &place.tag {
            let unread = self.earlier(claimant, destination).into_iter();
            let repository = &place.repository;
            let unread = unread.filter(|listing| listing.may_have(tag, repository));
            rivals.extend(unread.map(|listing| listing.rival(tag, repository)));
        }
        Verdict::Send(rivals)
    }

    /// Reserves `place` for an image of the claimant that another process copies. Returns false if another image has the
    /// name.
    pub(super) fn reserve(
        &self,
        claimant: Claimant<'_>,
        target: &Target,
        place: &ImageDestination,
    ) -> bool {
        let mut names = lock(&self.names);
        let names = names.get_mut(&place.repository);
        let (Some(names), Some(tag)) = (names, &place.tag) else {
            return true;
        };
        let claim = Claim {
            rank: claimant.rank,
            rule: Arc::clone(claimant.rule),
            target: target.clone(),
            options: Arc::clone(&place.options),
            sent: Vec::new(),
        };
        match names.entry(Name::Tag(tag.clone())) {
            Entry::Occupied(first) => first.get().is_same_image(&claim),
            Entry::Vacant(free) => {
                free.insert(claim);
                true
            }
        }
    }

    /// Returns the searches of earlier rules that may claim names in the repository of `destination`.
    fn earlier(&self, claimant: Claimant<'_>, destination: &RuleDestination) -> Vec<Arc<Listing>> {
        if claimant.leftovers || destination.naming == Naming::Untagged {
            return Vec::new();
        }
        let listings = lock(&self.listings);
        let all = listings.get(&destination.repository).into_iter().flatten();
        let earlier = all.filter(|listing| listing.rank < claimant.rank);
        earlier.cloned().collect()
    }
}

impl EarlierRules {
    /// Returns the rules, in their order.
    pub(crate) fn to_vec(&self) -> Vec<Arc<Rule>> {
        self.iter().cloned().collect()
    }

    fn iter(&self) -> impl Iterator<Item = &Arc<Rule>> {
        let earlier = self
            .writers
            .iter()
            .take_while(|(rank, _)| *rank < self.rank);
        let rules = earlier.map(|(_, rule)| rule);
        rules.filter(|rule| rule.source.repository != self.source)
    }

    /// Returns true without any.
    pub(crate) fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

impl Claim {
    fn is_same_image(&self, other: &Self) -> bool {
        self.target == other.target
            && self.rule.source.repository == other.rule.source.repository
            && self.options.same_content(&other.options)
    }

    fn rival(&self) -> Rival {
        Rival {
            rule: located(&self.rule),
            source: self.rule.source.repository.clone(),
            target: self.target.clone(),
            options: Arc::clone(&self.options),
            certain: true,
        }
    }
}

impl Listing {
    fn new(rank: usize, rule: &Arc<Rule>) -> Self {
        Self {
            rank,
            rule: Arc::clone(rule),
            ended: CancellationToken::new(),
            complete: AtomicBool::new(false),
        }
    }

    /// Returns true if the list was read to its end, and all of its names are claimed.
    fn has_claimed_all(&self) -> bool {
        self.ended.is_cancelled() && self.complete.load(Ordering::Acquire)
    }

    /// Returns true if the tag that is called `tag` in `repository` may be in a list that could not be read.
    fn may_have(&self, tag: &Tag, repository: &Repository) -> bool {
        let is_held_back = (self.rule.copies_referrers_to(repository)
            || matches!(self.rule.source.select, Selection::Policy(_)))
            && ReferrerTag::parse(tag.as_str()).is_some();
        let selects = |tag: Tag| self.rule.selects_tag(&tag);
        !self.complete.load(Ordering::Acquire)
            && self.source_tag(tag, repository).is_some_and(selects)
            && !is_held_back
    }

    /// Returns the tag at the source that gets the name `tag` in `repository`, as far as it is known.
    fn source_tag(&self, tag: &Tag, repository: &Repository) -> Option<Tag> {
        match self.destination(repository).map(|it| &it.naming) {
            // Referrer tags keep their names.
            Some(Naming::Template(template)) if ReferrerTag::parse(tag.as_str()).is_none() => {
                template.source_of(tag)
            }
            _ => Some(tag.clone()),
        }
    }

    fn destination(&self, repository: &Repository) -> Option<&RuleDestination> {
        let mut destinations = self.rule.destinations.iter();
        destinations.find(|destination| destination.repository == *repository)
    }

    fn rival(&self, tag: &Tag, repository: &Repository) -> Rival {
        let destination = self.destination(repository);
        let options = destination.map_or(&self.rule.options, |it| self.rule.options_for(it));
        let source_tag = self.source_tag(tag, repository);
        Rival {
            options: Arc::clone(options),
            rule: located(&self.rule),
            source: self.rule.source.repository.clone(),
            target: Target::Tag(source_tag.unwrap_or_else(|| tag.clone())),
            certain: false,
        }
    }
}

impl ListingGuard {
    /// Notes that the list was read to its end.
    pub(super) fn complete(self) {
        for listing in &self.0 {
            listing.complete.store(true, Ordering::Release);
        }
    }
}

impl Drop for ListingGuard {
    fn drop(&mut self) {
        for listing in &self.0 {
            listing.ended.cancel();
        }
    }
}

/// Destinations of several rules.
#[derive(Default)]
struct Shared<'a> {
    /// Repositories in which one name may be claimed twice.
    watched: HashSet<&'a Repository>,
    /// Watched repositories in which one name may be claimed for different images.
    contested: HashSet<&'a Repository>,
}

impl<'a> Shared<'a> {
    fn new(rules: &'a [Arc<Rule>]) -> Self {
        let mut shared = Self::default();
        let mut earlier = HashMap::new();
        for rule in rules {
            let source = &rule.source.repository;
            for destination in &rule.destinations {
                let repository = &destination.repository;
                let options = rule.options_for(destination);
                let renames = matches!(destination.naming, Naming::Tags(_) | Naming::Template(_));
                let earlier: Option<(&Repository, &CopyOptions)> =
                    earlier.insert(repository, (source, &**options));
                let differs = earlier.is_some_and(|(other, others)| {
                    other != source || !options.same_content(others)
                });
                if earlier.is_some() || renames {
                    shared.watched.insert(repository);
                }
                if renames || differs {
                    shared.contested.insert(repository);
                }
            }
        }
        shared
    }
}

/// Formats a rule with its name and location.
pub(crate) fn located(rule: &Rule) -> String {
    match &rule.location {
        Some(location) => format!("{} ({location})", rule.name),
        None => rule.name.to_string(),
    }
}
