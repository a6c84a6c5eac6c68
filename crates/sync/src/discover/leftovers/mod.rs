//! Tags that name what refers to a manifest, where referrers come along: no images of their own, unless no image of the
//! run sees to them.
//!
//! Which are left is known when all other images of the repository have ended, those of other rules included. Their
//! search waits for that outside of the number of rules that are searched at a time: it holds up no other rule, and may
//! wait for rules that are not begun.

use std::sync::Arc;

use image_syncer_registry::{Tag, Target};

use crate::discover::RuleSearch;
use crate::discover::referrer_tags::ReferrerTag;
use crate::discover::source_tags::{ListedReferrerTags, SourceList};
use crate::failure::{Failure, Side};
use crate::rule::Referrers;
use crate::rule::{Rule, RuleDestination, Selection};

/// Tags of a rule that are no images of their own for the time being.
pub(super) struct DeferredReferrerTags {
    list: Arc<SourceList>,
    referrers: Arc<Referrers>,
    /// How many.
    tags: usize,
}

impl DeferredReferrerTags {
    /// None yet, of those that `list` gives.
    pub(super) fn new(list: &Arc<SourceList>, referrers: &Arc<Referrers>) -> Self {
        Self {
            list: Arc::clone(list),
            referrers: Arc::clone(referrers),
            tags: 0,
        }
    }
}

impl RuleSearch<'_> {
    /// Whether `tag` is to be held back; it is counted.
    pub(super) fn holds_back(&mut self, tag: &Tag) -> bool {
        let held = self.held_back.as_mut();
        let held = held.filter(|_| ReferrerTag::parse(tag.as_str()).is_some());
        held.map(|held| held.tags += 1).is_some()
    }

    /// Waits for the other images of the repository, and then sends off the tags that were held back and that no
    /// image of the run sees to; says why there are none, where there are none and were no others.
    pub(super) async fn orphans(&mut self) -> Result<Option<String>, Failure> {
        let Some(held) = self.held_back.take().filter(|held| held.tags > 0) else {
            return Ok(None);
        };
        self.searching = None;
        held.list.wait_for_images().await;
        match held.list.referrer_tags().await {
            ListedReferrerTags::Whole(tags) | ListedReferrerTags::Partly(tags) => {
                for tag in tags.all() {
                    self.orphan(&held, tag).await?;
                }
            }
            ListedReferrerTags::Nothing => self.orphans_anew(&held).await?,
        }
        let none = self.found == 0 && self.repeated == 0;
        Ok(none.then(|| {
            "its tags all name referrers, which come along with the images that they refer to"
                .to_owned()
        }))
    }

    /// Lists the repository once more, which has more of such tags than can be kept.
    async fn orphans_anew(&mut self, held: &DeferredReferrerTags) -> Result<(), Failure> {
        let mut pages = held.list.store().tags();
        loop {
            let page = self.cancel.run_until_cancelled(pages.next()).await;
            let page = page.ok_or_else(Failure::interrupted)?;
            let page = page.map_err(|error| Failure::registry(Side::Source, &error))?;
            let Some(tags) = page else { return Ok(()) };
            for tag in tags {
                if let Some(read) = ReferrerTag::parse(tag.as_str()) {
                    self.orphan(held, (read, tag)).await?;
                }
            }
        }
    }

    /// Sends off a tag to those of the rule's destinations for which no image sees to it.
    async fn orphan(
        &mut self,
        held: &DeferredReferrerTags,
        (read, tag): (ReferrerTag, Tag),
    ) -> Result<(), Failure> {
        let wanted = match &self.rule.source.select {
            Selection::Matching(pattern) => pattern.matches(&tag),
            _ => true,
        };
        let rule: &Arc<Rule> = self.rule;
        let left = rule.destinations.iter();
        let left: Vec<&RuleDestination> = left
            .filter(|place| !held.list.is_answered(read, &place.repository))
            .collect();
        let stays_behind = read.is_companion() && !held.referrers.wants_cosign();
        if !wanted || stays_behind || left.is_empty() {
            return Ok(());
        }
        if self.cancel.is_cancelled() {
            return Err(Failure::interrupted());
        }
        let position = self.wanted;
        self.wanted += 1;
        let target = Target::Tag(tag.clone());
        self.lists = read.fallback_of();
        self.send_to(&left, target, Some(&tag), position).await
    }
}

#[cfg(test)]
mod tests;
