//! A run of the service, as plain data: for the API, the history and the pages.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use image_syncer_sync::report::Summary;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Identity of a run. Ids are ordered by time, as texts as well: 11 characters of Crockford's base 32.
///
/// The number is the time at which the run was requested, in milliseconds since 1970, times 1,000, plus a counter. So it
/// fits in 53 bits, and in an `INTEGER` of `SQLite`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(into = "String", try_from = "String")]
#[cfg_attr(test, schema(value_type = String, min_length = 11, max_length = 11, pattern = "^[0-9a-hjkmnp-tv-z]{11}$"))]
pub(crate) struct RunId(u64);

/// Error of a text that is not a [`RunId`].
#[derive(Debug, thiserror::Error)]
#[error("this is not the id of a run: it has 11 characters, such as 01jx4k2v9c0")]
pub(crate) struct RunIdError;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: usize = 11;
const BITS: u64 = 53;

impl RunId {
    /// Returns the id of a run that is requested now, after the run `last`.
    pub(crate) fn after(now: Timestamp, last: Option<Self>) -> Self {
        let now = u64::try_from(now.as_millisecond()).unwrap_or_default();
        let first = now.saturating_mul(1_000) & ((1 << BITS) - 1);
        Self(first.max(last.map_or(0, |last| last.0 + 1)))
    }

    /// Returns the id with this number in the history.
    pub(crate) fn from_number(number: i64) -> Option<Self> {
        let number = u64::try_from(number).ok()?;
        (number < 1 << BITS).then_some(Self(number))
    }

    /// Returns the number for the history.
    pub(crate) fn number(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for place in (0..LENGTH).rev() {
            let digit = usize::try_from(self.0 >> (5 * place) & 31).unwrap_or_default();
            let letter = ALPHABET.get(digit).copied().unwrap_or(b'0');
            f.write_char(char::from(letter))?;
        }
        Ok(())
    }
}

impl FromStr for RunId {
    type Err = RunIdError;

    fn from_str(text: &str) -> Result<Self, RunIdError> {
        if text.len() != LENGTH {
            return Err(RunIdError);
        }
        let mut number = 0_u64;
        for byte in text.bytes() {
            let digit = ALPHABET.iter().position(|letter| *letter == byte);
            let digit = digit.and_then(|digit| u64::try_from(digit).ok());
            number = number << 5 | digit.ok_or(RunIdError)?;
        }
        (number < 1 << BITS)
            .then_some(Self(number))
            .ok_or(RunIdError)
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for RunId {
    type Error = RunIdError;

    fn try_from(text: String) -> Result<Self, RunIdError> {
        text.parse()
    }
}

/// Reason for a run.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub(crate) enum Cause {
    /// The schedule of its rule.
    Schedule,
    /// A request of the API or the page.
    Api,
    /// A hook of a registry.
    Hook,
    /// The start of the service.
    Start,
}

/// State of a run.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::VariantArray,
)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub(crate) enum RunState {
    /// It waits for another run, of its rule or of others.
    Queued,
    /// It is in progress.
    Running,
    /// Everything is at its destination, or the comparison ended.
    Succeeded,
    /// An image or the rule failed.
    Failed,
    /// A person stopped it.
    Cancelled,
    /// The service ended before the run did.
    Interrupted,
}

impl RunState {
    /// Returns true if the run will not change any more.
    pub(crate) fn is_over(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// Purpose of a run.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub(crate) enum RunPurpose {
    /// Copies what is missing.
    #[default]
    Sync,
    /// Compares sources and destinations, and writes nothing.
    Check,
}

/// Part of a rule that a run copies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(default)]
pub(crate) struct Scope {
    /// Source repository; `None` for all of the rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) repository: Option<String>,
    /// Tags; empty for all of the rule.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Vec<String>,
    /// True to push images again that exist (`--force`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) force: bool,
    /// True to check everything below the root of existing images (`--verify`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) verify: bool,
    /// Tags whose push a hook reported, as `registry/path:tag`, with their digests where the registry stated them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) pushed: BTreeMap<String, Option<String>>,
}

impl Scope {
    /// Returns true for the whole rule.
    pub(crate) fn is_whole(&self) -> bool {
        self.repository.is_none() && self.tags.is_empty()
    }

