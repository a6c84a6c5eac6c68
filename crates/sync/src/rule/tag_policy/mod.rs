//! Tag policies: a pipeline of filters over the tags of a repository.
//!
//! The stages run in a fixed order: patterns, versions, prereleases, variants, minimum age, maximum age, newest,
//! minimum count ([`TagPipeline`]).

mod age;
mod candidate;
mod counts;
mod display;
mod explanation;
mod names;
mod natural;
mod pipeline;
#[cfg(test)]
mod pipeline_tests;
#[cfg(test)]
mod property_tests;
mod range;
mod ranking;
mod version;
#[cfg(test)]
mod version_tests;

use std::num::NonZeroUsize;
use std::time::SystemTime;

use image_syncer_registry::Tag;
use serde::{Deserialize, Serialize};

use crate::rule::{RuleError, TagPattern};

pub use age::{AgeLimit, AgeSource, NeededTimes, QuarantinedTag, TagTimes, parse_age};
pub use candidate::{Candidate, HeldTag, SelectedTag};
pub use explanation::{TagExplanation, TagStage};
pub use pipeline::{PolicyResult, TagPipeline, UnknownTime};
pub use range::VersionRange;
pub use version::TagVersion;

/// Policy that selects tags of a repository. The default selects every tag.
///
/// # Versions
///
/// `prerelease` and `variants` have an effect only if the policy uses versions: with `semver`, with
/// [`NewestBy::Version`], with [`NewestPer::Major`] or [`NewestPer::Minor`], or with patterns in `variants`. Then tags
/// without a version are dropped, and an empty `variants` selects versions without a variant. In any other policy a tag
/// need not be a version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TagPolicy {
    /// Patterns of which one must match; empty for every tag.
    pub include: Vec<TagPattern>,
    /// Patterns of which none may match.
    pub exclude: Vec<TagPattern>,
    /// Range of versions.
    pub semver: Option<VersionRange>,
    /// True if prereleases are selected.
    pub prerelease: bool,
    /// Patterns for variants, as written; empty if the file has none.
    pub variants: Vec<VariantPattern>,
    /// Minimum age: younger tags are in quarantine.
    pub older_than: Option<AgeLimit>,
    /// Maximum age.
    pub newer_than: Option<AgeLimit>,
    /// Number of newest tags.
    pub newest: Option<Newest>,
    /// Minimum count of selected tags. With fewer, the rule fails for the repository, and nothing is copied.
    pub at_least: usize,
}

/// Pattern for variants of versions. The empty pattern matches versions without a variant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VariantPattern(Option<TagPattern>);

/// Number of newest tags.
///
/// Variants are counted separately. Variants that differ in numbers only are one (`alpine3.9` and `alpine3.20`,
/// `debian-12-r9` and `debian-12-r19`): of equal versions, the one with the greater numbers is newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Newest {
    /// The number.
    pub count: NonZeroUsize,
    /// Order of the tags.
    pub by: NewestBy,
    /// Versions among which the tags are counted.
    pub per: NewestPer,
}

/// Order of tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NewestBy {
    /// By version.
    #[default]
    Version,
    /// By the push time of the registry's listing.
    Pushed,
    /// By the creation time of the image.
    Created,
}

/// Versions among which the newest tags are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NewestPer {
    /// All of the repository.
    #[default]
    Repository,
    /// Tags with the same first number.
    Major,
    /// Tags with the same first two numbers.
    Minor,
}

impl TagPolicy {
    /// Returns true if tags must be versions.
    pub fn uses_versions(&self) -> bool {
        let newest = self.newest.is_some_and(|newest| {
            newest.by == NewestBy::Version || newest.per != NewestPer::Repository
        });
        newest || self.semver.is_some() || !self.variants.is_empty()
    }
    /// Returns true if a listing with digests and push times serves the policy better than one with names only.
    pub fn uses_times(&self) -> bool {
        let by_time = self.newest.is_some_and(|it| it.by != NewestBy::Version);
        by_time || self.older_than.is_some() || self.newer_than.is_some()
    }
    /// Returns true if the patterns and the rules for versions select `tag`. Ages, order and count may drop it.
    pub fn matches_name(&self, tag: &Tag) -> bool {
        self.pass_names(tag).is_ok()
    }
    /// Returns true if nothing but patterns selects tags.
    pub fn is_pattern_only(&self) -> bool {
        !self.uses_versions() && !self.uses_times() && self.newest.is_none() && self.at_least == 0
    }

    /// Returns the times of a tag that must be looked up, beside those that are known. The result may grow smaller once
    /// the first-seen time is known.
    pub fn needed_times(&self, known: &TagTimes, now: SystemTime) -> NeededTimes {
        let uses = |limit: Option<AgeLimit>, by: AgeSource| limit.is_some_and(|it| it.by == by);
        let (older, newer) = (self.older_than, self.newer_than);
        let unlisted = known.pushed().is_none();
        let auto_newer = newer.filter(|it| unlisted && it.by == AgeSource::Auto);
        // A tag that was seen too long ago is too old, whenever it was created.
        let is_old = |limit: AgeLimit| {
            known
                .first_seen()
                .is_some_and(|it| limit.is_reached(it, now))
        };
        let first_seen = unlisted && uses(older, AgeSource::Auto)
            || auto_newer.is_some()
            || uses(older, AgeSource::FirstSeen)
            || uses(newer, AgeSource::FirstSeen);
        let created = self.newest.is_some_and(|it| it.by == NewestBy::Created)
            || auto_newer.is_some_and(|limit| !is_old(limit))
            || uses(older, AgeSource::Created)
            || uses(newer, AgeSource::Created);
        NeededTimes {
            first_seen: first_seen && known.first_seen().is_none(),
            created: created && known.created().is_none(),
        }
    }
}

impl VariantPattern {
    /// Parses a pattern: a glob, an expression between slashes, or nothing for versions without a variant.
    ///
    /// # Errors
    /// For an invalid pattern.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        match text {
            "" => Ok(Self(None)),
            _ => Ok(Self(Some(TagPattern::parse(text)?))),
        }
    }
    fn matches(&self, variant: &str) -> bool {
        match &self.0 {
            None => variant.is_empty(),
            Some(pattern) => pattern.matches_text(variant),
        }
    }
}

impl NewestBy {
    /// Returns the order in a text about the newest tags; empty for the default.
    fn suffix(self) -> &'static str {
        match self {
            Self::Version => "",
            Self::Pushed => " pushed",
            Self::Created => " created",
        }
    }
    /// Parses the name, as in files.
    ///
    /// # Errors
    /// For any other text.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        match text {
            "version" => Ok(Self::Version),
            "pushed" => Ok(Self::Pushed),
            "created" => Ok(Self::Created),
            _ => Err(RuleError(format!(
                "{text} is not an order of tags. Write version, pushed or created."
            ))),
        }
    }
}

impl NewestPer {
    /// Returns the group in a text about the newest tags; empty for the default.
    fn suffix(self) -> &'static str {
        match self {
            Self::Repository => "",
            Self::Major => " per major",
            Self::Minor => " per minor",
        }
    }
    /// Parses the name, as in files.
    ///
    /// # Errors
    /// For any other text.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        match text {
            "repository" => Ok(Self::Repository),
            "major" => Ok(Self::Major),
            "minor" => Ok(Self::Minor),
            _ => Err(RuleError(format!(
                "{text} is not a group of tags. Write repository, major or minor."
            ))),
        }
    }
}
