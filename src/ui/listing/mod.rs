//! Repositories and tags that rules select, for `validate --list` and `tags`.

mod gather;
mod json;
mod text;

use std::sync::{Arc, Mutex};

use image_syncer_sync::event::RuleDescription;
use image_syncer_sync::report::Summary;
use image_syncer_sync::{Event, Listener};

use crate::escape;
use crate::lock::lock;
use crate::ui::lines::LineWriter;
use crate::ui::stdout::Stdout;
use crate::ui::style::Style;
use crate::ui::summary::{FullLists, failure_lines};

use gather::Gathered;

/// Form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListingForm {
    /// Repositories and destinations.
    Repositories,
    /// Repositories, their selected tags, and destinations.
    Tags,
    /// A list of objects.
    Json,
}

/// Gathers what the rules of a run select, and writes it at the end, in the order of the rules and by name.
pub(crate) struct ListingListener {
    form: ListingForm,
    gathered: Mutex<Gathered>,
    stdout: Stdout,
}

impl ListingListener {
    /// Creates a listener for a run of `rules`.
    pub(crate) fn new(rules: &[Arc<RuleDescription>], form: ListingForm, stdout: Stdout) -> Self {
        Self {
            form,
            gathered: Mutex::new(Gathered::new(rules)),
            stdout,
        }
    }

    /// Writes everything.
    pub(crate) fn close(&self) {
        let gathered = std::mem::take(&mut *lock(&self.gathered));
        let text = match self.form {
            ListingForm::Repositories => text::write(&gathered, false),
            ListingForm::Tags => text::write(&gathered, true),
            ListingForm::Json => json::write(&gathered),
        };
        let text = match self.form {
            ListingForm::Json => text,
            _ => escape::block(&text).into_owned(),
        };
        self.stdout.send(move |out| out.write_all(text.as_bytes()));
    }
}

impl Listener for ListingListener {
    fn event(&self, event: &Event) {
        lock(&self.gathered).add(event);
    }
}

/// Prints the failures of a listing to stderr, if there are any.
pub(crate) fn print_listing_summary(lines: &LineWriter, summary: &Summary, files: FullLists<'_>) {
    let mut block = Vec::new();
    if summary.was_interrupted() {
        let text = "interrupted: the list is incomplete";
        block.push((Style::Yellow, text.to_owned()));
    }
    block.extend(failure_lines(summary, files));
    lines.closing(summary.exit_code() != 0, &block);
}
