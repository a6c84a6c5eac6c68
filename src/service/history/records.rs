//! Rows of the history, as plain data for the API, the pages and the command.

use std::str::FromStr;
use std::sync::Arc;

use image_syncer_registry::Digest;
use jiff::Timestamp;
use serde::Serialize;

use crate::service::run::{RunId, RunState};

/// Outcome of an image that was not unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::Display, strum::EnumString)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub(crate) enum ImageOutcome {
    /// It was copied.
    Copied,
    /// It differs, in a comparison.
    Different,
    /// It was not to be copied.
    Skipped,
    /// It failed; or its repository or rule could not be listed.
    Failed,
    /// It was not finished when the run was stopped.
    Interrupted,
}

/// Difference that a comparison found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::Display, strum::EnumString)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub(crate) enum ChangeKind {
    /// The tag does not exist at the destination.
    New,
    /// The tag has another digest.
    Moved,
    /// Referrers are missing.
    Referrers,
    /// Parts below the image are missing, or it would be pushed again.
    Again,
}

/// An image of a run, or a list that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct ImageRecord {
    /// Its number in the run, in the order of the ends.
    pub(crate) number: i64,
    /// Full reference at the source; the repository or patterns of a list that failed.
    pub(crate) source: String,
    /// Full reference at the destination; `None` for a list that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) destination: Option<String>,
    /// Its outcome.
    pub(crate) outcome: ImageOutcome,
    /// Digest that the destination has, or would have.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(value_type = Option<String>))]
    pub(crate) digest: Option<Digest>,
    /// Digest that the tag had before, or has until the image is copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(value_type = Option<String>))]
    pub(crate) replaced: Option<Digest>,
    /// Bytes of blobs that were sent.
    pub(crate) bytes: u64,
    /// Difference that a comparison found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) change: Option<ChangeKind>,
    /// Side, cause and host of a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<FailureKey>,
    /// Reason of a failure, or for skipping the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Remedy of a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
    /// Time since the start of the image, in milliseconds.
    pub(crate) elapsed_ms: u64,
}

/// Group of a failure.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct FailureKey {
    /// `source`, `destination` or `local`.
    pub(crate) side: String,
    /// Name of the cause.
    pub(crate) cause: String,
    /// Host that failed; empty if none was involved.
    pub(crate) host: String,
}

/// Failures of a run with one side, cause and host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct FailureGroup {
    /// Side, cause and host.
    #[serde(flatten)]
    pub(crate) key: FailureKey,
    /// Number of failures.
    pub(crate) count: u64,
    /// Remedy, of the first failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
    /// The first failures.
    pub(crate) examples: Vec<ImageRecord>,
}

/// Filter of runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunFilter {
    /// Names of rules; empty for all.
    pub(crate) rules: Vec<Arc<str>>,
    /// State.
    pub(crate) state: Option<RunState>,
    /// Only runs before this one.
    pub(crate) before: Option<RunId>,
    /// Maximum number of runs.
    pub(crate) limit: usize,
}

/// Filter of the images of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct ImageFilter {
    /// Outcome.
    pub(crate) outcome: Option<ImageOutcome>,
    /// Part of the reference at the source or destination, without regard to case.
    pub(crate) text: Option<String>,
    /// Only images after this number.
    pub(crate) after: Option<i64>,
    /// Maximum number of images.
    pub(crate) limit: usize,
}

/// Images of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct ImagePage {
    /// The images, in the order of their ends.
    pub(crate) images: Vec<ImageRecord>,
    /// Number of images that ended faster than they could be written, and are missing here.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) lost: u64,
    /// Value of `after` for the next page; `None` at the end. A page of a search may have few images, and a next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<i64>,
}

/// State of a tag at a destination, compared with its source.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    strum::Display,
    strum::EnumString,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub(crate) enum TagState {
    /// The destination has the image of the source.
    Same,
    /// The destination does not have the tag.
    Missing,
    /// The destination has another image.
    Moved,
    /// The destination has the image, and lacks referrers or parts of it.
    Incomplete,
    /// The last comparison or copy failed.
    Failed,
    /// The rule does not select the tag any more, or its source does not have it any more.
    Extra,
}

/// A tag at a destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct TagRecord {
    /// Full reference at the destination.
    pub(crate) destination: String,
    /// Full reference at the source.
    pub(crate) source: String,
    /// Name of the rule.
    pub(crate) rule: String,
    /// Its state.
    pub(crate) state: TagState,
    /// Time since which it has this state.
    pub(crate) since: Timestamp,
    /// Digest that the source has, or the platform filter makes of it, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expected: Option<Digest>,
    /// Digest that the destination has, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<Digest>,
    /// Time since which the destination has it.
    pub(crate) at: Timestamp,
    /// Run that copied or found it.
    pub(crate) run: RunId,
    /// True if that run copied it; false if it was there.
    pub(crate) copied: bool,
    /// Last time at which a run compared it.
    pub(crate) seen: Timestamp,
}

