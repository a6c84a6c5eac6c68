//! Report file of `--report FILE`.

use std::path::Path;

use image_syncer_sync::{Event, Listener};

use crate::replacement::{self, AtomicFile};
use crate::report::ReportWriter;
use crate::run_summary::RunSummary;

/// Flag that requests the report.
const FLAG: &str = "--report";

/// Report that is written while a run goes on.
pub(crate) struct ReportFile {
    document: ReportWriter<AtomicFile>,
    name: String,
}

impl ReportFile {
    /// Starts the report about `command` at `path`.
    ///
    /// # Errors
    /// No file can be written there.
    pub(crate) fn begin(path: &Path, command: &str) -> anyhow::Result<Self> {
        let file = AtomicFile::create(FLAG, path)?;
        Ok(Self {
            name: file.name(),
            document: ReportWriter::begin(file, command),
        })
    }

    /// Returns the name of the file for messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Finishes the report and puts it in place.
    ///
    /// # Errors
    /// It could not be written; an existing file is unchanged.
    pub(crate) fn put(&self, ending: &RunSummary<'_>) -> anyhow::Result<()> {
        let ended = self.document.end(ending).and_then(AtomicFile::put);
        ended.map_err(|error| replacement::failed(FLAG, &self.name, &error.into()))
    }
}

impl Listener for ReportFile {
    fn event(&self, event: &Event) {
        self.document.event(event);
    }
}
