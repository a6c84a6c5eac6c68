//! Builds the outputs of a run (live view, log, report) and flushes them at the end.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use image_syncer_registry::transport::Observer;
use image_syncer_sync::event::RuleDescription;
use image_syncer_sync::report::{Report, Summary};
use image_syncer_sync::rule::RuleSet;
use image_syncer_sync::settings::Intent;
use image_syncer_sync::transfer::Progress as Moving;
use image_syncer_sync::{Listener, Session};

use crate::exit::Exit;
use crate::host_counts::{Counts, HostCounts};
use crate::lock::lock;
use crate::run::in_flight::InFlightTracker;
use crate::run::listeners::Listeners;
use crate::run::observers::Observers;
use crate::run::output_files::Outputs;
use crate::run::stdout_output::StdoutOutput;
use crate::run_summary::{RunSummary, ShardRecord, Traffic};
use crate::ui::live::ProgressDisplay;
use crate::ui::{
    CopyUnit, EventLines, FullLists, LineLabel, LineWriter, RequestLogger, print_summary,
};

/// Outputs of a run.
pub(super) struct RunOutputs {
    pub(super) lines: LineWriter,
    pub(super) display: ProgressDisplay,
    wire: Arc<RequestLogger>,
    counts: Arc<Counts>,
    pub(super) report: Arc<Report>,
    all: Arc<InFlightTracker>,
    outputs: Outputs,
    pub(super) shown: Option<StdoutOutput>,
    /// Requests and bytes of all workers of a shared run.
    totals: Mutex<Option<(HostTotals, Traffic)>>,
}

/// Counters of each registry, the busiest first.
type HostTotals = Vec<(Option<String>, HostCounts)>;

/// A finished run.
pub(super) struct FinishedRun<'a> {
    /// All rules of the run.
    pub(super) rules: &'a RuleSet,
    /// Part of a run that several processes share.
    pub(super) shard: Option<&'a ShardRecord>,
    /// Texts that name them.
    pub(super) descriptions: &'a [Arc<RuleDescription>],
    /// Start of the run.
    pub(super) started: Instant,
    /// Counters of moved data.
    pub(super) moved: &'a Moving,
    /// Purpose of the run.
    #[cfg_attr(not(feature = "service"), allow(dead_code))]
    pub(super) intent: Intent,
    /// True if a signal arrived.
    pub(super) cancelled: bool,
}

impl RunOutputs {
    /// Builds the outputs: `lines` and `display` for people, the files in `outputs`, and the output on stdout.
    pub(super) fn open(
        outputs: Outputs,
        lines: LineWriter,
        display: ProgressDisplay,
        shown: Option<StdoutOutput>,
    ) -> Self {
        let report = Arc::new(Report::new());
        let mut all: Vec<Arc<dyn Listener>> =
            vec![report.clone(), Arc::new(EventLines::new(lines.clone()))];
        all.push(display.listings().clone());
        all.extend(outputs.listeners());
        all.extend(shown.as_ref().map(StdoutOutput::listener));
        Self {
            wire: Arc::new(RequestLogger::new(lines.clone())),
            counts: Arc::new(Counts::new()),
            lines,
            display,
            report,
            all: Arc::new(InFlightTracker::new(Arc::new(Listeners(all)))),
            outputs,
            shown,
            totals: Mutex::default(),
        }
    }

    /// Sets the requests and bytes of all workers of a shared run, at its end.
    #[cfg(feature = "share")]
    pub(super) fn set_totals(&self, hosts: HostTotals, traffic: Traffic) {
        *lock(&self.totals) = Some((hosts, traffic));
    }

    /// Returns the requests and bytes of the run: of all workers, if they share it.
    fn totals(&self, moved: &Moving) -> (HostTotals, Traffic) {
        let own = || {
            let traffic = Traffic {
                fetched: moved.bytes_fetched(),
                sent: moved.bytes_streamed(),
            };
            (self.counts.by_host(), traffic)
        };
        lock(&self.totals).clone().unwrap_or_else(own)
    }

    /// Returns the listener of all events.
    pub(super) fn listener(&self) -> Arc<dyn Listener> {
        self.all.clone()
    }

    /// Returns the observer of all requests.
    pub(super) fn observer(&self) -> Arc<dyn Observer> {
        let mut all: Vec<Arc<dyn Observer>> = vec![
            self.counts.clone(),
            self.display.pauses().clone(),
            self.wire.clone(),
        ];
        all.extend(self.outputs.observers());
        Arc::new(Observers(all))
    }

    /// Uses the limits of the run's session.
    pub(super) fn set_session(&self, session: &Session) {
        self.outputs.set_session(session);
    }

    /// Shows the progress of a run with this number of rules, while it is polled.
    pub(super) async fn show(
        &self,
        rules: u64,
        unit: CopyUnit,
        progress: &Arc<Moving>,
    ) -> Infallible {
        let (report, counts) = (&self.report, &self.counts);
        let shown = self
            .display
            .show(rules, unit, &self.lines, report, counts, progress);
        shown.await
    }

    /// Writes the files, prints the summary and returns the exit. Images in flight count as interrupted. The files
    /// come first, as the reader of the summary may be slow.
    pub(super) fn close(&self, ended: &FinishedRun<'_>) -> Exit {
        self.all.interrupt();
        let mut summary = self.report.summary();
        summary.finish(ended.rules.carried_out() as u64, ended.cancelled);
        let elapsed = ended.started.elapsed();
        let mut failures: Vec<anyhow::Error> = Vec::new();
        let mut files = FullLists::default();
        for file in &self.outputs.images {
            for rule in file.finish(ended.rules, &summary) {
                let text = format!(
                    "{} lists only the known images of the rule {rule}, which is not finished. Run the configuration again for all of them.",
                    file.name()
                );
                self.lines.print(LineLabel::Warning, &text);
            }
            match file.write() {
                Ok(()) if file.is_of_failures() => files.failed_images = Some(file.name()),
                Ok(()) => {}
                Err(error) => failures.push(error),
            }
        }
        if let Err(error) = self.outputs.put_metrics(ended, &summary) {
            failures.push(error);
        }
        let (hosts, traffic) = self.totals(ended.moved);
        let exit = |failures: &[anyhow::Error]| {
            let exit = exit(&summary, failures.is_empty());
            let shown = self.shown.as_ref();
            shown.map_or(exit, |shown| shown.exit(&summary, exit))
        };
        let ending = |exit: Exit| RunSummary {
            summary: &summary,
            shard: ended.shard,
            rules: ended.descriptions,
            hosts: &hosts,
            traffic,
            elapsed,
            exit_code: exit.code(),
        };
        if let Some(file) = &self.outputs.report {
            match file.put(&ending(exit(&failures))) {
                Ok(()) => files.report = Some(file.name()),
                Err(error) => failures.push(error),
            }
        }
        match &self.shown {
            Some(shown) => shown.end(&ending(exit(&failures)), &self.lines, files),
            None => print_summary(&self.lines, &ending(exit(&failures)), files),
        }
        for error in &failures {
            self.lines.print(LineLabel::Failed, &format!("{error:#}"));
        }
        exit(&failures)
    }
}

/// Returns the exit of a run. `files_are_written`: all requested files could be written.
fn exit(summary: &Summary, files_are_written: bool) -> Exit {
    match summary.exit_code() {
        0 if files_are_written => Exit::Done,
        130 => Exit::Interrupted,
        _ => Exit::Failed,
    }
}
