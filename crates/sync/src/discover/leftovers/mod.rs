//! Referrer tags in listing rules, while referrers are copied: deferred, and images of their own only if no image of the run
//! covers them.
//!
//! The leftover tags are known after the end of all other images of the repository, also those of other rules. A search
//! waits for that outside of the maximum number of concurrent searches, so that it blocks no other rule, and may wait for
//! rules that have not started.

use std::sync::Arc;

use image_syncer_registry::{ListedTag, Tag, Target};

use crate::discover::referrer_tags::ReferrerTag;
use crate::discover::source_tags::{ListedReferrerTags, SourceList};
use crate::discover::{CoveredTags, RuleSearch};
use crate::failure::Failure;
use crate::rule::{Rule, RuleDestination, Selection};
use crate::store::TagDetail;

/// Deferred tags of a rule, for those of its destinations to which it copies referrers.
pub(super) struct DeferredReferrerTags {
    list: Arc<SourceList>,
    /// Number of deferred tags.
    tags: usize,
}

impl DeferredReferrerTags {
    /// Returns an empty set of deferred tags of `list`; `None` if `rule` copies referrers to no destination.
    pub(super) fn for_rule(rule: &Rule, list: &Arc<SourceList>) -> Option<Self> {
        rule.copies_referrers().then(|| Self {
            list: Arc::clone(list),
            tags: 0,
        })
    }
}

/// Returns true if `rule` defers referrer tags for `destination`.
fn defers(rule: &Rule, destination: &RuleDestination) -> bool {
    rule.options_for(destination).referrers.is_some()
}

impl<'a> RuleSearch<'a> {
    /// Returns the destinations that get `tag` now. A referrer tag is deferred for the others.
    pub(super) fn destinations_before_leftovers(&mut self, tag: &Tag) -> Vec<&'a RuleDestination> {
        let rule: &'a Rule = self.rule;
        let deferred = self.deferred.as_mut();
        let deferred = deferred.filter(|_| ReferrerTag::parse(tag.as_str()).is_some());
        let Some(deferred) = deferred else {
            return rule.destinations.iter().collect();
        };
        deferred.tags += 1;
        let destinations = rule.destinations.iter();
        destinations
            .filter(|destination| !defers(rule, destination))
            .collect()
    }
}

impl RuleSearch<'_> {
    /// Returns true if `tag` is deferred for all destinations.
    pub(super) fn is_held_back(&self, tag: &Tag) -> bool {
        let mut destinations = self.rule.destinations.iter();
        ReferrerTag::parse(tag.as_str()).is_some()
            && destinations.all(|destination| defers(self.rule, destination))
    }

    /// Returns true if tags were deferred and the search was not interrupted.
    pub(crate) fn has_deferred_tags(&self) -> bool {
        let interrupted = matches!(&self.result, Err(failure) if failure.interrupted);
        !interrupted
            && self
                .deferred
                .as_ref()
                .is_some_and(|deferred| deferred.tags > 0)
    }

    /// Sends the deferred tags that are not `covered` by images of the source. All of these must have ended.
    pub(crate) async fn send_leftovers(&mut self, covered: &CoveredTags) {
        let Some(deferred) = self.deferred.take() else {
            return;
        };
        self.sends_leftovers = true;
        let sent = self.send_uncovered(&deferred, covered).await;
        if self.result.is_ok() {
            self.result = match (std::mem::replace(&mut self.result, Ok(None)), sent) {
                (Ok(Some(reason)), Ok(())) => Ok(Some(reason)),
                (_, Ok(())) => Ok(self.none_left()),
                (_, Err(failure)) => Err(failure),
            };
        }
    }

    /// Returns the reason of a rule that has deferred tags only, which are all covered.
    fn none_left(&self) -> Option<String> {
        // Other parts of the tags may have images.
        let is_all = self.rule.tag_parts.is_none();
        let is_all = is_all && self.handed_over.is_empty();
        let none = is_all && self.found == 0 && self.repeated == 0;
        none.then(|| {
            "all of its tags name referrers, which are copied with their images".to_owned()
        })
    }

    async fn send_uncovered(
        &mut self,
        deferred: &DeferredReferrerTags,
        covered: &CoveredTags,
    ) -> Result<(), Failure> {
        match deferred.list.referrer_tags().await {
            ListedReferrerTags::Whole(tags) | ListedReferrerTags::Partly(tags) => {
                for tag in tags.all() {
                    self.send_leftover(covered, tag).await?;
                }
                Ok(())
            }
            ListedReferrerTags::Nothing => self.list_again(deferred, covered).await,
        }
    }

    /// Lists the repository again, since it has more referrer tags than are kept.
    async fn list_again(
        &mut self,
        deferred: &DeferredReferrerTags,
        covered: &CoveredTags,
    ) -> Result<(), Failure> {
        let mut pages = deferred.list.open_pages(TagDetail::Names).await?;
        loop {
            let page = self.cancel.run_until_cancelled(pages.next()).await;
            let page = page.ok_or_else(Failure::interrupted)?;
            let page = page?;
            let Some(tags) = page else { return Ok(()) };
            for ListedTag { tag, .. } in tags {
                if let Some(read) = ReferrerTag::parse(tag.as_str()) {
                    self.send_leftover(covered, (read, tag)).await?;
                }
            }
        }
    }

    /// Sends a tag for those destinations of the rule at which no image covers it.
    async fn send_leftover(
        &mut self,
        covered: &CoveredTags,
        (read, tag): (ReferrerTag, Tag),
    ) -> Result<(), Failure> {
        let selected = match &self.rule.source.select {
            Selection::Matching(pattern) => pattern.matches(&tag),
            _ => true,
        };
        let rule: &Arc<Rule> = self.rule;
        let left = rule.destinations.iter();
        let left: Vec<&RuleDestination> = left
            .filter(|place| match &rule.options_for(place).referrers {
                Some(referrers) if read.is_companion() && !referrers.wants_cosign() => false,
                Some(referrers) => !covered.contains(read, &place.repository, referrers),
                None => false,
            })
            .collect();
        if !selected || left.is_empty() || !self.rule.has_own(&tag) {
            return Ok(());
        }
        if self.cancel.is_cancelled() {
            return Err(Failure::interrupted());
        }
        if self.is_handed_over((read, &tag)).await? {
            return Ok(());
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
