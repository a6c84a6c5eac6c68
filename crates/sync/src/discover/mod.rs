//! A rule becomes images: names that stand at the source now.
//!
//! Images leave one by one, through a channel that is full at a few. Lists of tags are read ahead of it, into little
//! memory (`source_tags`).

mod destination_index;
mod leftovers;
mod listing;
mod referrer_tags;
mod source_tags;
mod tag_claims;
mod tag_list;

use std::sync::Arc;

use image_syncer_registry::{Digest, Repository, Tag, Target};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::event::{Event, Listener};
use crate::failure::Failure;
use crate::rule::Referrers;
use crate::rule::{Naming, Rule, RuleDestination, Selection};

pub use destination_index::DestinationHint;
pub(crate) use destination_index::DestinationTagIndex;
use leftovers::DeferredReferrerTags;
pub(crate) use referrer_tags::ReferrerTag;
use source_tags::Hold;
pub(crate) use source_tags::SourceTags;
pub use tag_claims::Rival;
pub(crate) use tag_claims::located;
use tag_claims::{Claimant, EarlierRules, TagClaims, Verdict};

/// One image of one rule, and where it goes.
#[derive(Debug, Clone)]
pub struct Image {
    /// The rule that wants it.
    pub rule: Arc<Rule>,
    /// Where it is.
    pub source: Repository,
    /// What is fetched.
    pub target: Target,
    /// Where it goes; never empty.
    pub places: Vec<ImageDestination>,
    /// The manifest whose referrers it seems to list, where it stands under that manifest's fallback tag and no image
    /// of the run sees to them.
    pub lists: Option<Digest>,
    /// Kept until it has ended.
    #[allow(dead_code, reason = "kept, not read")]
    pub(crate) under_way: InFlightImage,
}

/// Tells, as long as it is kept, that an image has not ended.
#[derive(Debug, Clone)]
pub(crate) struct InFlightImage {
    /// None of an image that sees to no other's tags.
    _search: Option<TaskTrackerToken>,
    _source: Arc<Hold>,
}

/// A name at a destination.
#[derive(Debug, Clone)]
pub struct ImageDestination {
    /// The repository.
    pub repository: Repository,
    /// The tag, or `None` to push by digest only.
    pub tag: Option<Tag>,
    /// What is known of it before it is asked.
    pub hint: DestinationHint,
    /// Images of earlier rules for the same name: if one of them is different, this one fails.
    pub rivals: Vec<Rival>,
    /// Rules before this one whose images may have the same signature tags.
    pub(crate) earlier: EarlierRules,
}

/// Finds the images of rules; shared by all rules of a run, as they may overlap.
pub(crate) struct Discoverer {
    listener: Arc<dyn Listener>,
    census: Arc<DestinationTagIndex>,
    source_tags: Arc<SourceTags>,
    /// What of that which refers to an image comes along with it.
    referrers: Option<Arc<Referrers>>,
    claims: TagClaims,
}

/// The search for one rule's images.
struct RuleSearch<'a> {
    discoverer: &'a Discoverer,
    /// Position of the rule in the run.
    rank: usize,
    rule: &'a Arc<Rule>,
    images: &'a mpsc::Sender<Image>,
    cancel: &'a CancellationToken,
    /// For the images that are sent off.
    hold: Arc<Hold>,
    /// For them as well, until the search sends off only what no image sees to.
    searching: Option<TaskTrackerToken>,
    /// Tags that the rule wants and that are images of their own.
    wanted: usize,
    held_back: Option<DeferredReferrerTags>,
    /// What the image that is sent off next seems to list.
    lists: Option<Digest>,
    /// Pairs of image and destination that were sent off.
    found: u64,
    /// Pairs that another rule had sent off before.
    repeated: u64,
}

impl Discoverer {
    /// A discoverer for `rules`, which must be all of the run's, as must be those of `census` and those that
    /// `source_tags` expects. Where `referrers` come along, tags that name them are no images of their own for rules
    /// that list, unless no image of the run sees to them ([`SourceTags::answer`]).
    pub(crate) fn new(
        listener: Arc<dyn Listener>,
        census: Arc<DestinationTagIndex>,
        source_tags: Arc<SourceTags>,
        referrers: Option<Arc<Referrers>>,
        rules: &[Arc<Rule>],
    ) -> Self {
        for rule in rules {
            let tags = match &rule.source.select {
                Selection::Tags(tags) => tags.len(),
                Selection::Digest { .. } => 1,
                Selection::All | Selection::Matching(_) => continue,
            };
            listing::report_image_count(&*listener, rule, tags);
        }
        Self {
            listener,
            census,
            source_tags,
            claims: TagClaims::new(rules, referrers.is_some()),
            referrers,
        }
    }

