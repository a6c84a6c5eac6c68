//! Policy for tags that exist at a destination with another digest.

use std::fmt;

use image_syncer_registry::{Digest, Tag};

use crate::rule::TagPattern;

/// Policy for tags that exist at a destination with another digest. The first pattern that matches the tag at the
/// destination decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConflictPolicy {
    /// Patterns and their actions, in order.
    pub patterns: Vec<(TagPattern, ConflictAction)>,
    /// Action for all other tags.
    pub otherwise: ConflictAction,
}

/// Action for a tag that exists with another digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConflictAction {
    /// The tag is moved to the new image.
    #[default]
    Overwrite,
    /// The tag stays, and the image is skipped.
    Skip,
    /// The tag stays, and the image fails.
    Fail,
}

/// Decision about an image whose tag was looked up at its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConflictDecision {
    /// The tag may be written.
    Write,
    /// The tag stays, and the image is skipped.
    Skip,
    /// The tag stays, and the image fails.
    Fail,
}

impl ConflictPolicy {
    /// Returns the action for `tag`, the tag at the destination.
    pub fn action(&self, tag: &Tag) -> ConflictAction {
        let mut patterns = self.patterns.iter();
        let first = patterns.find(|(pattern, _)| pattern.matches(tag));
        first.map_or(self.otherwise, |(_, action)| *action)
    }
    /// Returns true if `tag` must not be written before it was looked up.
    pub(crate) fn keeps(&self, tag: &Tag) -> bool {
        self.action(tag) != ConflictAction::Overwrite
    }
    /// Returns true if some tags may be written without a look-up.
    pub(crate) fn may_overwrite(&self) -> bool {
        let overwrites = |action: ConflictAction| action == ConflictAction::Overwrite;
        overwrites(self.otherwise) || self.patterns.iter().any(|(_, action)| overwrites(*action))
    }
}

/// Sets one action for all tags.
impl From<ConflictAction> for ConflictPolicy {
    fn from(otherwise: ConflictAction) -> Self {
        Self {
            patterns: Vec::new(),
            otherwise,
        }
    }
}

impl ConflictAction {
    /// Returns the decision for a tag that exists with the digest `there`, or not at all, and would get `wanted`.
    pub(crate) fn decide(self, there: Option<&Digest>, wanted: &Digest) -> ConflictDecision {
        match self {
            _ if there.is_none_or(|there| there == wanted) => ConflictDecision::Write,
            Self::Overwrite => ConflictDecision::Write,
            Self::Skip => ConflictDecision::Skip,
            Self::Fail => ConflictDecision::Fail,
        }
    }
}

/// Writes the action of all tags, or each pattern with its action: `v* fail, others overwrite`.
impl fmt::Display for ConflictPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (pattern, action) in &self.patterns {
            write!(f, "{pattern} {action}, ")?;
        }
        let others = if self.patterns.is_empty() {
            ""
        } else {
            "others "
        };
        write!(f, "{others}{}", self.otherwise)
    }
}

/// Writes the name of the action, as in flags and files.
impl fmt::Display for ConflictAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overwrite => "overwrite",
            Self::Skip => "skip",
            Self::Fail => "fail",
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn tag(text: &str) -> Tag {
        Tag::parse(text).unwrap()
    }

    #[test]
    fn only_another_digest_is_a_conflict() {
        use ConflictAction::{Fail, Overwrite, Skip};
        let (wanted, other) = (Digest::sha256(b"wanted"), Digest::sha256(b"other"));
        let table = [
            (Overwrite, None, ConflictDecision::Write),
            (Overwrite, Some(&wanted), ConflictDecision::Write),
            (Overwrite, Some(&other), ConflictDecision::Write),
            (Skip, None, ConflictDecision::Write),
            (Skip, Some(&wanted), ConflictDecision::Write),
            (Skip, Some(&other), ConflictDecision::Skip),
            (Fail, None, ConflictDecision::Write),
            (Fail, Some(&wanted), ConflictDecision::Write),
            (Fail, Some(&other), ConflictDecision::Fail),
        ];
        for (action, there, decision) in table {
            assert_eq!(
                action.decide(there, &wanted),
                decision,
                "{action} {there:?}"
            );
        }
    }

    #[test]
    fn the_first_matching_pattern_decides() {
        let pattern = |text: &str, action| (TagPattern::parse(text).unwrap(), action);
        let policy = ConflictPolicy {
            patterns: vec![
                pattern("v1.*", ConflictAction::Fail),
                pattern("/^v/", ConflictAction::Skip),
                pattern("v2", ConflictAction::Fail),
            ],
            otherwise: ConflictAction::Overwrite,
        };
        let expected = [
            ("v1.0", ConflictAction::Fail),
            ("v2", ConflictAction::Skip),
            ("latest", ConflictAction::Overwrite),
        ];
        for (name, action) in expected {
            assert_eq!(policy.action(&tag(name)), action, "{name}");
            assert_eq!(
                policy.keeps(&tag(name)),
                action != ConflictAction::Overwrite
            );
        }
        assert!(policy.may_overwrite());
        assert!(!ConflictPolicy::from(ConflictAction::Skip).may_overwrite());
        assert!(ConflictPolicy::default().may_overwrite());
    }
}
