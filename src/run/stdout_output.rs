//! Output on stdout of runs that write nothing else.

use std::io::IsTerminal;
use std::sync::Arc;

use anyhow::Context;
use image_syncer_sync::Listener;
use image_syncer_sync::engine::Stop;
use image_syncer_sync::event::RuleDescription;
use image_syncer_sync::report::Summary;
use image_syncer_sync::settings::Intent;

use crate::cli::Logging;
use crate::exit::Exit;
use crate::report::ReportWriter;
use crate::run::listeners::Listeners;
use crate::run_summary::RunSummary;
use crate::ui::FullLists;
use crate::ui::listing::{ListingForm, ListingListener, print_listing_summary};
use crate::ui::plan::{
    PlanForm, PlanListener, RowSelection, print_check_summary, print_plan_summary, totals,
};
use crate::ui::stdout::{StartWriting, Stdout, WriteEnd};
use crate::ui::{LineWriter, Printer};

/// Purpose of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// Copies images.
    Copy,
    /// Shows what would be copied.
    Show(StdoutRequest),
    /// Shows what the rules select.
    List(ListingForm),
}

/// Requested output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StdoutRequest {
    /// Plan or check.
    pub(crate) intent: Intent,
    /// The document of a report instead of text for people.
    pub(crate) json: bool,
    /// Another exit code if there are differences.
    pub(crate) exit_code: bool,
}

impl Purpose {
    /// Returns the purpose for the engine.
    pub(crate) fn intent(self) -> Intent {
        match self {
            Self::Copy => Intent::Copy,
            Self::Show(asked) => asked.intent,
            Self::List(_) => Intent::List,
        }
    }

    /// Starts the output of `command`, if there is one. The run stops when stdout has no reader any more.
    ///
    /// # Errors
    /// If no thread can be started.
    pub(super) fn shown(
        self,
        command: &str,
        rules: &[Arc<RuleDescription>],
        logging: &Logging,
        stop: &Stop,
    ) -> anyhow::Result<Option<StdoutOutput>> {
        let (asked, listing) = match self {
            Self::Copy => return Ok(None),
            Self::Show(asked) => (asked, None),
            Self::List(form) => {
                let asked = StdoutRequest {
                    intent: Intent::List,
                    json: false,
                    exit_code: false,
                };
                (asked, Some(form))
            }
        };
        let abandon = stop.abandon.clone();
        // On a terminal that shows the progress, the plan is written when the live view has ended.
        let one_terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        let begin = if one_terminal {
            StartWriting::AtEnd
        } else {
            StartWriting::AtOnce
        };
        let stdout = Stdout::start(begin, move || abandon.cancel());
        let stdout = stdout.context("cannot start a thread")?;
        let page = match listing {
            Some(form) => {
                let listing = ListingListener::new(rules, form, stdout.clone());
                StdoutForm::Listing(Arc::new(listing))
            }
            None => StdoutForm::new(asked, command, rules, logging, &stdout),
        };
        Ok(Some(StdoutOutput {
            asked,
            page,
            stdout,
            one_terminal,
        }))
    }
}

/// Output on stdout during a run.
pub(super) struct StdoutOutput {
    asked: StdoutRequest,
    page: StdoutForm,
    stdout: Stdout,
    /// True if stdout and stderr are terminals.
    one_terminal: bool,
}

/// Format of the output.
enum StdoutForm {
    /// For people.
    Plan(Arc<PlanListener>),
    /// For programs.
    Document(Arc<ReportWriter<Stdout>>),
    /// Selected repositories and tags.
    Listing(Arc<ListingListener>),
    /// The exit code alone.
    Nothing,
}

impl StdoutForm {
    fn new(
        asked: StdoutRequest,
        command: &str,
        rules: &[Arc<RuleDescription>],
        logging: &Logging,
        stdout: &Stdout,
    ) -> Self {
        if asked.json {
            return Self::Document(Arc::new(ReportWriter::begin(stdout.clone(), command)));
        }
        let which = match (asked.intent, logging.verbose) {
            (Intent::Check, 0) if logging.quiet => return Self::Nothing,
            (_, 1..) => RowSelection::All,
            (Intent::Check, 0) => RowSelection::Different,
            (Intent::Plan | Intent::Copy | Intent::List, 0) => RowSelection::Notable,
        };
        let plan = PlanListener::new(rules, form(asked.intent), which, stdout.clone());
        Self::Plan(Arc::new(plan))
    }
}

impl StdoutOutput {
    /// Returns `lines` without the content of this output.
    pub(super) fn filtered_lines(&self, lines: LineWriter) -> LineWriter {
        let is_plan =
            matches!(&self.page, StdoutForm::Plan(_)) && self.asked.intent == Intent::Plan;
        lines.without_planned_lines(is_plan && self.one_terminal)
    }

    /// Returns the listener of all events.
    pub(super) fn listener(&self) -> Arc<dyn Listener> {
        match &self.page {
            StdoutForm::Plan(plan) => plan.clone(),
            StdoutForm::Document(document) => document.clone(),
            StdoutForm::Listing(listing) => listing.clone(),
            StdoutForm::Nothing => Arc::new(Listeners(Vec::new())),
        }
    }

    /// Returns the exit of the run: `Differs` in place of `Done` if differences were requested and found.
    pub(super) fn exit(&self, summary: &Summary, exit: Exit) -> Exit {
        match exit {
            Exit::Done if self.asked.exit_code && summary.planned > 0 => Exit::Differs,
            exit => exit,
        }
    }

    /// Writes the end of the output, and the summary on stderr as far as it is not shown.
    pub(super) fn end(&self, ending: &RunSummary<'_>, lines: &LineWriter, files: FullLists<'_>) {
        let is_check = self.asked.intent == Intent::Check;
        if self.asked.intent == Intent::List {
            print_listing_summary(lines, ending.summary, files);
        } else if is_check {
            print_check_summary(lines, ending.summary, files);
        } else {
            print_plan_summary(lines, ending.summary, files, self.one_terminal);
        }
        match &self.page {
            StdoutForm::Plan(plan) if is_check => plan.close(Vec::new()),
            StdoutForm::Plan(plan) => plan.close(totals(ending.summary, true)),
            // Write errors are reported at the end.
            StdoutForm::Document(document) => drop(document.end(ending)),
            StdoutForm::Listing(listing) => listing.close(),
            StdoutForm::Nothing => {}
        }
    }

    /// Waits until all is written, or `interrupted` completes. A write error is a failure, unless stdout has no
    /// reader.
    pub(super) async fn finish(
        &self,
        exit: Exit,
        interrupted: impl Future,
        printer: &Printer,
    ) -> Exit {
        match self.stdout.finish(interrupted).await {
            Ok(WriteEnd::Whole | WriteEnd::Unread) => exit,
            Ok(WriteEnd::Interrupted) => Exit::Interrupted,
            Err(error) => {
                printer.error(&format!("cannot write to stdout: {error}"));
                Exit::Failed
            }
        }
    }
}

/// Returns the form of the output: for people on a terminal, elsewhere for scripts.
fn form(intent: Intent) -> PlanForm {
    let colours = Printer::stdout_colours();
    match (intent, Printer::stdout_width()) {
        (Intent::Check, width) => PlanForm::Lines {
            short: width.is_some(),
            colours,
        },
        (_, Some(width)) => PlanForm::Table { width, colours },
        (_, None) => PlanForm::Plain,
    }
}
