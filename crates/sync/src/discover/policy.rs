//! Images that a tag policy selects.

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, stream};
use image_syncer_registry::{ListedTag, Tag, Target};

use crate::discover::RuleSearch;
use crate::discover::listing::report_image_count;
use crate::discover::referrer_tags::ReferrerTag;
use crate::discover::source_tags::SourceList;
use crate::event::Event;
use crate::failure::Failure;
use crate::rule::TagPolicy;
use crate::rule::tag_policy::{
    Candidate, HeldTag, PolicyResult, SelectedTag, TagPipeline, UnknownTime,
};
use crate::store::Source;

/// Maximum number of tags of a rule whose times are looked up at a time.
const LOOKUPS: usize = 8;

impl RuleSearch<'_> {
    /// Sends the tags that `policy` selects, and those in quarantine as images to skip. Returns the reason if there was
    /// none.
    ///
    /// A tag is sent as soon as no later one can change the selection; with `newest`, after the end of the list.
    ///
    /// # Errors
    /// Fails if the list cannot be read, if fewer tags are selected than the policy requires, or if a time is unknown that
    /// the policy needs. Then no tag is sent, unless the policy selects single tags and the list fails later.
    pub(super) async fn list_policy(
        &mut self,
        policy: &Arc<TagPolicy>,
    ) -> Result<Option<String>, Failure> {
        let mut pipeline = TagPipeline::new(policy, self.discoverer.ages.now());
        let sources = &self.discoverer.source_tags;
        let mut pages = sources.read(&self.rule.source.repository);
        loop {
            let page = tokio::select! {
                biased;
                page = pages.next() => page?,
                () = self.cancel.cancelled() => return Err(Failure::interrupted()),
            };
            let Some(tags) = page else { break };
            self.offer(policy, &mut pipeline, tags).await?;
            let ready = self
                .keep(policy, pipeline.drain_ready(), pages.list())
                .await;
            self.send_selected(policy, ready, pages.list()).await?;
        }
        loop {
            let pending = pipeline.next_pending();
            if pending.is_empty() {
                break;
            }
            self.look_up(policy, &mut pipeline, pending).await?;
        }
        self.finish_policy(policy, pipeline.finish(), pages.list())
            .await
    }

    /// Passes a page of tags to the pipeline, and looks up times that it needs at once.
    async fn offer(
        &self,
        policy: &TagPolicy,
        pipeline: &mut TagPipeline,
        tags: Vec<ListedTag>,
    ) -> Result<(), Failure> {
        let mut candidates = Vec::new();
        for listed in tags {
            let ListedTag {
                tag,
                digest,
                pushed,
                ..
            } = listed;
            if ReferrerTag::parse(tag.as_str()).is_some() {
                continue;
            }
            let offered = pipeline.offer(&tag, digest, pushed);
            candidates.extend(offered.map_err(|unknown| unknown_time(&tag, unknown))?);
        }
        self.look_up(policy, pipeline, candidates).await
    }

    /// Looks up the times of `candidates`, some at a time, and passes them to the pipeline.
    async fn look_up(
        &self,
        policy: &TagPolicy,
        pipeline: &mut TagPipeline,
        candidates: Vec<Candidate>,
    ) -> Result<(), Failure> {
        if candidates.is_empty() {
            return Ok(());
        }
        let source = self
            .discoverer
            .source_tags
            .open(&self.rule.source.repository);
        let source: Arc<dyn Source> = source.await?;
        let ages = &self.discoverer.ages;
        let lookups = candidates.into_iter().map(|candidate| {
            let (tag, source) = (candidate.tag.clone(), &source);
            async move { (tag, ages.complete(source, policy, candidate).await) }.boxed()
        });
        let mut lookups = stream::iter(lookups).buffer_unordered(LOOKUPS);
        loop {
            let next = self.cancel.run_until_cancelled(lookups.next()).await;
            let Some((tag, candidate)) = next.ok_or_else(Failure::interrupted)? else {
                return Ok(());
            };
            match candidate? {
                Some(candidate) => {
                    let admitted = pipeline.admit(candidate);
                    admitted.map_err(|unknown| unknown_time(&tag, unknown))?;
                }
                None => self.warn_of_missing(&tag),
            }
        }
    }

    fn warn_of_missing(&self, tag: &Tag) {
        let repository = &self.rule.source.repository;
        let text = format!(
            "{repository}:{tag} is listed but does not exist, so that the tag policy ignores it. Delete the tag, or exclude \
             it."
        );
        self.discoverer.listener.event(&Event::Warning { text });
    }

    async fn finish_policy(
        &mut self,
        policy: &TagPolicy,
        result: PolicyResult,
        list: &SourceList,
    ) -> Result<Option<String>, Failure> {
        let explanation = &result.explanation;
        self.discoverer.listener.event(&Event::TagsSelected {
            rule: self.rule.id,
            repository: self.rule.source.repository.to_string(),
            explanation: explanation.clone(),
        });
        if explanation.tags == 0 && policy.at_least == 0 {
            return Ok(Some("the repository has no tags".to_owned()));
        }
        if result.too_few {
            return Err(Failure::local(format!(
                "the tag policy selects {} of at least {}: {explanation}. Nothing is copied. Correct tags of the rule, or \
                 lower at-least.",
                counted(explanation.selected),
                counted(policy.at_least as u64),
            )));
        }
        let tags = self.keep(policy, result.tags, list).await;
        let selected = tags.iter().map(|it| &it.tag);
        let shown = selected.chain(result.quarantined.iter().map(|it| &it.tag));
        let count = self.wanted + shown.filter(|tag| self.rule.has_own(tag)).count();
        report_image_count(&*self.discoverer.listener, self.rule, count);
        self.send_selected(policy, tags, list).await?;
        let is_empty = explanation.selected == 0 && result.quarantined.is_empty();
        for held in result.quarantined {
            if self.rule.has_own(&held.tag) {
                self.send_quarantined(held).await?;
            }
        }
        Ok(is_empty.then(|| format!("no tag is left: {explanation}")))
    }

    /// Returns those of the selected tags of `list` that no other process copies.
    async fn keep(
        &mut self,
        policy: &TagPolicy,
        mut tags: Vec<SelectedTag>,
        list: &SourceList,
    ) -> Vec<SelectedTag> {
        tags.retain(|it| self.rule.has_own(&it.tag));
        // A part would copy what a tag names then, which may be too young.
        if policy.older_than.is_some() {
            let index = &self.discoverer.destination_index;
            index.want(self.rule, tags.len()).await;
            return tags;
        }
        let offered = tags.iter().map(|it| {
            let listed = list.listed_digest(&listed_tag(it.clone()));
            (it.tag.clone(), listed)
        });
        let offered = offered.collect();
        let others = self.hand_over_listed(offered).await;
        tags.retain(|it| !others.contains(&it.tag));
        tags
    }

    /// Sends these tags of `list`. With a minimum age, the digest whose age is known is copied, also if the tag is moved
    /// meanwhile.
    async fn send_selected(
        &mut self,
        policy: &TagPolicy,
        tags: Vec<SelectedTag>,
        list: &SourceList,
    ) -> Result<(), Failure> {
        for selected in tags {
            let listed = listed_tag(selected);
            self.listed = list.listed_digest(&listed);
            let target = Target::Tag(listed.tag.clone());
            let is_pinned = policy.older_than.is_some();
            self.pinned = listed.digest.filter(|_| is_pinned);
            let sent = self.send(target, Some(&listed.tag), self.wanted).await;
            self.pinned = None;
            sent?;
            self.wanted += 1;
        }
        Ok(())
    }

    /// Sends a tag that must not be copied yet, as an image to skip.
    async fn send_quarantined(&mut self, held: HeldTag) -> Result<(), Failure> {
        self.skip = Some(held.reason());
        let tag = held.tag;
        let target = Target::Tag(tag.clone());
        let sent = self.send(target, Some(&tag), self.wanted).await;
        self.skip = None;
        self.wanted += 1;
        sent
    }
}

