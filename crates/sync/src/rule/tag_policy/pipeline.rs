//! The pipeline of a tag policy. It gets one tag at a time and keeps only tags that may still be selected.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use image_syncer_registry::{Digest, Tag};

use crate::rule::tag_policy::age::{AgeSource, QuarantinedTag, TagTimes};
use crate::rule::tag_policy::explanation::{TagExplanation, TagStage};
use crate::rule::tag_policy::natural;
use crate::rule::tag_policy::{NewestBy, NewestPer, TagPolicy, TagVersion, VariantPattern};

/// Pipeline of a policy.
///
/// [`TagPipeline::pass_name`] runs the stages that need only the name, [`TagPipeline::admit`] those that need times. With
/// `newest`, at most that number of tags is kept for each group; the order of the tags does not matter.
pub struct TagPipeline {
    policy: Arc<TagPolicy>,
    now: SystemTime,
    counts: Counts,
    selected: Kept,
    /// Tags that would be selected if no tag was in quarantine. Kept only with `newest`.
    without_quarantine: Kept,
    quarantined: Vec<RankedTag>,
    next: Option<QuarantinedTag>,
}

/// Tag that passed the stages for names.
#[derive(Clone, Debug)]
pub struct Candidate {
    tag: Tag,
    version: Option<TagVersion>,
}

/// Tag that a policy selected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectedTag {
    /// The tag.
    pub tag: Tag,
    /// Its digest, if the listing has it.
    pub digest: Option<Digest>,
}

/// Tag in quarantine that would have been selected otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldTag {
    /// The tag.
    pub tag: Tag,
    /// End of its quarantine; `None` if its age is unknown.
    pub until: Option<SystemTime>,
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

/// Stage that drops a tag by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameStage {
    Include,
    Exclude,
    Version,
    Prerelease,
    Variant,
}

#[derive(Default)]
struct Counts {
    tags: u64,
    /// Tags that each stage dropped.
    include: u64,
    exclude: u64,
    version: u64,
    prerelease: u64,
    variant: u64,
    younger: u64,
    older: u64,
    unknown: u64,
    /// Tags that passed all stages before `newest`.
    passed: u64,
}

/// Tags that are kept.
#[derive(Default)]
struct Kept {
    groups: HashMap<Group, BTreeSet<RankedTag>>,
    /// Tags without a limit.
    all: Vec<RankedTag>,
}

/// Tags among which the newest are counted.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
struct Group {
    /// The variant, without the values of its numbers.
    variant: Option<String>,
    major: Option<u64>,
    minor: Option<u64>,
}

/// Tag with its rank: a newer tag is greater.
#[derive(Clone, Debug)]
struct RankedTag {
    time: Option<SystemTime>,
    version: Option<TagVersion>,
    tag: Tag,
    digest: Option<Digest>,
    /// End of the quarantine, for a tag in quarantine.
    quarantine: Option<Option<SystemTime>>,
}

impl Ord for RankedTag {
    fn cmp(&self, other: &Self) -> Ordering {
        self.time
            .cmp(&other.time)
            .then_with(|| self.version.cmp(&other.version))
            .then_with(|| self.tag.cmp(&other.tag))
    }
}

impl PartialEq for RankedTag {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for RankedTag {}

impl PartialOrd for RankedTag {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl TagPolicy {
    /// Returns the version of a tag that passes the stages for names, or the stage that drops it.
    pub(super) fn pass_names(&self, tag: &Tag) -> Result<Option<TagVersion>, NameStage> {
        if !self.include.is_empty() && !self.include.iter().any(|it| it.matches(tag)) {
            return Err(NameStage::Include);
        }
        if self.exclude.iter().any(|it| it.matches(tag)) {
            return Err(NameStage::Exclude);
        }
        if !self.uses_versions() {
            return Ok(TagVersion::parse(tag.as_str()));
        }
        let version = TagVersion::parse(tag.as_str()).ok_or(NameStage::Version)?;
        if !self.semver.as_ref().is_none_or(|it| it.contains(&version)) {
            return Err(NameStage::Version);
        }
        if !self.prerelease && version.prerelease().is_some() {
            return Err(NameStage::Prerelease);
        }
        let variant = version.variant();
        let matches = |pattern: &VariantPattern| pattern.matches(variant);
        let selected = match self.variants.is_empty() {
            true => variant.is_empty(),
            false => self.variants.iter().any(matches),
        };
        match selected {
            true => Ok(Some(version)),
            false => Err(NameStage::Variant),
        }
    }
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
            next: None,
        }
    }

