//! An active run: drives it to its end, or ends it early on signals.

use std::sync::Arc;

use image_syncer_sync::engine::Stop;
use image_syncer_sync::event::RuleDescription;
use image_syncer_sync::session::Session;

use crate::interrupt::Signals;
use crate::run::run_outputs::RunOutputs;
#[cfg(feature = "share")]
use crate::run::shared::SharedRun;
use crate::share::Worker;
use crate::ui::{CopyUnit, LineLabel};

/// An active run, and the means to end it.
pub(super) struct ActiveRun {
    pub(super) worker: Worker,
    /// Signals that stop the run.
    pub(super) stop: Stop,
    /// The run that all workers share, if it is one.
    #[cfg(feature = "share")]
    pub(super) shared: Option<SharedRun>,
}

/// End of a run.
pub(super) enum RunEnd {
    /// All work has ended.
    Drained {
        /// True if a signal arrived before.
        cancelled: bool,
    },
    /// A third signal arrived before all work had ended.
    Abandoned,
}

impl ActiveRun {
    /// Waits until all work has ended.
    pub(super) async fn drive(
        self,
        rules: &[Arc<RuleDescription>],
        interrupts: &mut Signals,
        audience: &RunOutputs,
    ) -> RunEnd {
        let (worker, stop) = (&self.worker, &self.stop);
        let (session, progress) = (&worker.session, &worker.progress);
        let own = rules.iter().filter(|rule| !rule.elsewhere).count() as u64;
        let shown = audience.show(own, CopyUnit::for_rules(rules), progress);
        #[cfg(feature = "share")]
        let shared = self.shared;
        let work = async {
            #[cfg(feature = "share")]
            if let Some(shared) = shared {
                if let Some(usage) = shared.drive(worker, stop).await? {
                    audience.set_totals(usage.hosts, usage.traffic);
                }
                return Ok(());
            }
            worker.work().await
        };
        tokio::select! {
            ended = work => {
                if let Err(error) = ended {
                    audience.lines.print(LineLabel::Failed, &error.to_string());
                }
                RunEnd::Drained {
                    cancelled: stop.cancel.is_cancelled(),
                }
            }
            () = handle_signals(session, stop, interrupts, audience) => RunEnd::Abandoned,
            never = shown => match never {},
        }
    }
}

/// Ends the run in order on the first signal and at once on the second; returns on the third.
async fn handle_signals(
    session: &Session,
    stop: &Stop,
    interrupts: &mut Signals,
    audience: &RunOutputs,
) {
    let (lines, ending) = (&audience.lines, audience.display.ending());
    let name = interrupts.next().await;
    let what = match stop.grace.as_secs() {
        0 => "running images are dropped".to_owned(),
        grace => format!(
            "no further image starts; running images may go on for {grace} s, until a second signal"
        ),
    };
    lines.print(LineLabel::Warning, &format!("{name}: {what}"));
    ending.begin_with_grace(stop.grace);
    session.set_shutdown_deadline(stop.grace);
    stop.cancel.cancel();
    let name = interrupts.next().await;
    lines.print(
        LineLabel::Warning,
        &format!("{name}: running images are dropped"),
    );
    ending.now();
    stop.abandon.cancel();
    interrupts.next().await;
}
