//! How far a run is, shown while it goes on: a view that is drawn again and again on a terminal, a line now and then
//! elsewhere. Both say the same, sampled at their own pace from what the run counts anyway.

mod heartbeat;
mod layout;
mod meter;
mod pauses;
mod shutdown;
mod speed;
mod suspend;
mod view;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use image_syncer_sync::report::Report;

use crate::cli::{Logging, ProgressMode};
use crate::host_counts::Counts;
use crate::ui::copy_unit::CopyUnit;
use crate::ui::lines::LineWriter;
use crate::ui::printer::Printer;
use meter::{ProgressMeter, SampleSources};
pub(crate) use pauses::Pauses;
pub(crate) use shutdown::ShutdownState;
use view::LiveView;

/// Shows how far a run is, as the flags and the terminal have it.
pub(crate) struct ProgressDisplay {
    how: DisplayMode,
    only_asks: bool,
    printer: Printer,
    pauses: Arc<Pauses>,
    ending: Arc<ShutdownState>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DisplayMode {
    /// A view below the lines.
    Live,
    /// A line now and then.
    Plain,
    Nothing,
}

/// How far a run is, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RunStatus {
    /// Unit of the counters.
    pub(super) unit: CopyUnit,
    /// Images that are known so far.
    pub(super) found: u64,
    /// Whether more may be found.
    pub(super) listing: bool,
    pub(super) ended: u64,
    pub(super) under_way: u64,
    pub(super) failed: u64,
    pub(super) retries: u64,
    /// Whether nothing is to be sent.
    pub(super) only_asks: bool,
    /// Bytes of blobs that were sent.
    pub(super) moved: u64,
    /// Bytes of blobs that are known to be left to send.
    pub(super) remaining: u64,
    /// Bytes a second over the last moments, and since the start.
    pub(super) speed: Option<u64>,
    pub(super) average: Option<u64>,
    pub(super) left: Option<Duration>,
    /// The hosts that are left alone, the one that is so for longest first.
    pub(super) pauses: Vec<pauses::Pause>,
    /// The largest transfers whose bytes flow, each in the same place for as long as it does.
    pub(super) transfers: Vec<Option<ActiveTransfer>>,
    /// Number of transfers whose bytes flow.
    pub(super) flowing_transfers: u64,
    /// Number of transfers that wait for their turn.
    pub(super) waiting_transfers: u64,
    pub(super) ending: Option<shutdown::State>,
}

/// A transfer whose bytes flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ActiveTransfer {
    pub(super) number: u64,
    /// The repository that it goes to, in full and without its host.
    pub(super) name: String,
    pub(super) short_name: String,
    /// The first digits of its digest.
    pub(super) digest: String,
    pub(super) done: u64,
    pub(super) size: u64,
}

impl ProgressDisplay {
    /// As the flags have it, where `printer` writes; of bytes where the run does not only ask.
    pub(crate) fn new(flags: &Logging, only_asks: bool, printer: Printer) -> Self {
        let how = match flags.progress {
            _ if flags.quiet => DisplayMode::Nothing,
            ProgressMode::None => DisplayMode::Nothing,
            ProgressMode::Auto if printer.is_live() && !flags.takes_stderr() => DisplayMode::Live,
            ProgressMode::Auto | ProgressMode::Plain => DisplayMode::Plain,
        };
        Self {
            how,
            only_asks,
            printer,
            pauses: Arc::default(),
            ending: Arc::default(),
        }
    }

    /// Hears of pauses.
    pub(crate) fn pauses(&self) -> &Arc<Pauses> {
        &self.pauses
    }

    /// Is told that the run is to end.
    pub(crate) fn ending(&self) -> &ShutdownState {
        &self.ending
    }

    /// Shows how far a run of so many `rules` is, for as long as it is polled.
    pub(crate) async fn show(
        &self,
        rules: u64,
        unit: CopyUnit,
        lines: &LineWriter,
        report: &Arc<Report>,
        counts: &Arc<Counts>,
        progress: &Arc<image_syncer_sync::transfer::Progress>,
    ) -> Infallible {
        let sources = SampleSources {
            rules,
            unit,
            only_asks: self.only_asks,
            report: Arc::clone(report),
            counts: Arc::clone(counts),
            progress: Arc::clone(progress),
            pauses: Arc::clone(&self.pauses),
            ending: Arc::clone(&self.ending),
        };
        let _shown = (self.how == DisplayMode::Live).then(|| {
            let meter = ProgressMeter::new(sources.clone(), speed::MOMENTS);
            let live = LiveView::new(meter, self.printer.colours());
            self.printer.view(Box::new(live))
        });
        // A log file has signs of life even where somebody looks on.
        let beats =
            self.how == DisplayMode::Plain || (self.how == DisplayMode::Live && lines.are_logged());
        let heartbeat = async {
            if beats {
                heartbeat::heartbeat(lines, ProgressMeter::new(sources, heartbeat::EVERY)).await
            } else {
                std::future::pending().await
            }
        };
        let suspend = async {
            match self.printer.screen() {
                Some(screen) if self.how == DisplayMode::Live => {
                    suspend::stop_on_request(screen).await
                }
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            never = heartbeat => never,
            never = suspend => never,
        }
    }
}