/// Returns a selected tag as the list had it.
fn listed_tag(SelectedTag { tag, digest }: SelectedTag) -> ListedTag {
    ListedTag {
        digest,
        ..ListedTag::from(tag)
    }
}

/// Returns the failure of a rule whose policy needs a time that is unknown.
fn unknown_time(tag: &Tag, unknown: UnknownTime) -> Failure {
    let (why, advice) = match unknown {
        UnknownTime::Pushed => (
            "the registry lists no push times",
            "Write by: first-seen or by: created in the tags of the rule.",
        ),
        UnknownTime::FirstSeen => (
            "nothing is recorded about it",
            "Keep records (--records FILE), or write by: created in the tags of the rule.",
        ),
        UnknownTime::Either => (
            "the registry lists no push times, and nothing is recorded about it",
            "Keep records (--records FILE), so that ages count from the first run that sees a tag, or write by: created \
             in the tags of the rule.",
        ),
        UnknownTime::Order => (
            "the registry lists no push times",
            "Write by: created or by: version below newest in the tags of the rule.",
        ),
    };
    Failure::local(format!("the age of tag {tag} is unknown: {why}. {advice}"))
}

fn counted(tags: u64) -> String {
    match tags {
        1 => "1 tag".to_owned(),
        tags => format!("{tags} tags"),
    }
}
