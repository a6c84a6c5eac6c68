//! Printing of long work on archives before a run begins.

use image_syncer_sync::event::ArchiveWork;
use image_syncer_sync::{Event, Listener};

use crate::ui::Printer;
use crate::ui::live::describe_work;

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
        match event {
            Event::Warning { text } => self.0.warning(text),
            Event::ArchiveProgress {
                archive,
                work: work @ ArchiveWork::Unpack,
                bytes: 0,
                total,
                ended: false,
            } => self.0.line(&describe_work(*work, archive, 0, *total)),
            _ => {}
        }
    }
}
