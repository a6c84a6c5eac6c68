//! How far a run is, for a display that asks many times a second.

use std::collections::HashMap;
use std::sync::Arc;

use crate::event::{Event, Outcome};
use crate::report::Summary;
use crate::rule::Rule;

/// How far a run is. Images are counted once for each destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rules of which it is known how many images they have, or that failed or were interrupted.
    pub rules_listed: u64,
    /// Images that are known: those of these rules, and no fewer than have begun or ended.
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

/// What is under way.
#[derive(Debug, Default)]
pub(super) struct InFlightImages {
    /// Images that were begun, and how many of those ended.
    begun: u64,
    ended: u64,
    /// How many images rules will have that have not ended, by their addresses, which stay as long as they do.
    listed: HashMap<usize, (Arc<Rule>, u64)>,
    /// Of all of these rules.
    images: u64,
}

impl Counts {
    pub(super) fn from_summary(summary: &Summary, begun: &InFlightImages) -> Self {
        let ended = summary.finished();
        let under_way = begun.begun.saturating_sub(begun.ended);
        Self {
            rules_listed: summary.rules_ended + begun.listed.len() as u64,
            found: (summary.discovered + begun.images).max(ended + under_way),
            under_way,
            ended,
            failed: summary.failed + summary.failed_rules,
            bytes: summary.volume.bytes,
        }
    }
}

impl InFlightImages {
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
            Event::RuleListed { rule, images } => {
                self.forget(rule);
                self.images += images;
                let listed = (Arc::clone(rule), *images);
                self.listed.insert(Arc::as_ptr(rule).addr(), listed);
            }
            Event::RuleDiscovered { rule, .. } | Event::RuleFailed { rule, .. } => {
                self.forget(rule);
            }
            Event::RuleStarted { .. } | Event::Warning { .. } => {}
        }
    }

    fn forget(&mut self, rule: &Arc<Rule>) {
        if let Some((_, images)) = self.listed.remove(&Arc::as_ptr(rule).addr()) {
            self.images -= images;
        }
    }
}
