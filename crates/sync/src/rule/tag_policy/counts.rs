//! Counters of the stages of a pipeline.

use crate::rule::tag_policy::TagPolicy;
use crate::rule::tag_policy::age::QuarantinedTag;
use crate::rule::tag_policy::explanation::{TagExplanation, TagStage};
use crate::rule::tag_policy::names::NameStage;

/// Number of all tags, and of those that each stage dropped.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) tags: u64,
    include: u64,
    exclude: u64,
    version: u64,
    prerelease: u64,
    variant: u64,
    pub(super) younger: u64,
    pub(super) older: u64,
    /// Tags that a maximum age dropped since their age is unknown.
    pub(super) unknown: u64,
    /// Tags that passed all stages before `newest`.
    pub(super) passed: u64,
}

impl Counts {
    /// Counts a tag that `stage` dropped.
    pub(super) fn drop_at(&mut self, stage: NameStage) {
        *match stage {
            NameStage::Include => &mut self.include,
            NameStage::Exclude => &mut self.exclude,
            NameStage::Version => &mut self.version,
            NameStage::Prerelease => &mut self.prerelease,
            NameStage::Variant => &mut self.variant,
        } += 1;
    }

    /// Returns the explanation of a selection. `next` is the tag whose quarantine ends first.
    pub(super) fn explain(
        &self,
        policy: &TagPolicy,
        selected: u64,
        next: Option<QuarantinedTag>,
    ) -> TagExplanation {
        let mut stages = self.explain_names(policy);
        stages.extend(policy.older_than.map(|limit| TagStage::Younger {
            dropped: self.younger,
            age: limit.age,
            next,
        }));
        stages.extend(policy.newer_than.map(|limit| TagStage::Older {
            dropped: self.older,
            unknown: self.unknown,
            age: limit.age,
        }));
        stages.extend(policy.newest.map(|newest| TagStage::Newest {
            count: newest.count.get() as u64,
            by: newest.by,
            per: newest.per,
            left: selected,
        }));
        TagExplanation {
            tags: self.tags,
            stages,
            selected,
        }
    }

    /// Returns the stages for names. Prereleases and variants are left out if none was dropped.
    fn explain_names(&self, policy: &TagPolicy) -> Vec<TagStage> {
        let mut stages = Vec::new();
        let mut left = self.tags - self.include;
        if !policy.include.is_empty() {
            stages.push(TagStage::Include { left });
        }
        left -= self.exclude;
        if !policy.exclude.is_empty() {
            stages.push(TagStage::Exclude { left });
        }
        left -= self.version;
        match policy.semver {
            Some(_) => stages.push(TagStage::Semver { left }),
            None if policy.uses_versions() => stages.push(TagStage::Versions { left }),
            None => {}
        }
        let dropped = self.prerelease;
        if dropped > 0 {
            stages.push(TagStage::Prereleases { dropped });
        }
        let dropped = self.variant;
        if dropped > 0 {
            stages.push(TagStage::Variants { dropped });
        }
        stages
    }
}
