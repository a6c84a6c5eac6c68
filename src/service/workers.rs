//! Workers that carry out shared runs, for pages, the API and metrics.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use serde::Serialize;

use crate::lock::lock;

/// A worker that was seen lately: a replica of the service, or `image-syncer work`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct WorkerRow {
    /// Its id.
    pub(crate) id: String,
    /// Name of its machine.
    pub(crate) host: String,
    /// Version of its program.
    pub(crate) version: String,
    /// True if it has the rules of this replica, and so joins the runs of this one.
    pub(crate) same_rules: bool,
    /// Time of its start.
    pub(crate) started: Timestamp,
    /// Time at which it was seen.
    pub(crate) seen: Timestamp,
    /// Number of units that it carries out.
    pub(crate) units: u64,
}

/// Workers at the last look; none for a service on its own. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Workers(Arc<Mutex<Arc<[WorkerRow]>>>);

impl Workers {
    /// Returns the workers, in the order of their starts.
    pub(crate) fn rows(&self) -> Arc<[WorkerRow]> {
        Arc::clone(&lock(&self.0))
    }

    /// Replaces the workers.
    #[cfg(feature = "share")]
    pub(crate) fn set(&self, rows: Vec<WorkerRow>) {
        *lock(&self.0) = rows.into();
    }
}
