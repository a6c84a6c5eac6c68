//! Turns a rule into images: names that exist at the source now.
//!
//! Images are sent one by one, through a channel of small capacity. Lists of tags are read ahead of it, into little memory
//! (`source_tags`). Tags that name referrers are deferred until the other images of the source have ended (`leftovers`).

mod covered_tags;
mod destination_index;
mod division;
mod leftovers;
mod listing;
mod policy;
mod referrer_tags;
mod source_tags;
mod tag_ages;
mod tag_claims;
mod tag_list;
mod tag_pages;

use std::sync::Arc;

use image_syncer_registry::{Digest, Tag, Target};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::Repository;
use crate::event::{Event, Listener, RuleDescription};
use crate::expand::PatternProgress;
use crate::failure::Failure;
use crate::inventory::records::RecordedDigest;
use crate::rule::{CopyOptions, Naming, Rule, RuleDestination, Selection};
use crate::shard::TagParts;
use crate::store::ListedDigest;
use crate::tag_divider::TagDivider;

pub(crate) use covered_tags::CoveredTags;
pub(crate) use destination_index::DestinationHint;
pub(crate) use destination_index::DestinationTagIndex;
use destination_index::KnownDestination;
use division::HandedOver;
use leftovers::DeferredReferrerTags;
pub(crate) use referrer_tags::ReferrerTag;
pub use referrer_tags::is_referrer_tag;
pub(crate) use source_tags::SourceTags;
pub(crate) use tag_ages::TagAges;
pub(crate) use tag_claims::Rival;
pub(crate) use tag_claims::located;
use tag_claims::{Claimant, EarlierRules, TagClaims, Verdict};
pub(crate) use tag_pages::{RepositoryEnd, TagPages};

/// One image of one rule, and its destinations.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    /// Rule that selects the image.
    pub rule: Arc<Rule>,
    /// Repository of the image.
    pub source: Repository,
    /// Tag or digest to fetch.
    pub target: Target,
    /// Digest of the tag in a list of the source.
    pub listed: Option<ListedDigest>,
    /// Destinations; never empty.
    pub places: Vec<ImageDestination>,
    /// Subject whose referrers the image seems to list, for a leftover fallback tag.
    pub lists: Option<Digest>,
    /// Digest to copy, even if the tag has moved.
    pub pinned: Option<Digest>,
    /// Reason to skip the image; `None` to copy it.
    pub skip: Option<String>,
}

/// Message from the search of a rule. The messages of one search arrive in their order.
pub(crate) enum Discovered {
    /// An image.
    Image(Box<Image>),
    /// A rule with this source has sent all of its images, except leftover referrer tags.
    Searched(Repository),
    /// A rule with this source has ended.
    Ended(Repository),
}

/// Name of an image at a destination.
#[derive(Debug, Clone)]
pub(crate) struct ImageDestination {
    /// The repository.
    pub repository: Repository,
    /// The tag, or `None` to push by digest only.
    pub tag: Option<Tag>,
    /// Options of the copy.
    pub options: Arc<CopyOptions>,
    /// Known fact about the destination, before any request.
    pub hint: DestinationHint,
    /// Digest of the last copy from the same source, according to a record that need not be written again.
    pub(crate) recorded: Option<RecordedDigest>,
    /// Images of earlier rules for the same name: if one of them is different, this one fails.
    pub rivals: Vec<Rival>,
    /// Rules before this one whose images may have the same signature tags.
    pub(crate) earlier: EarlierRules,
    /// Reason for which the image has no name there; it fails alone.
    pub refusal: Option<Failure>,
}

/// Finds the images of rules. Shared by all rules of a run, since they may overlap.
pub(crate) struct Discoverer {
    listener: Arc<dyn Listener>,
    destination_index: Arc<DestinationTagIndex>,
    source_tags: Arc<SourceTags>,
    ages: Arc<TagAges>,
    claims: TagClaims,
    divider: Option<Arc<dyn TagDivider>>,
}