    /// Counts a tag and runs the stages that need only its name. Returns the tag if it passes. Tags that name referrers
    /// must not be passed.
    pub fn pass_name(&mut self, tag: &Tag) -> Option<Candidate> {
        let counts = &mut self.counts;
        counts.tags += 1;
        match self.policy.pass_names(tag) {
            Ok(version) => {
                return Some(Candidate {
                    tag: tag.clone(),
                    version,
                });
            }
            Err(NameStage::Include) => counts.include += 1,
            Err(NameStage::Exclude) => counts.exclude += 1,
            Err(NameStage::Version) => counts.version += 1,
            Err(NameStage::Prerelease) => counts.prerelease += 1,
            Err(NameStage::Variant) => counts.variant += 1,
        }
        None
    }

    /// Runs the stages that need times, with the times and the digest of the tag as far as they are known. Times that
    /// [`TagPolicy::needed_times`] names must have been looked up.
    ///
    /// # Errors
    /// If a time is unknown without which the policy cannot decide.
    pub fn admit(
        &mut self,
        candidate: Candidate,
        digest: Option<Digest>,
        times: &TagTimes,
    ) -> Result<(), UnknownTime> {
        let quarantine = self.quarantine(times)?;
        let is_young_enough = self.is_young_enough(times)?;
        let newest = self.policy.newest;
        let time = match newest.map(|newest| newest.by) {
            None | Some(NewestBy::Version) => None,
            Some(NewestBy::Pushed) => Some(times.pushed().ok_or(UnknownTime::Order)?),
            Some(NewestBy::Created) => times.created(),
        };
        let tag = RankedTag {
            time,
            version: candidate.version,
            tag: candidate.tag,
            digest,
            quarantine,
        };
        if let Some(until) = quarantine {
            self.counts.younger += 1;
            self.note_quarantine(&tag.tag, until);
        }
        let Some(is_young_enough) = is_young_enough else {
            self.counts.unknown += u64::from(quarantine.is_none());
            return Ok(());
        };
        if !is_young_enough {
            self.counts.older += u64::from(quarantine.is_none());
            return Ok(());
        }
        match newest {
            Some(newest) => {
                let group = self.group(&tag, newest.per);
                let count = newest.count.get();
                if self.policy.older_than.is_some() {
                    self.without_quarantine
                        .insert(group.clone(), tag.clone(), count);
                }
                if quarantine.is_none() {
                    self.selected.insert(group, tag, count);
                }
            }
            None if quarantine.is_some() => self.quarantined.push(tag),
            None => self.selected.all.push(tag),
        }
        self.counts.passed += u64::from(quarantine.is_none());
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
        self.selected.len() + self.without_quarantine.len() + self.quarantined.len()
    }

    /// Ends the pipeline.
    pub fn finish(self) -> PolicyResult {
        let selected = match self.policy.newest {
            Some(_) => self.selected.len() as u64,
            None => self.counts.passed,
        };
        let explanation = self.explanation(selected);
        let too_few = usize::try_from(selected).is_ok_and(|it| it < self.policy.at_least);
        let tags = match too_few {
            true => Vec::new(),
            false => self.selected.into_sorted(),
        };
        let held = self.without_quarantine.into_sorted();
        let quarantined = held.into_iter().chain(self.quarantined);
        PolicyResult {
            tags: tags.into_iter().map(RankedTag::selected).collect(),
            quarantined: quarantined.filter_map(RankedTag::held).collect(),
            explanation,
            too_few,
        }
    }

