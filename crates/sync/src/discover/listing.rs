//! Images from a list of tags.

use image_syncer_registry::{ListedTag, Tag, Target};

use crate::discover::RuleSearch;
use crate::discover::leftovers::DeferredReferrerTags;
use crate::event::{Event, Listener};
use crate::failure::Failure;
use crate::rule::{Pattern, Rule};

impl RuleSearch<'_> {
    /// Sends every tag that matches `pattern` (`None`: every tag), page by page, except deferred tags. Returns the
    /// reason if there was none.
    pub(super) async fn list(
        &mut self,
        pattern: Option<&Pattern>,
    ) -> Result<Option<String>, Failure> {
        let sources = &self.discoverer.source_tags;
        let mut pages = sources.read(&self.rule.source.repository);
        self.deferred = DeferredReferrerTags::for_rule(self.rule, pages.list());
        let (mut looked_at, mut matched) = (0_usize, 0_usize);
        // Which tags this process keeps is known page by page.
        let divides = self.may_divide();
        let mut announced = divides;
        loop {
            let page = tokio::select! {
                biased;
                // Pages that were read before the interruption tell which images are left.
                page = pages.next() => page?,
                () = self.cancel.cancelled() => return Err(Failure::interrupted()),
            };
            let Some(tags) = page else { break };
            looked_at += tags.len();
            let will_send = |listed: &&ListedTag| self.will_send(pattern, &listed.tag);
            let offered = tags.iter().filter(will_send);
            let offered = offered.map(|listed| {
                let digest = divides.then(|| pages.list().listed_digest(listed));
                (listed.tag.clone(), digest.flatten())
            });
            let offered = offered.collect();
            let others = self.hand_over_listed(offered).await;
            for (number, listed) in tags.iter().enumerate() {
                if !announced
                    && self.pattern.is_none()
                    && let Some(ahead) = pages.ahead()
                {
                    self.announce(pattern, tags.iter().skip(number).chain(&ahead));
                    announced = true;
                }
                let tag = &listed.tag;
                if pattern.is_some_and(|pattern| !pattern.matches(tag)) {
                    continue;
                }
                matched += 1;
                if !self.rule.has_own(tag) || others.contains(tag) {
                    continue;
                }
                let destinations = self.destinations_before_leftovers(tag);
                if !destinations.is_empty() {
                    let target = Target::Tag(tag.clone());
                    self.listed = pages.list().listed_digest(listed);
                    self.send_to(&destinations, target, Some(tag), self.wanted)
                        .await?;
                    self.wanted += 1;
                }
            }
        }
        if divides {
            report_image_count(&*self.discoverer.listener, self.rule, self.wanted);
        }
        Ok(nothing_found(pattern, looked_at, matched))
    }

    /// Reports the expected number of images, with those of the tags that are `left`.
    fn announce<'t>(&self, pattern: Option<&Pattern>, left: impl Iterator<Item = &'t ListedTag>) {
        let left = left.filter(|listed| self.will_send(pattern, &listed.tag));
        let images = self.wanted + left.count();
        report_image_count(&*self.discoverer.listener, self.rule, images);
    }

    /// Returns true if a tag of the list will be sent as an image.
    fn will_send(&self, pattern: Option<&Pattern>, tag: &Tag) -> bool {
        pattern.is_none_or(|pattern| pattern.matches(tag))
            && self.rule.has_own(tag)
            && !self.is_held_back(tag)
    }
}

/// Returns the reason if no tag of the list is selected.
fn nothing_found(pattern: Option<&Pattern>, looked_at: usize, matched: usize) -> Option<String> {
    match pattern {
        _ if looked_at == 0 => Some("the repository has no tags".to_owned()),
        Some(pattern) if matched == 0 => Some(match looked_at {
            1 => format!("the only tag does not match /{}/", pattern.as_str()),
            _ => format!(
                "no tag matches /{}/ ({looked_at} tags looked at)",
                pattern.as_str()
            ),
        }),
        _ => None,
    }
}

/// Reports the expected number of images of a rule with this number of tags.
pub(super) fn report_image_count(listener: &dyn Listener, rule: &Rule, tags: usize) {
    let images = tags.saturating_mul(rule.destinations.len()) as u64;
    listener.event(&Event::RuleListed {
        rule: rule.id,
        images,
    });
}
