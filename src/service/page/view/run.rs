//! One run, live or from the history.

use std::time::Duration;

use jiff::Timestamp;

use crate::service::history::ImageRecord;
use crate::service::page::plot::Point;
use crate::service::run::Run;

/// Maximum number of transfers that are shown.
pub(crate) const TRANSFERS: usize = 8;

/// Maximum number of causes of failures that are shown.
pub(crate) const CAUSES: usize = 20;

/// Number of images of a page.
pub(crate) const IMAGES: usize = 100;

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct RunView {
    /// The run, with its numbers so far.
    pub(crate) run: Run,
    /// Reason for which it waits, before it starts.
    pub(crate) waiting: Option<Waiting>,
    /// Its speed over time.
    pub(crate) points: Vec<Point>,
    /// Bytes per second of the last seconds; `None` if nothing moves.
    pub(crate) speed: Option<u64>,
    /// Remaining time.
    pub(crate) left: Option<Duration>,
    /// The largest transfers in flight.
    pub(crate) transfers: Vec<TransferLine>,
    /// Number of all transfers in flight.
    pub(crate) in_flight: usize,
    /// Registries to which no request is sent for a while.
    pub(crate) pauses: Vec<Pause>,
    /// Failures with one remedy each.
    pub(crate) failures: Vec<FailureCard>,
    /// Warnings.
    pub(crate) warnings: Vec<String>,
    /// Images that were not unchanged.
    pub(crate) images: ImageList,
    /// True if a report of the run exists.
    pub(crate) has_report: bool,
}

/// Reason why a run has not started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// A run of the same rule is in progress.
    SameRule(String),
    /// As many runs are in progress as may be; so many wait before it.
    Limit {
        /// Runs in progress.
        running: Vec<(String, String)>,
        /// Number of runs that start earlier.
        before: usize,
    },
}

/// A transfer in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TransferLine {
    /// Number that no other transfer of the run has.
    pub(crate) number: u64,
    /// Digest of the blob.
    pub(crate) digest: String,
    /// Its size.
    pub(crate) size: Option<u64>,
    /// Bytes that were sent; `None` before the first.
    pub(crate) done: Option<u64>,
    /// Repository that is read.
    pub(crate) source: String,
    /// Repository that is written.
    pub(crate) destination: String,
}

/// A pause of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    /// Host.
    pub(crate) host: String,
    /// True for a rate limit, false for an overload.
    pub(crate) is_rate_limit: bool,
    /// End of the pause.
    pub(crate) until: Timestamp,
}

/// Failures with one cause, at one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FailureCard {
    /// Name of the cause.
    pub(crate) cause: String,
    /// Host; empty if none was involved.
    pub(crate) host: String,
    /// Number of failures.
    pub(crate) number: u64,
    /// Advice.
    pub(crate) hint: Option<String>,
    /// Reason of the first.
    pub(crate) reason: String,
    /// The first of them: source, and destination if there is one.
    pub(crate) examples: Vec<(String, Option<String>)>,
}

/// Images of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct ImageList {
    /// Text that the images mention.
    pub(crate) q: String,
    /// Outcome that is shown; empty for all.
    pub(crate) outcome: String,
    /// Key of the page; empty on the first.
    pub(crate) after: String,
    /// The images.
    pub(crate) rows: Vec<ImageRecord>,
    /// Key of the next page, if there is one.
    pub(crate) next: Option<String>,
}