    /// Returns the end of the quarantine of a tag in quarantine. The inner `None` is an unknown age.
    fn quarantine(&self, times: &TagTimes) -> Result<Option<Option<SystemTime>>, UnknownTime> {
        let Some(limit) = self.policy.older_than else {
            return Ok(None);
        };
        let Some(start) = limit.quarantine_start(times) else {
            return match limit.by {
                AgeSource::Created => Ok(Some(None)),
                AgeSource::Auto => Err(UnknownTime::Either),
                AgeSource::Pushed => Err(UnknownTime::Pushed),
                AgeSource::FirstSeen => Err(UnknownTime::FirstSeen),
            };
        };
        let is_over = limit.is_reached(start, self.now);
        Ok((!is_over).then(|| limit.end(start)))
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

    fn group(&self, tag: &RankedTag, per: NewestPer) -> Group {
        let Some(version) = tag.version.as_ref().filter(|_| self.policy.uses_versions()) else {
            return Group::default();
        };
        let [major, minor, ..] = version.numbers();
        let variant = Some(natural::shape(version.variant()));
        match per {
            NewestPer::Repository => Group {
                variant,
                ..Group::default()
            },
            NewestPer::Major => Group {
                variant,
                major: Some(major),
                minor: None,
            },
            NewestPer::Minor => Group {
                variant,
                major: Some(major),
                minor: Some(minor),
            },
        }
    }

    fn explanation(&self, selected: u64) -> TagExplanation {
        let (policy, counts) = (&self.policy, &self.counts);
        let mut stages = Vec::new();
        let mut left = counts.tags - counts.include;
        if !policy.include.is_empty() {
            stages.push(TagStage::Include { left });
        }
        left -= counts.exclude;
        if !policy.exclude.is_empty() {
            stages.push(TagStage::Exclude { left });
        }
        left -= counts.version;
        match policy.semver {
            Some(_) => stages.push(TagStage::Semver { left }),
            None if policy.uses_versions() => stages.push(TagStage::Versions { left }),
            None => {}
        }
        let dropped = counts.prerelease;
        if dropped > 0 {
            stages.push(TagStage::Prereleases { dropped });
        }
        let dropped = counts.variant;
        if dropped > 0 {
            stages.push(TagStage::Variants { dropped });
        }
        stages.extend(policy.older_than.map(|limit| TagStage::Younger {
            dropped: counts.younger,
            age: limit.age,
            next: self.next.clone(),
        }));
        stages.extend(policy.newer_than.map(|limit| TagStage::Older {
            dropped: counts.older,
            unknown: counts.unknown,
            age: limit.age,
        }));
        stages.extend(policy.newest.map(|newest| TagStage::Newest {
            count: newest.count.get() as u64,
            by: newest.by,
            per: newest.per,
            left: selected,
        }));
        TagExplanation {
            tags: counts.tags,
            stages,
            selected,
        }
    }
}

impl HeldTag {
    /// Returns the reason for which the tag is skipped: `in quarantine until 2026-12-02 09:14 UTC`.
    pub fn reason(&self) -> String {
        let until = self.until.and_then(|it| jiff::Timestamp::try_from(it).ok());
        match until {
            Some(until) => until
                .strftime("in quarantine until %Y-%m-%d %H:%M UTC")
                .to_string(),
            None => "in quarantine: its age is unknown, since its config has no creation time"
                .to_owned(),
        }
    }
}

impl Kept {
    /// Adds a tag to a group of at most `count`. A tag that is added twice is kept once.
    fn insert(&mut self, group: Group, tag: RankedTag, count: usize) {
        let tags = self.groups.entry(group).or_default();
        let is_late = tags.len() >= count && tags.first().is_some_and(|oldest| tag < *oldest);
        if !is_late && tags.insert(tag) && tags.len() > count {
            tags.pop_first();
        }
    }
    fn len(&self) -> usize {
        self.all.len() + self.groups.values().map(BTreeSet::len).sum::<usize>()
    }
    /// Returns the tags of the groups, the newest first, and then all others in their order.
    fn into_sorted(self) -> Vec<RankedTag> {
        let mut tags: Vec<RankedTag> = self.groups.into_values().flatten().collect();
        tags.sort_unstable_by(|one, other| other.cmp(one));
        tags.extend(self.all);
        tags
    }
}

impl RankedTag {
    fn selected(self) -> SelectedTag {
        SelectedTag {
            tag: self.tag,
            digest: self.digest,
        }
    }
    fn held(self) -> Option<HeldTag> {
        let tag = self.tag;
        self.quarantine.map(|until| HeldTag { tag, until })
    }
}
