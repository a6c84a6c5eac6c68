//! Download of a large blob in ranges over several connections, if that is faster.
//!
//! The blob starts as one request, the *trunk*. When [`ParallelismTuner`] asks for more connections, a [`RangeWindow`]
//! opens some way ahead of the trunk, which ends where the window begins. When ranges are no longer worthwhile, the
//! window drains, and the rest follows as one request again. If the source behaves unexpectedly (it ignores ranges,
//! answers with others, refuses a further connection), the window ends; the download itself continues by its own rules.
//!
//! Ranges only use download permits of the host that are free at once, and release them with each range, so they never
//! delay other requests.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::time::Instant;

use crate::error::Error;
use crate::transport::ResponseBody;

use super::fetch::BlobFetch;
use super::parallelism::ParallelismTuner;
use super::range_budget::RangeBudget;
use super::range_fetch::RangeFetch;
use super::window::{RangeEvent, RangeWindow};

/// State of a download in ranges.
pub(super) struct RangedDownload {
    fetch: BlobFetch,
    room: Arc<RangeBudget>,
    pace: ParallelismTuner,
    size: u64,
    window: Option<RangeWindow>,
    /// Time at which the caller last received something.
    left: Instant,
    /// Error of the last broken range, if it waits to be resumed and nothing else flows.
    broke: Option<Error>,
}

/// Next result of a window and the trunk before it.
pub(super) enum NextBytes {
    /// Bytes in order.
    Bytes(Bytes),
    /// Result of the trunk.
    Trunk(Result<Option<Bytes>, Error>),
    /// Nothing yet.
    Nothing,
}

impl RangedDownload {
    /// Returns `None` if the blob is not large enough, or the source is known to have no ranges.
    pub(super) fn for_fetch(fetch: &BlobFetch, size: Option<u64>) -> Option<Self> {
        let room = fetch.client().range_budget();
        let options = room.options;
        let size = size.filter(|size| *size >= options.threshold && options.segments > 0)?;
        if !fetch.client().answers_ranges() {
            return None;
        }
        Some(Self {
            fetch: fetch.clone().with_length(size),
            pace: ParallelismTuner::new(options),
            room,
            size,
            window: None,
            left: Instant::now(),
            broke: None,
        })
    }

    /// Records that the caller, who came at `entered`, received its bytes.
    pub(super) fn left(&mut self, entered: Instant) {
        let now = Instant::now();
        let busy = entered.saturating_duration_since(self.left);
        self.pace
            .spent(busy, now.saturating_duration_since(entered));
        self.left = now;
    }

    /// Returns the offset at which the trunk ends: the start of the window, once the source has answered a range.
    pub(super) fn trunk_ends(&self) -> Option<u64> {
        let window = self.window.as_ref()?;
        window.is_confirmed().then(|| window.start())
    }

    /// Drops all ranges.
    pub(super) fn forget(&mut self) {
        self.window = None;
        self.broke = None;
    }

    /// Checks the rate, and opens, fills or closes the window. `trunk` if the trunk flows; `position` is the offset of
    /// the reader.
    pub(super) async fn adjust_window(&mut self, position: u64, trunk: bool) {
        if let Some(window) = &self.window {
            let late = !window.is_confirmed() && position > window.start();
            let over = window.is_empty() && !trunk && !window.is_broken();
            if late || over {
                self.forget();
                self.pace.alone();
            }
        }
        self.start_ranges(trunk).await;
        let flowing = self.window.as_ref().map_or(0, RangeWindow::flowing) + usize::from(trunk);
        self.pace.end_period(flowing);
        if self.window.is_none() && trunk && self.pace.connections() > 1 {
            self.window = self.ahead(position).map(RangeWindow::new);
        }
        self.start_ranges(trunk).await;
        if self
            .window
            .as_ref()
            .is_some_and(|window| trunk && window.is_empty())
        {
            // No permit is free now.
            self.window = None;
        }
    }

    /// Returns the start of a new window, far enough ahead that the trunk does not reach it before the first answer.
    fn ahead(&self, position: u64) -> Option<u64> {
        let segment = self.room.options.segment.max(1);
        let lead = segment.max(self.pace.rate() / 4);
        let start = position
            .checked_add(lead)?
            .checked_next_multiple_of(segment)?;
        let enough = start.checked_add(segment.checked_mul(2)?)? <= self.size;
        (enough && self.fetch.client().answers_ranges()).then_some(start)
    }

