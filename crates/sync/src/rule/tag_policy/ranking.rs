//! Ranks of tags, and the tags that a pipeline keeps.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::time::SystemTime;

use crate::rule::tag_policy::candidate::{Candidate, HeldTag, SelectedTag};
use crate::rule::tag_policy::{NewestPer, TagVersion, natural};

/// Tag with its rank: a newer tag is greater.
#[derive(Clone, Debug)]
pub(super) struct RankedTag {
    /// Time by which the tags are ordered; `None` if the version orders them.
    pub(super) time: Option<SystemTime>,
    pub(super) candidate: Candidate,
    /// End of the quarantine, for a tag in quarantine.
    pub(super) quarantine: Option<QuarantineEnd>,
}

/// End of a quarantine; `None` if the age of the tag is unknown.
#[derive(Clone, Copy, Debug)]
pub(super) struct QuarantineEnd(pub(super) Option<SystemTime>);

/// Tags among which the newest are counted.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Group {
    /// The variant, without the values of its numbers.
    variant: Option<String>,
    major: Option<u64>,
    minor: Option<u64>,
}

/// Tags that are kept.
#[derive(Default)]
pub(super) struct Kept {
    groups: HashMap<Group, BTreeSet<RankedTag>>,
    /// Tags without a limit.
    pub(super) all: Vec<RankedTag>,
}

impl Ord for RankedTag {
    fn cmp(&self, other: &Self) -> Ordering {
        let (one, two) = (&self.candidate, &other.candidate);
        self.time
            .cmp(&other.time)
            .then_with(|| one.version.cmp(&two.version))
            .then_with(|| one.tag.cmp(&two.tag))
    }
}

impl PartialOrd for RankedTag {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for RankedTag {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for RankedTag {}

impl RankedTag {
    pub(super) fn selected(self) -> SelectedTag {
        SelectedTag {
            tag: self.candidate.tag,
            digest: self.candidate.digest,
        }
    }
    pub(super) fn held(self) -> Option<HeldTag> {
        let tag = self.candidate.tag;
        self.quarantine
            .map(|QuarantineEnd(until)| HeldTag { tag, until })
    }
}

impl Group {
    /// Returns the group of a version.
    pub(super) fn new(version: &TagVersion, per: NewestPer) -> Self {
        let [major, minor, ..] = version.numbers();
        let (major, minor) = match per {
            NewestPer::Repository => (None, None),
            NewestPer::Major => (Some(major), None),
            NewestPer::Minor => (Some(major), Some(minor)),
        };
        Self {
            variant: Some(natural::shape(version.variant())),
            major,
            minor,
        }
    }
}

impl Kept {
    /// Adds a tag to a group of at most `count`. A tag that is added twice is kept once.
    pub(super) fn insert(&mut self, group: Group, tag: RankedTag, count: usize) {
        let tags = self.groups.entry(group).or_default();
        let is_late = tags.len() >= count && tags.first().is_some_and(|oldest| tag < *oldest);
        if !is_late && tags.insert(tag) && tags.len() > count {
            tags.pop_first();
        }
    }
    /// Removes and returns the newest tags of those groups that have fewer than `count` tags in `selected`: as many as
    /// they lack, and at most `most`. Drops all tags of other groups.
    pub(super) fn remove_needed(
        &mut self,
        selected: &Self,
        count: usize,
        most: usize,
    ) -> Vec<RankedTag> {
        let mut needed = Vec::new();
        self.groups.retain(|group, tags| {
            let has = selected.groups.get(group).map_or(0, BTreeSet::len);
            let lacks = count.saturating_sub(has);
            for _ in 0..lacks.min(most.saturating_sub(needed.len())) {
                needed.extend(tags.pop_last());
            }
            lacks > 0 && !tags.is_empty()
        });
        needed
    }
    /// Returns the number of tags.
    pub(super) fn len(&self) -> usize {
        self.all.len() + self.groups.values().map(BTreeSet::len).sum::<usize>()
    }
    /// Returns the tags of the groups, the newest first, and then all others in their order.
    pub(super) fn into_sorted(self) -> Vec<RankedTag> {
        let mut tags: Vec<RankedTag> = self.groups.into_values().flatten().collect();
        tags.sort_unstable_by(|one, other| other.cmp(one));
        tags.extend(self.all);
        tags
    }
}
