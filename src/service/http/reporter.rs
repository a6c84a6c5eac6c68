//! Lines about clients and files, for people.

use std::sync::Arc;

use crate::service::hooks::Report;
use crate::service::repeated_lines::RepeatedLines;
use crate::ui::LineLabel;

/// Prints lines. Clients cause them, so the same line is printed once a minute. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Reporter {
    report: Report,
    repeated: Arc<RepeatedLines>,
}

impl Reporter {
    /// Creates the reporter that prints with `report`.
    pub(crate) fn new(report: Report) -> Self {
        Self {
            report,
            repeated: Arc::default(),
        }
    }

    /// Prints a note.
    pub(super) fn note(&self, text: &str) {
        self.print(LineLabel::Note, text);
    }

    /// Prints a warning.
    pub(super) fn warn(&self, text: &str) {
        self.print(LineLabel::Warning, text);
    }

    fn print(&self, label: LineLabel, text: &str) {
        if self.repeated.is_news(text) {
            (self.report)(label, text);
        }
    }
}