    /// Sends off the images of `rule`, which is at position `rank` of the run's, and says how that ended. What was found before a list failed, or before
    /// `cancel`, is sent off all the same; only lists are cut short by `cancel`. `slot` is let go as soon as nothing
    /// more is looked for, which may be long before the rule's images are all known.
    pub(crate) async fn discover(
        &self,
        rank: usize,
        rule: &Arc<Rule>,
        images: &mpsc::Sender<Image>,
        cancel: &CancellationToken,
        slot: impl Send,
    ) {
        let rule_started = Event::RuleStarted {
            rule: Arc::clone(rule),
        };
        self.listener.event(&rule_started);
        let (hold, searching) = self.source_tags.hold(rule);
        let listing = self.claims.listing(rank);
        let mut search = RuleSearch {
            discoverer: self,
            rank,
            rule,
            images,
            cancel,
            hold,
            searching: Some(searching),
            wanted: 0,
            held_back: None,
            lists: None,
            found: 0,
            repeated: 0,
        };
        self.census.begin(rule).await;
        let mut ended = search.run().await;
        match &ended {
            Ok(_) => listing.complete(),
            Err(_) => drop(listing),
        }
        drop(slot);
        if !matches!(&ended, Err(failure) if failure.interrupted) {
            ended = match (ended, search.orphans().await) {
                (Ok(empty), Ok(none)) => Ok(empty.or(none)),
                (Err(failure), _) | (_, Err(failure)) => Err(failure),
            };
        }
        self.census.end(rule);
        let event = match ended {
            Ok(empty) => Event::RuleDiscovered {
                rule: Arc::clone(rule),
                images: search.found,
                empty: empty.or_else(|| search.all_repeated()),
            },
            Err(failure) => Event::RuleFailed {
                rule: Arc::clone(rule),
                failure,
            },
        };
        self.listener.event(&event);
    }
}

impl RuleSearch<'_> {
    /// Finds the images; says why there are none, where the list was at fault.
    async fn run(&mut self) -> Result<Option<String>, Failure> {
        let rule = Arc::clone(self.rule);
        match &rule.source.select {
            Selection::Tags(tags) => {
                for (position, tag) in tags.iter().enumerate() {
                    let target = Target::Tag(tag.clone());
                    self.send(target, Some(tag), position).await?;
                }
                Ok(None)
            }
            Selection::Digest { digest, tag } => {
                let target = Target::Digest(digest.clone());
                self.send(target, tag.as_ref(), 0).await?;
                Ok(None)
            }
            Selection::All => self.list(None).await,
            Selection::Matching(pattern) => self.list(Some(pattern)).await,
        }
    }

    /// Sends off one image to those of its places that no other rule has sent it to, waiting for room.
    async fn send(
        &mut self,
        target: Target,
        tag: Option<&Tag>,
        position: usize,
    ) -> Result<(), Failure> {
        let rule: &Arc<Rule> = self.rule;
        let destinations: Vec<&RuleDestination> = rule.destinations.iter().collect();
        self.send_to(&destinations, target, tag, position).await
    }

    /// Like [`RuleSearch::send`], to these of the rule's `destinations`.
    async fn send_to(
        &mut self,
        destinations: &[&RuleDestination],
        target: Target,
        tag: Option<&Tag>,
        position: usize,
    ) -> Result<(), Failure> {
        let claims = &self.discoverer.claims;
        let claimant = Claimant {
            rank: self.rank,
            rule: self.rule,
            // The search for them lets go of its token first.
            leftovers: self.searching.is_none(),
        };
        let mut places: Vec<ImageDestination> = Vec::with_capacity(destinations.len());
        for destination in destinations {
            let mut place = ImageDestination {
                repository: destination.repository.clone(),
                tag: name(&destination.naming, tag, position)?,
                hint: DestinationHint::None,
                rivals: Vec::new(),
                earlier: claims.earlier_rules(claimant, &destination.repository),
            };
            claims
                .wait_for_earlier(claimant, destination, self.cancel)
                .await?;
            match claims.claim(claimant, &target, destination, &place) {
                Verdict::Send(rivals) => {
                    if rivals.is_empty() {
                        place.hint = self.hint(&target, &place).await;
                    }
                    place.rivals = rivals;
                    places.push(place);
                }
                Verdict::Repeated => self.repeated += 1,
            }
        }
        if places.is_empty() {
            return Ok(());
        }
        self.found += places.len() as u64;
        let image = Image {
            rule: Arc::clone(self.rule),
            source: self.rule.source.repository.clone(),
            target,
            places,
            lists: self.lists.clone(),
            under_way: InFlightImage {
                _search: self.searching.clone(),
                _source: Arc::clone(&self.hold),
            },
        };
        // Nobody takes images any more: the run is being torn down.
        self.images
            .send(image)
            .await
            .map_err(|_| Failure::interrupted())
    }

    async fn hint(&self, target: &Target, place: &ImageDestination) -> DestinationHint {
        let tag = match target {
            Target::Tag(tag) => Some(tag),
            Target::Digest(_) => None,
        };
        let source = &self.rule.source.repository;
        let census = &self.discoverer.census;
        census.hint(source, tag, place, self.cancel).await
    }

    fn all_repeated(&self) -> Option<String> {
        let all = self.found == 0 && self.repeated > 0;
        all.then(|| "all that it wants is wanted by another rule as well".to_owned())
    }
}

/// The name that an image gets at a destination: `tag` is its name at the source, `position` where it stands among
/// the tags that the rule lists.
fn name(naming: &Naming, tag: Option<&Tag>, position: usize) -> Result<Option<Tag>, Failure> {
    match naming {
        Naming::Keep => Ok(tag.cloned()),
        Naming::Untagged => Ok(None),
        Naming::Tags(tags) => match tags.get(position) {
            Some(tag) => Ok(Some(tag.clone())),
            None => Err(Failure::local(format!(
                "the rule lists more tags at the source than the {} at the destination",
                tags.len()
            ))),
        },
    }
}

#[cfg(test)]
mod tests;
