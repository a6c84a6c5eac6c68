//! Progress of a run: a view that is redrawn on a terminal, or a line now and then elsewhere. Both show the same
//! samples of the run's counters, at their own intervals.

mod heartbeat;
mod layout;
mod listings;
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
pub(crate) use listings::Listings;
pub(in crate::ui) use listings::announcement;
use meter::{ProgressMeter, SampleSources};
pub(crate) use pauses::Pauses;
pub(crate) use shutdown::ShutdownState;
use view::LiveView;

/// Shows the progress of a run in the form that the flags and the terminal select.
pub(crate) struct ProgressDisplay {
    how: DisplayMode,
    sends_nothing: bool,
    printer: Printer,
    pauses: Arc<Pauses>,
    listings: Arc<Listings>,
    ending: Arc<ShutdownState>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DisplayMode {
    /// View below the lines.
    Live,
    /// Lines at intervals.
    Plain,
    Nothing,
}

/// Progress of a run at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RunStatus {
    /// Unit of the counters.
    pub(super) unit: CopyUnit,
    /// Images that were found so far.
    pub(super) found: u64,
    /// More images may be found.
    pub(super) listing: bool,
    pub(super) ended: u64,
    pub(super) under_way: u64,
    pub(super) failed: u64,
    pub(super) retries: u64,
    /// The run sends nothing.
    pub(super) sends_nothing: bool,
    /// Bytes of blobs that were sent.
    pub(super) moved: u64,
    /// Bytes of blobs that are known to be missing.
    pub(super) remaining: u64,
    /// Bytes per second, over the last moments and since the start.
    pub(super) speed: Option<u64>,
    pub(super) average: Option<u64>,
    pub(super) left: Option<Duration>,
    /// Lists of repositories that are being read.
    pub(super) listings: Vec<listings::RunningListing>,
    /// Paused hosts, the longest pause first.
    pub(super) pauses: Vec<pauses::Pause>,
    /// Largest flowing transfers, each at the same position until it ends.
    pub(super) transfers: Vec<Option<ActiveTransfer>>,
    /// Number of transfers whose bytes flow.
    pub(super) flowing_transfers: u64,
    /// Number of transfers that wait for their turn.
    pub(super) waiting_transfers: u64,
    pub(super) ending: Option<shutdown::State>,
}

/// Transfer whose bytes flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ActiveTransfer {
    pub(super) number: u64,
    /// Destination repository, with and without its host.
    pub(super) name: String,
    pub(super) short_name: String,
    /// First digits of the digest.
    pub(super) digest: String,
    pub(super) done: u64,
    pub(super) size: u64,
}

impl ProgressDisplay {
    /// Creates the display for the flags, on `printer`. It shows bytes unless `sends_nothing` is set.
    pub(crate) fn new(
        flags: &Logging,
        progress: ProgressMode,
        sends_nothing: bool,
        printer: Printer,
    ) -> Self {
        let how = match progress {
            _ if flags.quiet => DisplayMode::Nothing,
            ProgressMode::None => DisplayMode::Nothing,
            ProgressMode::Auto if printer.is_live() && !flags.takes_stderr() => DisplayMode::Live,
            ProgressMode::Auto | ProgressMode::Plain => DisplayMode::Plain,
        };
        Self {
            how,
            sends_nothing,
            printer,
            pauses: Arc::default(),
            listings: Arc::default(),
            ending: Arc::default(),
        }
    }

    /// Returns the observer of pauses.
    pub(crate) fn pauses(&self) -> &Arc<Pauses> {
        &self.pauses
    }

    /// Returns the listener of lists of repositories.
    pub(crate) fn listings(&self) -> &Arc<Listings> {
        &self.listings
    }

    /// Returns the state that announces the end of the run.
    pub(crate) fn ending(&self) -> &ShutdownState {
        &self.ending
    }

    /// Shows the progress of a run with this number of rules, while it is polled.
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
            sends_nothing: self.sends_nothing,
            report: Arc::clone(report),
            counts: Arc::clone(counts),
            progress: Arc::clone(progress),
            pauses: Arc::clone(&self.pauses),
            listings: Arc::clone(&self.listings),
            ending: Arc::clone(&self.ending),
        };
        let _shown = (self.how == DisplayMode::Live).then(|| {
            let meter = ProgressMeter::new(sources.clone(), speed::MOMENTS);
            let live = LiveView::new(meter, self.printer.colours());
            self.printer.view(Box::new(live))
        });
        // A log file gets progress lines even beside a live view.
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
