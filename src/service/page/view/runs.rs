//! The runs, by the newest first.

use crate::service::run::{Run, RunState};

/// Number of runs of a page.
pub(crate) const PER_PAGE: usize = 50;

/// The page of the runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunsView {
    /// Name of the rule; empty for all.
    pub(crate) rule: String,
    /// State; `None` for all.
    pub(crate) state: Option<RunState>,
    /// Id before which the runs of this page are; empty on the first page.
    pub(crate) before: String,
    /// The runs.
    pub(crate) runs: Vec<Run>,
    /// True if there are older ones.
    pub(crate) has_older: bool,
}