/// Search for one rule's images.
pub(crate) struct RuleSearch<'a> {
    discoverer: &'a Discoverer,
    /// Position of the rule in the run.
    rank: usize,
    rule: &'a Arc<Rule>,
    /// Progress of the pattern that the rule is a part of.
    pattern: Option<&'a Arc<PatternProgress>>,
    images: &'a mpsc::Sender<Discovered>,
    cancel: &'a CancellationToken,
    /// Number of selected tags that are images of their own.
    wanted: usize,
    deferred: Option<DeferredReferrerTags>,
    handed_over: HandedOver,
    /// True while leftover referrer tags are sent.
    sends_leftovers: bool,
    /// Subject whose referrers the next image seems to list.
    lists: Option<Digest>,
    /// Digest of the next image's tag in a list of the source.
    listed: Option<ListedDigest>,
    /// Digest to copy of the next image.
    pinned: Option<Digest>,
    /// Reason to skip the next image.
    skip: Option<String>,
    /// Number of pairs of image and destination that were sent.
    found: u64,
    /// Number of pairs that another rule had sent before.
    repeated: u64,
    /// Reason without images, or failure.
    result: Result<Option<String>, Failure>,
}

impl Discoverer {
    /// Returns a discoverer for `rules`, all rules of the run that name their repositories. Rules of patterns follow
    /// ([`Discoverer::add`]). Listing rules defer referrer tags for destinations to which referrers are copied
    /// ([`RuleSearch::send_leftovers`]).
    pub(crate) fn new(
        listener: Arc<dyn Listener>,
        destination_index: Arc<DestinationTagIndex>,
        source_tags: Arc<SourceTags>,
        rules: &[Arc<Rule>],
        patterns_follow: bool,
    ) -> Self {
        Self {
            listener,
            destination_index,
            source_tags,
            ages: Arc::new(TagAges::new(Arc::default(), Arc::default())),
            claims: TagClaims::new(rules, patterns_follow),
            divider: None,
        }
    }

    /// Reports the number of images of a rule that names them, before its search.
    pub(crate) fn announce(&self, rule: &Rule) {
        let tags = match &rule.source.select {
            // The number is known once others had their choice.
            Selection::Tags(_) if self.divider.is_some() => return,
            Selection::Tags(tags) => tags.iter().filter(|tag| rule.has_own(tag)).count(),
            Selection::Digest { .. } => 1,
            Selection::All | Selection::Matching(_) | Selection::Policy(_) => return,
        };
        listing::report_image_count(&*self.listener, rule, tags);
    }

    /// Passes over the rule at position `rank`, which another process carries out. Its tags are unknown to later rules,
    /// as if its list could not be read.
    pub(crate) fn pass_over(&self, rank: usize) {
        drop(self.claims.listing(rank));
    }

    /// Adds the rule of a pattern at position `rank`, before its search. Names that templates give may meet by chance.
    pub(crate) fn add(&self, rank: usize, rule: &Arc<Rule>) {
        for destination in &rule.destinations {
            if matches!(destination.naming, Naming::Template(_)) {
                self.claims.watch(rank, rule, &destination.repository);
            }
        }
    }

    /// Sets the lookups of ages that tag policies need.
    pub(crate) fn with_ages(self, ages: Arc<TagAges>) -> Self {
        Self { ages, ..self }
    }

    /// Sets the other processes that get some of the tags of the only rule.
    pub(crate) fn with_divider(self, divider: Option<Arc<dyn TagDivider>>) -> Self {
        Self { divider, ..self }
    }