    /// Returns true if a run of this scope copies all of `part`.
    pub(crate) fn includes(&self, part: &Self) -> bool {
        let has_repository = self.repository.is_none() || self.repository == part.repository;
        let has_tags = self.tags.is_empty()
            || (!part.tags.is_empty() && part.tags.iter().all(|tag| self.tags.contains(tag)));
        // Tags without a repository are those of the only one.
        has_repository && has_tags
    }
}

/// Numbers of a run. Images count once for each destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct RunCounts {
    /// Known images.
    pub(crate) images: u64,
    /// Images that were copied.
    pub(crate) copied: u64,
    /// Images that existed at the destination.
    pub(crate) unchanged: u64,
    /// Images that differ, in a comparison.
    pub(crate) different: u64,
    /// Images that were not to be copied.
    pub(crate) skipped: u64,
    /// Images, repositories and rules that failed.
    pub(crate) failed: u64,
    /// Images that were not finished when the run was stopped.
    pub(crate) interrupted: u64,
    /// Bytes of blobs that were read from sources.
    pub(crate) fetched_bytes: u64,
    /// Bytes of blobs that were sent to destinations.
    pub(crate) sent_bytes: u64,
    /// Bytes of blobs that were not sent: present, mounted, or uploaded by another image.
    pub(crate) saved_bytes: u64,
}

impl RunCounts {
    /// Returns the numbers of `summary`, with these bytes read and sent.
    pub(crate) fn new(summary: &Summary, fetched: u64, sent: u64) -> Self {
        let volume = &summary.volume;
        Self {
            images: summary.discovered.max(summary.finished()),
            copied: summary.copied,
            unchanged: summary.unchanged,
            different: summary.planned,
            skipped: summary.skipped,
            failed: summary.failures_given(),
            interrupted: summary.interrupted + summary.interrupted_sources(),
            fetched_bytes: fetched,
            sent_bytes: sent,
            saved_bytes: volume.mounted_bytes + volume.present_bytes + volume.shared_bytes,
        }
    }

    /// Returns the number of images that ended.
    pub(crate) fn ended(&self) -> u64 {
        self.copied
            + self.unchanged
            + self.different
            + self.skipped
            + self.failed
            + self.interrupted
    }
}

/// A run of one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct Run {
    /// Its id.
    pub(crate) id: RunId,
    /// Name of the rule.
    pub(crate) rule: Arc<str>,
    /// Reason for it.
    pub(crate) cause: Cause,
    /// Its purpose.
    pub(crate) purpose: RunPurpose,
    /// Part of the rule.
    pub(crate) scope: Scope,
    /// Its state.
    pub(crate) state: RunState,
    /// Time of the request.
    pub(crate) requested: Timestamp,
    /// Time of the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) started: Option<Timestamp>,
    /// Time of the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<Timestamp>,
    /// Its numbers, so far.
    pub(crate) counts: RunCounts,
    /// The first failure, or the reason why the run could not be carried out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<String>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(milliseconds).unwrap()
    }

    #[test]
    fn ids_are_ordered_by_time_as_numbers_and_as_texts() {
        let first = RunId::after(at(1_796_076_000_123), None);
        let second = RunId::after(at(1_796_076_000_123), Some(first));
        let earlier_clock = RunId::after(at(5), Some(second));
        let later = RunId::after(at(1_796_076_000_124), Some(second));
        assert!(first < second && second < earlier_clock && earlier_clock < later);
        let texts: Vec<String> = [first, second, earlier_clock, later]
            .map(String::from)
            .into();
        assert!(texts.is_sorted(), "{texts:?}");
        for (id, text) in [first, second, earlier_clock, later].iter().zip(&texts) {
            assert_eq!(text.len(), LENGTH);
            assert_eq!(text.parse::<RunId>().unwrap(), *id);
            assert_eq!(RunId::from_number(id.number()), Some(*id));
        }
    }

    #[test]
    fn other_texts_are_no_ids() {
        for text in [
            "",
            "0",
            "zzzzzzzzzzz",
            "01JX4K2V9C0",
            "01jx4k2v9cu",
            "../../../etc",
        ] {
            assert!(text.parse::<RunId>().is_err(), "{text}");
        }
        assert_eq!(RunId::from_number(-1), None);
    }
}
