//! The pipeline of a tag policy. It gets one tag at a time and keeps only tags that may still be selected.

use std::sync::Arc;
use std::time::SystemTime;

use image_syncer_registry::{Digest, Tag};

use crate::rule::tag_policy::age::{AgeSource, QuarantinedTag, TagTimes};
use crate::rule::tag_policy::candidate::{Candidate, HeldTag, SelectedTag};
use crate::rule::tag_policy::counts::Counts;
use crate::rule::tag_policy::explanation::TagExplanation;
use crate::rule::tag_policy::ranking::{Group, Kept, QuarantineEnd, RankedTag};
use crate::rule::tag_policy::{Newest, NewestBy, TagPolicy};

/// Maximum number of tags that [`TagPipeline::next_pending`] returns at a time.
const PENDING: usize = 64;

/// Pipeline of a policy.
///
/// [`TagPipeline::offer`] runs the stages for names, and those for times if the listing has the times. Otherwise the times
/// are looked up, and [`TagPipeline::admit`] runs these stages. If the policy wants the newest versions, tags are looked up
/// from the newest on, and only until enough are selected ([`TagPipeline::next_pending`]).
///
/// With `newest`, at most that number of tags is kept for each group, beside the tags whose times must be looked up. The
/// order of the tags does not matter.
pub struct TagPipeline {
    policy: Arc<TagPolicy>,
    now: SystemTime,
    counts: Counts,
    selected: Kept,
    /// Tags that would be selected if no tag was in quarantine. Kept only with `newest`.
    without_quarantine: Kept,
    quarantined: Vec<RankedTag>,
    /// Tags whose times may have to be looked up.
    pending: Kept,
    next: Option<QuarantinedTag>,
}

/// Result of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyResult {
    /// Selected tags that [`TagPipeline::drain_ready`] has not returned; with `newest`, the newest first.
    pub tags: Vec<SelectedTag>,
    /// Tags in quarantine that would have been selected otherwise.
    pub quarantined: Vec<HeldTag>,
    /// Explanation of the selection.
    pub explanation: TagExplanation,
    /// True if fewer tags are selected than the policy requires. Then `tags` is empty.
    pub too_few: bool,
}

/// Error of a tag that has not the time that a stage needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownTime {
    /// The listing has no push time.
    Pushed,
    /// The time at which the digest was first seen is unknown, since nothing is recorded.
    FirstSeen,
    /// Neither is known.
    Either,
    /// The listing has no push time, by which the tags are ordered.
    Order,
}

impl TagPipeline {
    /// Returns an empty pipeline. Ages are computed at `now`.
    pub fn new(policy: &Arc<TagPolicy>, now: SystemTime) -> Self {
        Self {
            policy: Arc::clone(policy),
            now,
            counts: Counts::default(),
            selected: Kept::default(),
            without_quarantine: Kept::default(),
            quarantined: Vec::new(),
            pending: Kept::default(),
            next: None,
        }
    }

    /// Counts a tag and runs the stages for names, and those for times if nothing must be looked up. Returns the tag if its
    /// times must be looked up now; it is then passed to [`TagPipeline::admit`]. Tags that name referrers must not be
    /// offered.
    ///
    /// # Errors
    /// As of [`TagPipeline::admit`].
    pub fn offer(
        &mut self,
        tag: &Tag,
        digest: Option<Digest>,
        pushed: Option<SystemTime>,
    ) -> Result<Option<Candidate>, UnknownTime> {
        self.counts.tags += 1;
        let version = match self.policy.pass_names(tag) {
            Ok(version) => version,
            Err(stage) => {
                self.counts.drop_at(stage);
                return Ok(None);
            }
        };
        let times = TagTimes {
            pushed,
            ..TagTimes::default()
        };
        let candidate = Candidate {
            tag: tag.clone(),
            digest,
            times,
            version,
        };
        if self.policy.needed_times(&times, self.now).is_empty() {
            self.admit(candidate)?;
            return Ok(None);
        }
        match self.policy.newest {
            Some(newest) if newest.by != NewestBy::Created => {
                let tag = RankedTag {
                    time: order_time(newest, &candidate)?,
                    candidate,
                    quarantine: None,
                };
                self.pending
                    .insert(self.group(&tag, newest), tag, usize::MAX);
                Ok(None)
            }
            _ => Ok(Some(candidate)),
        }
    }

    /// Returns tags whose times must be looked up, after all tags were offered. They are passed to [`TagPipeline::admit`],
    /// and then the next ones are returned. Empty if the selection is complete.
    pub fn next_pending(&mut self) -> Vec<Candidate> {
        let Some(newest) = self.policy.newest else {
            return Vec::new();
        };
        let count = newest.count.get();
        let needed = self.pending.remove_needed(&self.selected, count, PENDING);
        needed.into_iter().map(|tag| tag.candidate).collect()
    }

