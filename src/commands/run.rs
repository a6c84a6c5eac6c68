//! A run under way: driven to its end, and ended early by signals.

use std::sync::Arc;

use image_syncer_registry::transport::Transport;
use image_syncer_sync::engine::{Engine, Stop};
use image_syncer_sync::rule::Rule;

use crate::commands::run_outputs::RunOutputs;
use crate::interrupt::Signals;
use crate::ui::LineLabel;

/// What is under way, and how to end it.
pub(super) struct ActiveRun {
    pub(super) engine: Engine,
    pub(super) transport: Arc<Transport>,
    pub(super) stop: Stop,
}

/// How a run ended.
pub(super) enum RunEnd {
    /// Nothing is under way any more.
    Drained {
        /// Whether a signal had come before.
        cancelled: bool,
    },
    /// A third signal came, although the second had ended everything: whatever is left is left.
    Abandoned,
}

impl ActiveRun {
    /// Drives the engine until it has nothing under way any more.
    pub(super) async fn drive(
        self,
        rules: Vec<Arc<Rule>>,
        interrupts: &mut Signals,
        audience: &RunOutputs,
    ) -> RunEnd {
        let shown = audience.show(rules.len() as u64, self.engine.progress());
        tokio::select! {
            () = self.engine.run(rules, self.stop.clone()) => RunEnd::Drained {
                cancelled: self.stop.cancel.is_cancelled(),
            },
            () = self.handle_signals(interrupts, audience) => RunEnd::Abandoned,
            never = shown => match never {},
        }
    }

    /// Ends the run in order at the first signal and at once at the second; returns at the third.
    async fn handle_signals(&self, interrupts: &mut Signals, audience: &RunOutputs) {
        let (lines, ending) = (&audience.lines, audience.display.ending());
        let name = interrupts.next().await;
        let what = match self.stop.grace.as_secs() {
            0 => "what is under way is dropped".to_owned(),
            grace => format!(
                "no further image is begun; those under way may go on for {grace} s, until a second signal"
            ),
        };
        lines.print(LineLabel::Warning, &format!("{name}: {what}"));
        ending.begin_with_grace(self.stop.grace);
        self.transport.set_shutdown_deadline(self.stop.grace);
        self.stop.cancel.cancel();
        let name = interrupts.next().await;
        lines.print(
            LineLabel::Warning,
            &format!("{name}: what is under way is dropped"),
        );
        ending.now();
        self.stop.abandon.cancel();
        interrupts.next().await;
    }
}
