//! How far a run is, for a display that asks many times a second.

use crate::event::{Event, Outcome};
use crate::report::Summary;

/// How far a run is. Images are counted once for each destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rules whose images were all found, or that failed or were interrupted.
    pub rules_ended: u64,
    /// Images that are known: those of rules that were listed, and no fewer than have begun or ended.
    pub found: u64,
    /// Images that have begun and not ended.
    pub under_way: u64,
    /// Images that ended, one way or another.
    pub ended: u64,
    /// Images, of those, that failed, and rules whose images could not be listed; nothing that was interrupted.
    pub failed: u64,
    /// Bytes of blobs that were sent for those that ended well.
    pub bytes: u64,
}

/// How many images were begun, and how many of those ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Begun {
    begun: u64,
    ended: u64,
}

impl Counts {
    pub(super) fn of(summary: &Summary, begun: Begun) -> Self {
        let ended = summary.finished();
        let under_way = begun.begun.saturating_sub(begun.ended);
        Self {
            rules_ended: summary.rules_ended,
            found: summary.discovered.max(ended + under_way),
            under_way,
            ended,
            failed: summary.failed + summary.failed_rules,
            bytes: summary.volume.bytes,
        }
    }
}

impl Begun {
    pub(super) fn fold(&mut self, event: &Event) {
        match event {
            Event::ImageStarted(_) => self.begun += 1,
            Event::ImageFinished {
                outcome, elapsed, ..
            } => {
                // What was never begun took no time.
                let never = elapsed.is_zero()
                    && matches!(outcome, Outcome::Failed(failure) if failure.interrupted);
                self.ended += u64::from(!never);
            }
            _ => {}
        }
    }
}