/// A digest that a tag had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct PastTag {
    /// Full reference at the destination.
    pub(crate) destination: String,
    /// The digest.
    pub(crate) digest: Digest,
    /// Time since which the destination had it.
    pub(crate) at: Timestamp,
    /// Run that copied or found it.
    pub(crate) run: RunId,
    /// True if that run copied it; false if it was there.
    pub(crate) copied: bool,
    /// Time at which a run copied or found another one, or none.
    pub(crate) until: Timestamp,
}

/// Tags to find.
#[derive(Clone, Debug)]
pub(crate) enum TagQuery {
    /// Tags that name this digest at a destination.
    Digest(Digest),
    /// The tag with this full reference at a destination.
    Destination(String),
    /// Tags that are copied from this full reference.
    Source(String),
}

/// Position in a list of tags.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub(crate) struct TagCursor {
    /// Id of the last tag, or of its repository.
    pub(super) id: i64,
    /// Last part of the reference.
    pub(super) target: String,
}

/// Error of a text that is not a [`TagCursor`].
#[derive(Debug, thiserror::Error)]
#[error("this is not the end of a page of tags")]
pub(crate) struct TagCursorError;

impl From<TagCursor> for String {
    fn from(cursor: TagCursor) -> Self {
        format!("{}.{}", cursor.id, cursor.target)
    }
}

impl FromStr for TagCursor {
    type Err = TagCursorError;

    fn from_str(text: &str) -> Result<Self, TagCursorError> {
        let (id, target) = text.split_once('.').ok_or(TagCursorError)?;
        let id = id.parse().map_err(|_| TagCursorError)?;
        Ok(Self {
            id,
            target: target.to_owned(),
        })
    }
}

/// Tags of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct TagPage {
    /// The tags, by name.
    pub(crate) tags: Vec<TagRecord>,
    /// Value of `after` for the next page; `None` at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<TagCursor>,
}

/// A tag of a source, with its destinations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct SourceTag {
    /// Full reference at the source.
    pub(crate) source: String,
    /// Its destinations.
    pub(crate) destinations: Vec<TagRecord>,
}

/// Tags of a source that differ from a destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct DifferencePage {
    /// The tags: those of a repository together, by name.
    pub(crate) tags: Vec<SourceTag>,
    /// Value of `after` for the next page; `None` at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<TagCursor>,
}

/// Numbers of the tags of a repository of a rule at its destinations, by state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct TagCounts {
    /// Tags with the image of the source.
    pub(crate) same: u64,
    /// Tags that the destination does not have.
    pub(crate) missing: u64,
    /// Tags with another image.
    pub(crate) moved: u64,
    /// Tags without some referrers or parts.
    pub(crate) incomplete: u64,
    /// Tags that failed last.
    pub(crate) failed: u64,
    /// Tags that the rule does not select any more.
    pub(crate) extra: u64,
}

impl TagCounts {
    /// Adds tags of a state.
    pub(super) fn add(&mut self, state: TagState, number: u64) {
        *match state {
            TagState::Same => &mut self.same,
            TagState::Missing => &mut self.missing,
            TagState::Moved => &mut self.moved,
            TagState::Incomplete => &mut self.incomplete,
            TagState::Failed => &mut self.failed,
            TagState::Extra => &mut self.extra,
        } += number;
    }

    /// Returns the number of tags that are not the same.
    pub(crate) fn different(&self) -> u64 {
        self.missing + self.moved + self.incomplete + self.failed + self.extra
    }
}

/// Numbers of the tags of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RuleTags {
    /// Name of the rule.
    pub(crate) rule: Arc<str>,
    /// End of the last run that compared all of its tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) checked: Option<Timestamp>,
    /// Numbers by state.
    #[serde(flatten)]
    pub(crate) counts: TagCounts,
}

/// Numbers of the tags of a source repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RepositoryTags {
    /// The repository.
    pub(crate) repository: String,
    /// Numbers by state.
    #[serde(flatten)]
    pub(crate) counts: TagCounts,
}

/// Notifications that wait to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WaitingDeliveries {
    /// Their number.
    pub(crate) number: u64,
    /// Time of the next try of any of them.
    pub(crate) next: Option<Timestamp>,
}

/// A notification that waits to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// Its id.
    pub(crate) id: i64,
    /// Name of the receiver.
    pub(crate) receiver: String,
    /// Its text.
    pub(crate) body: String,
    /// Time at which it was queued.
    pub(crate) created: Timestamp,
    /// Time of the next try.
    pub(crate) next: Timestamp,
    /// Number of failed tries.
    pub(crate) tries: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
