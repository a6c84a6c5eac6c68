//! Runs with records.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::inventory::records::Records;
use crate::scenario::{RunEvents, Scenario, Settings};

/// Maximum wait for the last write. Reached only by a failing test.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(60);

/// A records file in a directory of its own.
pub(super) struct RecordsFile(TempDir);

impl Scenario {
    /// Returns the scenario with an empty records file.
    pub(crate) fn with_records(self) -> Self {
        Self {
            records: Some(RecordsFile(tempfile::tempdir().unwrap())),
            ..self
        }
    }
    pub(crate) fn records_path(&self) -> PathBuf {
        let directory = &self.records.as_ref().expect("a scenario with records").0;
        directory.path().join("records.sqlite3")
    }
    /// Opens the records. An error of a later write is a panic.
    pub(crate) fn open_records(&self) -> Arc<Records> {
        Arc::new(Records::open(&self.records_path(), |error| panic!("{error}")).unwrap())
    }
    /// Clears the calls and runs the rules with the records of earlier runs.
    pub(crate) async fn run_with_records(&self, settings: Settings) -> Arc<RunEvents> {
        let records = self.open_records();
        let settings = Settings {
            records: Some(Arc::clone(&records)),
            ..settings
        };
        self.stores.take_sorted();
        let events = self.run_with(settings).await;
        records.close(CLOSE_TIMEOUT);
        events
    }
}
