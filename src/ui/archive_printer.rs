//! Printing of long work on archives before a run begins.

use image_syncer_sync::{Event, Listener};

use crate::ui::Printer;
use crate::ui::live::announcement;

/// Printer of what an archive needs before its images are known.
pub(crate) struct ArchivePrinter(Printer);

impl ArchivePrinter {
    /// Creates a printer to stderr.
    pub(crate) fn new(printer: Printer) -> Self {
        Self(printer)
    }
}

impl Listener for ArchivePrinter {
    fn event(&self, event: &Event) {
        if let Event::Warning { text } = event {
            self.0.warning(text);
        }
        if let Some(text) = announcement(event) {
            self.0.line(&text);
        }
    }
}
