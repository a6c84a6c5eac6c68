//! The report in a file, for `--report FILE`.

use std::path::Path;

use image_syncer_sync::{Event, Listener};

use crate::replacement::{self, AtomicFile};
use crate::report::ReportWriter;
use crate::run_summary::RunSummary;

/// The flag that asks for it.
const FLAG: &str = "--report";

/// The report of a run on its way to its file.
pub(crate) struct ReportFile {
    document: ReportWriter<AtomicFile>,
    name: String,
}

impl ReportFile {
    /// Begins the report of what `command` does, to be put at `path`.
    ///
    /// # Errors
    /// When no file can be written there.
    pub(crate) fn begin(path: &Path, command: &str) -> anyhow::Result<Self> {
        let file = AtomicFile::create(FLAG, path)?;
        Ok(Self {
            name: file.name(),
            document: ReportWriter::begin(file, command),
        })
    }

    /// Where it goes, as people read it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Ends the report and puts it in place.
    ///
    /// # Errors
    /// When it could not be written; what stood there before is as it was.
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