    /// Searches the images of `rule`, which has position `rank` in the run, and sends them. Images found before the failure
    /// of a list, or before `cancel`, are sent in any case; `cancel` only interrupts lists. The end of a search that is
    /// part of a `pattern` is reported to it.
    pub(crate) async fn search<'a>(
        &'a self,
        (rank, rule): (usize, &'a Arc<Rule>),
        pattern: Option<&'a Arc<PatternProgress>>,
        images: &'a mpsc::Sender<Discovered>,
        cancel: &'a CancellationToken,
    ) -> RuleSearch<'a> {
        if pattern.is_none() {
            let description = Arc::new(RuleDescription::from(&**rule));
            self.listener
                .event(&Event::RuleStarted { rule: description });
        }
        let listing = self.claims.listing(rank);
        let mut search = RuleSearch {
            discoverer: self,
            rank,
            rule,
            pattern,
            images,
            cancel,
            wanted: 0,
            deferred: None,
            handed_over: HandedOver::default(),
            sends_leftovers: false,
            lists: None,
            listed: None,
            pinned: None,
            skip: None,
            found: 0,
            repeated: 0,
            result: Ok(None),
        };
        self.destination_index.begin(rule).await;
        search.result = search.run().await;
        match &search.result {
            Ok(_) => listing.complete(),
            Err(_) => drop(listing),
        }
        search
    }
}

impl<'a> RuleSearch<'a> {
    fn claimant(&self) -> Claimant<'a> {
        Claimant {
            rank: self.rank,
            rule: self.rule,
            leftovers: self.sends_leftovers,
        }
    }
}

