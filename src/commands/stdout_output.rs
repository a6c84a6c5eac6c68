//! What is written to stdout by a run that writes nothing else.

use std::io::IsTerminal;
use std::sync::Arc;

use anyhow::Context;
use image_syncer_sync::Listener;
use image_syncer_sync::config::Intent;
use image_syncer_sync::engine::Stop;
use image_syncer_sync::report::Summary;
use image_syncer_sync::rule::Rule;

use crate::cli;
use crate::commands::listeners::Listeners;
use crate::exit::Exit;
use crate::report::{ReportWriter, RunSummary};
use crate::ui::FullLists;
use crate::ui::plan::{
    Plan, PlanForm, RowSelection, print_check_summary, print_plan_summary, totals,
};
use crate::ui::stdout::{StartWriting, Stdout, WriteEnd};
use crate::ui::{LineWriter, Printer};

/// What a run is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// To copy.
    Copy,
    /// To show what would be copied.
    Show(StdoutRequest),
}

/// What is to be shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct StdoutRequest {
    intent: Intent,
    json: bool,
    exit_code: bool,
}

impl Purpose {
    /// What a copy would take.
    pub(super) fn plan(flags: cli::Showing) -> Self {
        Self::Show(StdoutRequest {
            intent: Intent::Plan,
            json: flags.output == cli::PlanFormat::Json,
            exit_code: flags.exit_code,
        })
    }

    /// What differs.
    pub(super) fn check(flags: cli::Differences) -> Self {
        Self::Show(StdoutRequest {
            intent: Intent::Check,
            json: flags.output == cli::CheckFormat::Json,
            exit_code: true,
        })
    }

    /// To copy, or with `--dry-run` what that would take.
    pub(super) fn sync(flags: cli::DryRun) -> Self {
        flags.showing().map_or(Self::Copy, Self::plan)
    }

    /// What the engine is asked for.
    pub(super) fn intent(self) -> Intent {
        match self {
            Self::Copy => Intent::Copy,
            Self::Show(asked) => asked.intent,
        }
    }

    /// What is written to stdout by `command`, if anything is; the run is stopped when nobody reads it any more.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(super) fn shown(
        self,
        command: &str,
        rules: &[Arc<Rule>],
        logging: &cli::Logging,
        stop: &Stop,
    ) -> anyhow::Result<Option<StdoutOutput>> {
        let Self::Show(asked) = self else {
            return Ok(None);
        };
        let abandon = stop.abandon.clone();
        // A terminal that shows how far the run is takes the plan when nothing else is drawn there any more.
        let one_terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        let begin = if one_terminal {
            StartWriting::AtEnd
        } else {
            StartWriting::AtOnce
        };
        let stdout = Stdout::start(begin, move || abandon.cancel());
        let stdout = stdout.context("cannot start a thread")?;
        Ok(Some(StdoutOutput {
            asked,
            page: StdoutForm::new(asked, command, rules, logging, &stdout),
            stdout,
            one_terminal,
        }))
    }
}

/// What is written to stdout while a run goes on.
pub(super) struct StdoutOutput {
    asked: StdoutRequest,
    page: StdoutForm,
    stdout: Stdout,
    /// Whether it is seen on the terminal on which the run is told.
    one_terminal: bool,
}

/// The form of it.
enum StdoutForm {
    /// For people.
    Plan(Arc<Plan>),
    /// For programs.
    Document(Arc<ReportWriter<Stdout>>),
    /// The exit code tells.
    Nothing,
}

impl StdoutForm {
    fn new(
        asked: StdoutRequest,
        command: &str,
        rules: &[Arc<Rule>],
        logging: &cli::Logging,
        stdout: &Stdout,
    ) -> Self {
        if asked.json {
            return Self::Document(Arc::new(ReportWriter::begin(stdout.clone(), command)));
        }
        let which = match (asked.intent, logging.verbose) {
            (Intent::Check, 0) if logging.quiet => return Self::Nothing,
            (_, 1..) => RowSelection::All,
            (Intent::Check, 0) => RowSelection::Different,
            (Intent::Plan | Intent::Copy, 0) => RowSelection::Notable,
        };
        let plan = Plan::new(rules, form(asked.intent), which, stdout.clone());
        Self::Plan(Arc::new(plan))
    }
}

impl StdoutOutput {
    /// `lines` without what is shown here.
    pub(super) fn filtered_lines(&self, lines: LineWriter) -> LineWriter {
        let is_plan =
            matches!(&self.page, StdoutForm::Plan(_)) && self.asked.intent == Intent::Plan;
        lines.without_planned_lines(is_plan && self.one_terminal)
    }

    /// Who hears every event.
    pub(super) fn listener(&self) -> Arc<dyn Listener> {
        match &self.page {
            StdoutForm::Plan(plan) => plan.clone(),
            StdoutForm::Document(document) => document.clone(),
            StdoutForm::Nothing => Arc::new(Listeners(Vec::new())),
        }
    }

    /// What a run that would end with `exit` ends with: differences, where they were the question.
    pub(super) fn exit(&self, summary: &Summary, exit: Exit) -> Exit {
        match exit {
            Exit::Done if self.asked.exit_code && summary.planned > 0 => Exit::Differs,
            exit => exit,
        }
    }

    /// Shows what is known only now; and says on stderr what the run came to, as far as that is not shown.
    pub(super) fn end(&self, ending: &RunSummary<'_>, lines: &LineWriter, files: FullLists<'_>) {
        let is_check = self.asked.intent == Intent::Check;
        if is_check {
            print_check_summary(lines, ending.summary, files);
        } else {
            print_plan_summary(lines, ending.summary, files, self.one_terminal);
        }
        match &self.page {
            StdoutForm::Plan(plan) if is_check => plan.close(Vec::new()),
            StdoutForm::Plan(plan) => plan.close(totals(ending.summary, true)),
            // What cannot be written is told when all is written.
            StdoutForm::Document(document) => drop(document.end(ending)),
            StdoutForm::Nothing => {}
        }
    }

    /// Waits until all is written, or `interrupted` completes. That stdout takes nothing more is a failure, unless
    /// that is because nobody reads it.
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

/// How it is written: for people on a terminal, elsewhere for programs that people write.
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
