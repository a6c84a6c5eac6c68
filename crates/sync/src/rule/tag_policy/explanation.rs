//! Explanation of a selection: what each stage of a policy let through.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::rule::tag_policy::age::{QuarantinedTag, age_text};
use crate::rule::tag_policy::{NewestBy, NewestPer};

/// Explanation of the tags that a policy selected.
///
/// Displays as `312 tags; include 48; semver 12; 2 younger than 3 d (v1.31.4 until 2 Dec 09:14); newest 5 per minor:
/// 10`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TagExplanation {
    /// Number of the tags of the repository, without referrer tags.
    pub tags: u64,
    /// Stages of the policy, in their order.
    pub stages: Vec<TagStage>,
    /// Number of the selected tags.
    pub selected: u64,
}

/// Result of one stage of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TagStage {
    /// Patterns of which one must match.
    Include {
        /// Number of tags after the stage.
        left: u64,
    },
    /// Patterns of which none may match.
    Exclude {
        /// Number of tags after the stage.
        left: u64,
    },
    /// A range of versions.
    Semver {
        /// Number of tags after the stage.
        left: u64,
    },
    /// Tags that are versions.
    Versions {
        /// Number of tags after the stage.
        left: u64,
    },
    /// Prereleases, which are dropped.
    Prereleases {
        /// Number of dropped tags.
        dropped: u64,
    },
    /// Variants that no pattern matches.
    Variants {
        /// Number of dropped tags.
        dropped: u64,
    },
    /// A minimum age.
    Younger {
        /// Number of tags in quarantine.
        dropped: u64,
        /// The age.
        #[serde(rename = "age_ns", with = "crate::serde_time::nanoseconds")]
        age: Duration,
        /// The tag whose quarantine ends first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<QuarantinedTag>,
    },
    /// A maximum age.
    Older {
        /// Number of older tags.
        dropped: u64,
        /// Number of tags of unknown age, which are dropped as well.
        unknown: u64,
        /// The age.
        #[serde(rename = "age_ns", with = "crate::serde_time::nanoseconds")]
        age: Duration,
    },
    /// A number of newest tags.
    Newest {
        /// The number.
        count: u64,
        /// Order of the tags.
        by: NewestBy,
        /// Versions among which the tags are counted.
        per: NewestPer,
        /// Number of tags after the stage.
        left: u64,
    },
}

impl fmt::Display for TagExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.tags == 1 { "tag" } else { "tags" };
        write!(f, "{} {noun}", self.tags)?;
        self.stages
            .iter()
            .try_for_each(|stage| write!(f, "; {stage}"))
    }
}

impl fmt::Display for TagStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Include { left } => write!(f, "include {left}"),
            Self::Exclude { left } => write!(f, "exclude {left}"),
            Self::Semver { left } => write!(f, "semver {left}"),
            Self::Versions { left } => write!(f, "versions {left}"),
            Self::Prereleases { dropped: 1 } => f.write_str("1 prerelease"),
            Self::Prereleases { dropped } => write!(f, "{dropped} prereleases"),
            Self::Variants { dropped } => write!(f, "{dropped} of other variants"),
            Self::Younger { dropped, age, next } => {
                write!(f, "{dropped} younger than {}", age_text(*age))?;
                match next {
                    Some(next) => write!(f, " ({next})"),
                    None => Ok(()),
                }
            }
            Self::Older {
                dropped,
                unknown,
                age,
            } => {
                write!(f, "{dropped} older than {}", age_text(*age))?;
                match unknown {
                    0 => Ok(()),
                    unknown => write!(f, ", {unknown} of unknown age"),
                }
            }
            Self::Newest {
                count,
                by,
                per,
                left,
            } => {
                let (by, per) = (by.suffix(), per.suffix());
                write!(f, "newest {count}{by}{per}: {left}")
            }
        }
    }
}
