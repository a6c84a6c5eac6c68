//! An active run: drives it to its end, or ends it early on signals.

use std::sync::Arc;

use image_syncer_registry::transport::Transport;
use image_syncer_sync::engine::{Engine, Stop};
use image_syncer_sync::rule::Rule;

use crate::interrupt::Signals;
use crate::run::run_outputs::RunOutputs;
use crate::ui::{CopyUnit, LineLabel};

/// An active run, and the means to end it.
pub(super) struct ActiveRun {
    pub(super) engine: Engine,
    pub(super) transport: Arc<Transport>,
    pub(super) stop: Stop,
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
    /// Drives the engine until all work has ended.
    pub(super) async fn drive(
        self,
        rules: Vec<Arc<Rule>>,
        interrupts: &mut Signals,
        audience: &RunOutputs,
    ) -> RunEnd {
        let shown = audience.show(
            rules.len() as u64,
            CopyUnit::for_rules(&rules),
            self.engine.progress(),
        );
        tokio::select! {
            () = self.engine.run(rules, self.stop.clone()) => RunEnd::Drained {
                cancelled: self.stop.cancel.is_cancelled(),
            },
            () = self.handle_signals(interrupts, audience) => RunEnd::Abandoned,
            never = shown => match never {},
        }
    }

    /// Ends the run in order on the first signal and at once on the second; returns on the third.
    async fn handle_signals(&self, interrupts: &mut Signals, audience: &RunOutputs) {
        let (lines, ending) = (&audience.lines, audience.display.ending());
        let name = interrupts.next().await;
        let what = match self.stop.grace.as_secs() {
            0 => "running images are dropped".to_owned(),
            grace => format!(
                "no further image starts; running images may go on for {grace} s, until a second signal"
            ),
        };
        lines.print(LineLabel::Warning, &format!("{name}: {what}"));
        ending.begin_with_grace(self.stop.grace);
        self.transport.set_shutdown_deadline(self.stop.grace);
        self.stop.cancel.cancel();
        let name = interrupts.next().await;
        lines.print(
            LineLabel::Warning,
            &format!("{name}: running images are dropped"),
        );
        ending.now();
        self.stop.abandon.cancel();
        interrupts.next().await;
    }
}
