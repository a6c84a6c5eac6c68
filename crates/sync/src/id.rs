//! Ids of rules and images. They mean the same in every process and every run, so events carry them instead of rules.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use image_syncer_registry::{Digest, Tag, Target};
use serde::{Deserialize, Serialize};

use crate::Repository;

/// Identity of a rule: a hash of its name and its place. Written as 16 hex digits.
///
/// The id is the same in every run on every machine, as long as the source is written in the same way, in the same line
/// of a file with the same path. It does not depend on the destinations, on other rules, or on the order of the rules.
/// It changes if the rule moves to another line, which an insertion above it does as well, and if the path of the file
/// is written in another way.
///
/// No two rules of a run share an id: see [`with_distinct_ids`](crate::rule::with_distinct_ids).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RuleId(u64);

/// Error of a text that is not a [`RuleId`].
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not the id of a rule: it needs 16 lower-case hex digits")]
pub struct RuleIdError(String);

/// Number of hex digits of an id.
const DIGITS: usize = 16;

impl RuleId {
    /// Returns the id of a rule that is called `name` and was written in this line of a file.
    pub fn new(name: &str, place: Option<(&Path, usize)>) -> Self {
        Self::numbered(name, place, 0)
    }

    /// Returns the id of the rule `ordinal` among those with the same name and place.
    pub(crate) fn numbered(name: &str, place: Option<(&Path, usize)>, ordinal: u64) -> Self {
        let mut text = Vec::new();
        // The lengths keep the parts apart.
        let mut add = |part: &[u8]| {
            text.extend((part.len() as u64).to_be_bytes());
            text.extend(part);
        };
        add(name.as_bytes());
        if let Some((file, line)) = place {
            add(file.as_os_str().as_encoded_bytes());
            add(&(line as u64).to_be_bytes());
        }
        if ordinal > 0 {
            add(&ordinal.to_be_bytes());
        }
        let hash = Digest::sha256(&text).to_sha256().unwrap_or_default();
        let first = hash.first_chunk().copied().unwrap_or_default();
        Self(u64::from_be_bytes(first))
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0DIGITS$x}", self.0)
    }
}

impl FromStr for RuleId {
    type Err = RuleIdError;

    fn from_str(text: &str) -> Result<Self, RuleIdError> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let number = u64::from_str_radix(text, 16).ok();
        number
            .filter(|_| text.len() == DIGITS && text.bytes().all(is_digit))
            .map(Self)
            .ok_or_else(|| RuleIdError(text.chars().take(2 * DIGITS).collect()))
    }
}

impl From<RuleId> for String {
    fn from(id: RuleId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for RuleId {
    type Error = RuleIdError;

    fn try_from(text: String) -> Result<Self, RuleIdError> {
        text.parse()
    }
}

/// Identity of an image and one of its destinations in a run. The references are those of messages and reports.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ImageId {
    /// The rule of the image.
    pub rule: RuleId,
    /// The full reference at the source.
    pub source: Arc<str>,
    /// The full reference at the destination.
    pub destination: Arc<str>,
}

impl ImageId {
    /// Names the image `target` of the source of `rule`, and its `tag` at `destination`. Without a tag, the digest
    /// names it there, if it is known beforehand.
    pub fn new(
        rule: RuleId,
        source: &Repository,
        target: &Target,
        destination: &Repository,
        tag: Option<&Tag>,
    ) -> Self {
        let there = match (tag, target) {
            (Some(tag), _) => Some(Target::Tag(tag.clone())),
            (None, Target::Digest(_)) => Some(target.clone()),
            (None, Target::Tag(_)) => None,
        };
        Self {
            rule,
            source: full_reference(source, Some(target)).into(),
            destination: full_reference(destination, there.as_ref()).into(),
        }
    }
}

/// Returns the full reference of `target` in `repository`.
pub(crate) fn full_reference(repository: &Repository, target: Option<&Target>) -> String {
    match target {
        Some(Target::Tag(tag)) => format!("{repository}:{tag}"),
        Some(Target::Digest(digest)) => format!("{repository}@{digest}"),
        None => repository.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use std::collections::HashSet;

    use super::*;

    fn at(file: &str, line: usize) -> (&Path, usize) {
        (Path::new(file), line)
    }

    #[test]
    fn an_id_is_the_same_in_every_version_of_the_program() {
        for (place, id) in [
            (None, "55d11d99cb9d3498"),
            (Some(at("images.yaml", 3)), "da3cad80c06dcbd1"),
            (Some(at("images.yaml", 4)), "4add47782a2ca9cd"),
            (Some(at("./images.yaml", 3)), "82cfeb19cf4f1391"),
        ] {
            let found = RuleId::new("q.io/x:v1", place);
            assert_eq!(found.to_string(), id, "{place:?}");
        }
    }

    #[test]
    fn the_parts_of_an_id_are_kept_apart() {
        let ids = [
            RuleId::new("ab", Some(at("c", 1))),
            RuleId::new("a", Some(at("bc", 1))),
            RuleId::new("ab", None),
            RuleId::numbered("ab", None, 1),
            RuleId::numbered("ab", Some(at("c", 1)), 1),
        ];
        assert_eq!(HashSet::from(ids).len(), ids.len());
    }

    #[test]
    fn an_id_reads_as_it_is_written() {
        let id = RuleId(0x00ab_cdef_0123_4567);
        assert_eq!(id.to_string(), "00abcdef01234567");
        assert_eq!("00abcdef01234567".parse(), Ok(id));
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"00abcdef01234567\"");
        for wrong in [
            "",
            "abcdef01234567",
            "000abcdef01234567",
            "00ABCDEF01234567",
            "+0abcdef01234567",
            "00abcdef0123456g",
        ] {
            let error = wrong.parse::<RuleId>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("{wrong:?} is not the id of a rule: it needs 16 lower-case hex digits")
            );
        }
    }
}