    /// Starts as many ranges as are wanted, as far as memory and permits of the host allow.
    async fn start_ranges(&mut self, trunk: bool) {
        let Some(window) = self.window.as_mut() else {
            return;
        };
        let wanted = self.pace.connections();
        while window.flowing() + usize::from(trunk) < wanted {
            if window.is_broken() {
                if !trunk && window.flowing() == 0 {
                    // Only broken ranges are left: resuming them is a try of the whole download.
                    return;
                }
                let Some(place) = self.fetch.try_reserve().await else {
                    return;
                };
                window.resume(Some(place));
                continue;
            }
            let start = window.end();
            // A single connection works better with one request.
            if wanted < 2 || start >= self.size {
                return;
            }
            let Some(share) = self.room.share() else {
                return;
            };
            let Some(place) = self.fetch.try_reserve().await else {
                return;
            };
            let end = start
                .saturating_add(self.room.options.segment)
                .min(self.size);
            window.add(
                RangeFetch::new(self.fetch.clone(), place, start, end),
                end,
                share,
            );
        }
    }

    /// Returns whether a window is open.
    pub(super) fn is_ranging(&self) -> bool {
        self.window.is_some()
    }

    /// Waits for the next result at `position`; `trunk` is the body before the window, if it flows.
    pub(super) async fn next(
        &mut self,
        position: u64,
        trunk: Option<&mut ResponseBody>,
    ) -> NextBytes {
        let flows = trunk.is_some();
        self.handle_ready_events(flows);
        let Some(window) = self.window.as_mut() else {
            return NextBytes::Nothing;
        };
        if window.start() == position
            && let Some(bytes) = window.next()
        {
            return NextBytes::Bytes(bytes);
        }
        let trunk = async {
            match trunk {
                Some(body) => body.chunk().await,
                None => Ok(None),
            }
        };
        tokio::select! {
            Some(event) = window.event() => {
                self.handle_event(event, flows);
                NextBytes::Nothing
            }
            chunk = trunk, if flows => NextBytes::Trunk(chunk),
            else => NextBytes::Nothing,
        }
    }

    /// Handles all events that are ready, so that no range waits for the one before it.
    fn handle_ready_events(&mut self, trunk: bool) {
        while let Some(window) = self.window.as_mut()
            && let Some(Some(event)) = window.event().now_or_never()
        {
            self.handle_event(event, trunk);
        }
    }

    fn handle_event(&mut self, event: RangeEvent, trunk: bool) {
        let Some(window) = self.window.as_mut() else {
            return;
        };
        match event {
            RangeEvent::Answered => {}
            RangeEvent::Came(bytes) => self.pace.record_bytes(bytes, self.room.record_bytes(bytes)),
            RangeEvent::Broke(error) if !window.is_confirmed() => {
                self.fetch.pause_after(&error);
                self.forget();
                self.pace.alone();
            }
            RangeEvent::Broke(error) => {
                let flowing = window.flowing() + usize::from(trunk);
                self.pace.broke(flowing);
                if flowing == 0 {
                    self.broke = Some(error);
                } else {
                    self.fetch.pause_after(&error);
                }
            }
            RangeEvent::NoRanges => {
                self.fetch.client().ignores_ranges();
                self.pace.alone();
                if window.is_confirmed() {
                    window.cut_short();
                } else {
                    self.forget();
                }
            }
        }
    }

    /// Returns whether nothing flows and a broken range waits to be [resumed](RangedDownload::resume).
    pub(super) fn is_stuck(&self, trunk: bool) -> bool {
        let stuck = |window: &RangeWindow| !trunk && window.flowing() == 0 && window.is_broken();
        self.window.as_ref().is_some_and(stuck)
    }

    /// Takes the error of the last broken range, if it was not handled.
    pub(super) fn broke(&mut self) -> Option<Error> {
        self.broke.take()
    }

    /// Resumes a broken range when the host has a permit.
    pub(super) fn resume(&mut self) {
        if let Some(window) = self.window.as_mut() {
            window.resume(None);
        }
    }

    /// Returns the bytes of a chunk of the trunk that lie before the window.
    pub(super) fn before_window(&self, position: u64, mut bytes: Bytes) -> Bytes {
        if let Some(end) = self.trunk_ends() {
            let room = usize::try_from(end.saturating_sub(position)).unwrap_or(usize::MAX);
            bytes.truncate(room);
        }
        bytes
    }

    /// Records bytes of the trunk.
    pub(super) fn record_bytes(&mut self, bytes: u64) {
        self.pace.record_bytes(bytes, self.room.record_bytes(bytes));
    }
}
