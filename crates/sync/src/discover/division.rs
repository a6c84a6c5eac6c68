//! Tags that a run hands over to other processes.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use image_syncer_registry::manifest::media_type;
use image_syncer_registry::{Digest, ErrorKind, Tag, Target};

use crate::discover::RuleSearch;
use crate::discover::referrer_tags::{ReferrerTag, TagSubject};
use crate::failure::Failure;
use crate::graph::{SourceImage, may_list_referrers};
use crate::rule::Naming;
use crate::store::{ListedDigest, Source};

/// Maximum number of tags of a repository that are handed over while tags of referrers are deferred: their images are
/// looked up if such a tag is left. Further tags are kept.
const MAX_REMEMBERED: usize = 100_000;

/// Maximum number of tags that are looked up at a time.
const LOOKUPS: usize = 8;

/// Tags of one search that other processes copy.
#[derive(Default)]
pub(super) struct HandedOver {
    /// Number of tags.
    count: usize,
    /// Tags, if tags of their referrers are deferred.
    remembered: Vec<Tag>,
    /// Subjects of referrers that are copied with these tags, once they are known.
    subjects: Option<HashSet<TagSubject>>,
}

impl HandedOver {
    /// Returns true without any tag.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl RuleSearch<'_> {
    /// Returns true if tags may be handed over.
    pub(super) fn may_divide(&self) -> bool {
        self.discoverer.divider.is_some()
    }

    /// Offers `tags`, in this order, to other processes, except those that lists of both ends show as unchanged: these
    /// cost no request here. Returns those that others copy. The lists of the destinations know of the rest.
    pub(super) async fn hand_over_listed(
        &mut self,
        tags: Vec<(Tag, Option<ListedDigest>)>,
    ) -> HashSet<Tag> {
        let index = &self.discoverer.destination_index;
        let (count, has_digests) = (tags.len(), tags.iter().any(|(_, digest)| digest.is_some()));
        if self.may_divide() && has_digests {
            index.want(self.rule, count).await;
            let mut offered = Vec::new();
            for (tag, listed) in tags {
                if !self.is_unchanged(&tag, listed.as_ref()).await {
                    offered.push(tag);
                }
            }
            return self.hand_over(offered).await;
        }
        let tags = tags.into_iter().map(|(tag, _)| tag);
        let others = self.hand_over(tags.collect()).await;
        index.want(self.rule, count - others.len()).await;
        others
    }

    /// Returns true if lists show the digest of `tag` at all destinations.
    async fn is_unchanged(&self, tag: &Tag, listed: Option<&ListedDigest>) -> bool {
        let Some(digest) = listed.and_then(ListedDigest::recent) else {
            return false;
        };
        let target = Target::Tag(tag.clone());
        let claimant = self.claimant();
        for destination in &self.rule.destinations {
            // A name by position needs the tags before it; these rules name their tags, and list nothing.
            let Ok(place) = self.place(claimant, destination, Some(tag), 0) else {
                return false;
            };
            let known = self.known(&target, &place).await;
            if known.hint.listed_digest() != Some(digest) {
                return false;
            }
        }
        true
    }

    /// Offers `tags`, in this order, to other processes. Returns those that they copy.
    pub(super) async fn hand_over(&mut self, tags: Vec<Tag>) -> HashSet<Tag> {
        let Some(divider) = self.discoverer.divider.as_ref() else {
            return HashSet::new();
        };
        let is_full = self.handed_over.remembered.len() >= MAX_REMEMBERED;
        let mut offered = tags;
        offered.retain(|tag| !is_full && self.can_hand_over(tag));
        if offered.is_empty() || self.cancel.is_cancelled() {
            return HashSet::new();
        }
        let others = divider.divide(self.rule, &offered).await;
        self.handed_over.count += others.len();
        if self.deferred.is_some() {
            offered.retain(|tag| others.contains(tag));
            self.handed_over.remembered.append(&mut offered);
        }
        others
    }

    /// Returns true if another process can copy `tag`: it goes to all destinations, and no other tag of the rule has
    /// its name there. The name is reserved.
    fn can_hand_over(&self, tag: &Tag) -> bool {
        if self.deferred.is_some() && ReferrerTag::parse(tag.as_str()).is_some() {
            return false;
        }
        let claimant = self.claimant();
        let target = Target::Tag(tag.clone());
        // Names by position are spelled out, and were claimed before the run.
        let names = self.rule.destinations.iter();
        let mut names = names.filter(|to| matches!(to.naming, Naming::Template(_)));
        names.all(|destination| {
            let place = self.place(claimant, destination, Some(tag), 0);
            let claims = &self.discoverer.claims;
            place.is_ok_and(|place| {
                place.refusal.is_none() && claims.reserve(claimant, &target, &place)
            })
        })
    }

    /// Returns true if another process copies `tag`, of which `read` is the subject, with an image that was handed over.
    /// The first call looks up the images: one or two requests for each.
    pub(super) async fn is_handed_over(
        &mut self,
        (read, tag): (ReferrerTag, &Tag),
    ) -> Result<bool, Failure> {
        if self.handed_over.remembered.is_empty() {
            return Ok(false);
        }
        let repository = &self.rule.source.repository;
        let source = self.discoverer.source_tags.open(repository).await?;
        let subjects = match self.handed_over.subjects.take() {
            Some(subjects) => subjects,
            None => self.subjects_of_others(&source).await?,
        };
        let is_covered = subjects.contains(&read.subject);
        self.handed_over.subjects = Some(subjects);
        if !is_covered {
            return Ok(false);
        }
        let Some(subject) = read.fallback_of() else {
            return Ok(true);
        };
        // Some tools tag images by their own digests.
        let head = source.probe(&Target::Tag(tag.clone())).await?;
        Ok(head.is_none_or(|head| may_list_referrers(&head, &subject)))
    }

    /// Returns the subjects of the referrers that are copied with the tags that were handed over.
    async fn subjects_of_others(
        &self,
        source: &Arc<dyn Source>,
    ) -> Result<HashSet<TagSubject>, Failure> {
        let tags = self.handed_over.remembered.clone();
        let source = Arc::clone(source);
        let lookups = tags
            .into_iter()
            .map(move |tag| manifests_of(Arc::clone(&source), tag).boxed());
        let mut lookups = stream::iter(lookups).buffer_unordered(LOOKUPS);
        let mut subjects = HashSet::new();
        loop {
            let next = self.cancel.run_until_cancelled(lookups.try_next()).await;
            let Some(manifests) = next.ok_or_else(Failure::interrupted)?? else {
                return Ok(subjects);
            };
            subjects.extend(manifests.iter().filter_map(TagSubject::from_digest));
        }
    }
}

/// Returns the digests of the manifest that `tag` names, and of those below it; none if it was deleted.
async fn manifests_of(source: Arc<dyn Source>, tag: Tag) -> Result<Vec<Digest>, Failure> {
    let target = Target::Tag(tag);
    let head = match source.resolve(&target).await {
        Ok(Some(head)) => head,
        Ok(None) => return Ok(Vec::new()),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut all = vec![head.digest.clone()];
    let media_type = head.media_type.as_deref();
    let may_be_index =
        media_type.is_none_or(|it| matches!(it, media_type::OCI_INDEX | media_type::DOCKER_LIST));
    if may_be_index {
        let target = Target::Digest(head.digest.clone());
        let image = SourceImage::new(source, target, Arc::default(), Arc::default());
        let root = image.manifest(&head.digest).await?;
        all.extend(image.manifests_below(&root).await?);
    }
    Ok(all)
}