    /// Runs the stages that need times. Times that [`TagPolicy::needed_times`] names must have been looked up.
    ///
    /// # Errors
    /// If a time is unknown without which the policy cannot decide.
    pub fn admit(&mut self, candidate: Candidate) -> Result<(), UnknownTime> {
        let quarantine = self.quarantine(&candidate.times)?;
        let is_young_enough = self.is_young_enough(&candidate.times)?;
        let newest = self.policy.newest;
        let time = newest
            .map(|newest| order_time(newest, &candidate))
            .transpose()?;
        let tag = RankedTag {
            time: time.flatten(),
            candidate,
            quarantine,
        };
        if let Some(QuarantineEnd(until)) = quarantine {
            self.counts.younger += 1;
            self.note_quarantine(&tag.candidate.tag, until);
        }
        let is_free = u64::from(quarantine.is_none());
        match is_young_enough {
            Some(true) => {}
            Some(false) => {
                self.counts.older += is_free;
                return Ok(());
            }
            None => {
                self.counts.unknown += is_free;
                return Ok(());
            }
        }
        self.counts.passed += is_free;
        match newest {
            Some(newest) => {
                let group = self.group(&tag, newest);
                let count = newest.count.get();
                if self.policy.older_than.is_some() {
                    let (group, tag) = (group.clone(), tag.clone());
                    self.without_quarantine.insert(group, tag, count);
                }
                if quarantine.is_none() {
                    self.selected.insert(group, tag, count);
                }
            }
            None if quarantine.is_some() => self.quarantined.push(tag),
            None => self.selected.all.push(tag),
        }
        Ok(())
    }

    /// Returns the tags that are selected already, each once. Empty as long as a later tag may change the selection.
    pub fn drain_ready(&mut self) -> Vec<SelectedTag> {
        let enough = usize::try_from(self.counts.passed).is_ok_and(|it| it >= self.policy.at_least);
        if self.policy.newest.is_some() || !enough {
            return Vec::new();
        }
        self.selected
            .all
            .drain(..)
            .map(RankedTag::selected)
            .collect()
    }

    /// Returns the number of tags that are kept.
    pub fn kept(&self) -> usize {
        let quarantined = self.without_quarantine.len() + self.quarantined.len();
        self.selected.len() + quarantined + self.pending.len()
    }

    /// Ends the pipeline.
    pub fn finish(self) -> PolicyResult {
        let selected = match self.policy.newest {
            Some(_) => self.selected.len() as u64,
            None => self.counts.passed,
        };
        let explanation = self.counts.explain(&self.policy, selected, self.next);
        let too_few = usize::try_from(selected).is_ok_and(|it| it < self.policy.at_least);
        let mut tags = self.selected.into_sorted();
        if too_few {
            tags.clear();
        }
        let held = self.without_quarantine.into_sorted();
        let quarantined = held.into_iter().chain(self.quarantined);
        PolicyResult {
            tags: tags.into_iter().map(RankedTag::selected).collect(),
            quarantined: quarantined.filter_map(RankedTag::held).collect(),
            explanation,
            too_few,
        }
    }

    /// Returns the end of the quarantine of a tag in quarantine.
    fn quarantine(&self, times: &TagTimes) -> Result<Option<QuarantineEnd>, UnknownTime> {
        let Some(limit) = self.policy.older_than else {
            return Ok(None);
        };
        let Some(start) = limit.quarantine_start(times) else {
            return match limit.by {
                AgeSource::Created => Ok(Some(QuarantineEnd(None))),
                AgeSource::Auto => Err(UnknownTime::Either),
                AgeSource::Pushed => Err(UnknownTime::Pushed),
                AgeSource::FirstSeen => Err(UnknownTime::FirstSeen),
            };
        };
        let is_over = limit.is_reached(start, self.now);
        Ok((!is_over).then(|| QuarantineEnd(limit.end(start))))
    }

    /// Returns true if the tag does not exceed the maximum age; `None` if its age is unknown.
    fn is_young_enough(&self, times: &TagTimes) -> Result<Option<bool>, UnknownTime> {
        let Some(limit) = self.policy.newer_than else {
            return Ok(Some(true));
        };
        match (limit.expiry_start(times), limit.by) {
            (Some(start), _) => Ok(Some(!limit.is_reached(start, self.now))),
            (None, AgeSource::Auto | AgeSource::Created) => Ok(None),
            (None, AgeSource::Pushed) => Err(UnknownTime::Pushed),
            (None, AgeSource::FirstSeen) => Err(UnknownTime::FirstSeen),
        }
    }

    fn note_quarantine(&mut self, tag: &Tag, until: Option<SystemTime>) {
        // Of equal times the first name, so that the order of the tags does not matter.
        let rank = |until: Option<SystemTime>, tag: &str| (until.is_none(), until, tag.to_owned());
        let next = self.next.as_ref().map(|next| rank(next.until, &next.tag));
        if next.is_none_or(|next| rank(until, tag.as_str()) < next) {
            let tag = tag.to_string();
            self.next = Some(QuarantinedTag { tag, until });
        }
    }

    fn group(&self, tag: &RankedTag, newest: Newest) -> Group {
        let version = tag.candidate.version.as_ref();
        let version = version.filter(|_| self.policy.uses_versions());
        version.map_or_else(Group::default, |version| Group::new(version, newest.per))
    }
}

/// Returns the time by which a tag is ordered.
fn order_time(newest: Newest, candidate: &Candidate) -> Result<Option<SystemTime>, UnknownTime> {
    match newest.by {
        NewestBy::Version => Ok(None),
        NewestBy::Pushed => match candidate.times.pushed() {
            Some(pushed) => Ok(Some(pushed)),
            None => Err(UnknownTime::Order),
        },
        NewestBy::Created => Ok(candidate.times.created()),
    }
}