impl RuleSearch<'_> {
    /// Ends the search with its event.
    pub(crate) fn finish(self) {
        self.discoverer.destination_index.end(self.rule);
        let repeated = self.all_repeated();
        let (images, if_empty) = (self.found, self.rule.if_empty);
        if let Some(pattern) = self.pattern {
            let result = self.result.map(|reason| (images, reason.or(repeated)));
            let parts = self.rule.tag_parts.as_ref();
            let leads = parts.is_none_or(TagParts::has_first);
            pattern.end_repository(&self.rule.source.repository.to_string(), result, leads);
            return;
        }
        let rule = self.rule.id;
        let judged = self.result.and_then(|reason| if_empty.judge(reason));
        let event = match judged {
            Ok(reason) => Event::RuleDiscovered {
                rule,
                images,
                empty: reason.or(repeated),
            },
            Err(failure) => Event::RuleFailed { rule, failure },
        };
        self.discoverer.listener.event(&event);
    }

    /// Sends the images. Returns the reason if the list has none.
    async fn run(&mut self) -> Result<Option<String>, Failure> {
        let rule = Arc::clone(self.rule);
        match &rule.source.select {
            Selection::Tags(tags) => self.send_named(tags).await,
            Selection::Digest { digest, tag } => {
                let target = Target::Digest(digest.clone());
                if rule.has_own_image(&target, tag.as_ref()) {
                    self.send(target, tag.as_ref(), 0).await?;
                }
                Ok(None)
            }
            Selection::All => self.list(None).await,
            Selection::Matching(pattern) => self.list(Some(pattern)).await,
            Selection::Policy(policy) => self.list_policy(policy).await,
        }
    }

    /// Sends the images of these tags, which the rule names.
    async fn send_named(&mut self, tags: &[Tag]) -> Result<Option<String>, Failure> {
        let rule = Arc::clone(self.rule);
        let own = tags.iter().enumerate();
        let mut own: Vec<(usize, &Tag)> = own.filter(|(_, tag)| rule.has_own(tag)).collect();
        if self.may_divide() {
            let offered = own.iter().map(|(_, tag)| (*tag).clone());
            let others = self.hand_over(offered.collect()).await;
            own.retain(|(_, tag)| !others.contains(*tag));
            listing::report_image_count(&*self.discoverer.listener, &rule, own.len());
        }
        for (position, tag) in own {
            let target = Target::Tag(tag.clone());
            let sources = &self.discoverer.source_tags;
            let listed = sources.named_digest(&rule, tag);
            self.listed = self.cancel.run_until_cancelled(listed).await.flatten();
            self.send(target, Some(tag), position).await?;
        }
        Ok(None)
    }

    /// Sends one image for those destinations that no other rule has sent it to. Waits for capacity in the queue.
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

    /// Returns the place of an image at `destination`, before its name is claimed. A tag without a legal name is refused.
    fn place(
        &self,
        claimant: Claimant<'_>,
        destination: &RuleDestination,
        tag: Option<&Tag>,
        position: usize,
    ) -> Result<ImageDestination, Failure> {
        let (tag, refusal) = match name(&destination.naming, tag, position)? {
            Ok(tag) => (tag, None),
            Err(refusal) => (None, Some(refusal)),
        };
        let claims = &self.discoverer.claims;
        Ok(ImageDestination {
            repository: destination.repository.clone(),
            tag,
            options: Arc::clone(self.rule.options_for(destination)),
            hint: DestinationHint::None,
            recorded: None,
            rivals: Vec::new(),
            earlier: claims.earlier_rules(claimant, &destination.repository),
            refusal,
        })
    }

    /// Like [`RuleSearch::send`], to these of the rule's `destinations`.
    async fn send_to(
        &mut self,
        destinations: &[&RuleDestination],
        target: Target,
        tag: Option<&Tag>,
        position: usize,
    ) -> Result<(), Failure> {
        let listed = self.listed.take();
        let claims = &self.discoverer.claims;
        let claimant = self.claimant();
        let mut places: Vec<ImageDestination> = Vec::with_capacity(destinations.len());
        for destination in destinations {
            let mut place = self.place(claimant, destination, tag, position)?;
            claims
                .wait_for_earlier(claimant, destination, self.cancel)
                .await?;
            match claims.claim(claimant, &target, destination, &place) {
                Verdict::Send(rivals) => {
                    if rivals.is_empty() {
                        let known = self.known(&target, &place).await;
                        (place.hint, place.recorded) = (known.hint, known.recorded);
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
            listed,
            places,
            lists: self.lists.clone(),
            pinned: self.pinned.clone(),
            skip: self.skip.clone(),
        };
        // Fails only while the run is torn down.
        self.images
            .send(Discovered::Image(Box::new(image)))
            .await
            .map_err(|_| Failure::interrupted())
    }

    async fn known(&self, target: &Target, place: &ImageDestination) -> KnownDestination {
        let tag = match target {
            Target::Tag(tag) => Some(tag),
            Target::Digest(_) => None,
        };
        let source = &self.rule.source.repository;
        let destination_index = &self.discoverer.destination_index;
        destination_index
            .known(source, tag, place, self.cancel)
            .await
    }

    fn all_repeated(&self) -> Option<String> {
        let all = self.found == 0 && self.repeated > 0 && self.handed_over.is_empty();
        all.then(|| "all that it wants is wanted by another rule as well".to_owned())
    }
}

/// Returns the name of an image at a destination, or the reason for which it has none. `tag` is its name at the source,
/// `position` its index in the rule's tags. Referrer tags keep their names, in which their subject is.
///
/// # Errors
/// If the rule is wrong.
fn name(
    naming: &Naming,
    tag: Option<&Tag>,
    position: usize,
) -> Result<Result<Option<Tag>, Failure>, Failure> {
    Ok(Ok(match naming {
        Naming::Keep => tag.cloned(),
        Naming::Untagged => None,
        Naming::Template(template) => match tag {
            Some(tag) if ReferrerTag::parse(tag.as_str()).is_none() => match template.render(tag) {
                Ok(name) => Some(name),
                Err(error) => return Ok(Err(Failure::local(error.0))),
            },
            tag => tag.cloned(),
        },
        Naming::Tags(tags) => match tags.get(position) {
            Some(tag) => Some(tag.clone()),
            None => {
                return Err(Failure::local(format!(
                    "the rule lists more tags at the source than the {} at the destination",
                    tags.len()
                )));
            }
        },
    }))
}

#[cfg(test)]
mod run_tests;
#[cfg(test)]
mod tests;
