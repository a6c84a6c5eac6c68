//! Progress of a run, for a display that samples it many times a second.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::event::{Event, Outcome};
use crate::id::RuleId;
use crate::report::Summary;

/// Progress of a run. Images count once for each destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Rules whose number of images is known, and rules that failed or were interrupted.
    pub rules_listed: u64,
    /// Known images: those of these rules, and at least those that have begun or ended.
    pub found: u64,
    /// Images that have begun and not ended.
    pub under_way: u64,
    /// Images that ended, with any outcome.
    pub ended: u64,
    /// Failed images, and rules and repositories whose images could not be listed, without interrupted ones.
    pub failed: u64,
    /// Bytes of blobs that were sent for copied images.
    pub bytes: u64,
}

/// Images in flight.
#[derive(Debug, Default)]
pub(super) struct InFlightImages {
    /// Images that began, and images that ended among those.
    begun: u64,
    ended: u64,
    /// Expected number of images of unfinished rules.
    listed: HashMap<RuleId, u64>,
    /// Number of images of unfinished rules with several repositories, so far.
    partial: HashMap<RuleId, u64>,
    /// Number of images in both.
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
            failed: summary.failures_given(),
            bytes: summary.volume.bytes,
        }
    }
}

impl InFlightImages {
    pub(super) fn fold(&mut self, event: &Event) {
        match event {
            Event::ImageStarted { .. } => self.begun += 1,
            Event::ImageFinished {
                outcome, elapsed, ..
            } => {
                // An image that never began has no elapsed time.
                let never = elapsed.is_zero()
                    && matches!(outcome, Outcome::Failed(failure) if failure.interrupted);
                self.ended += u64::from(!never);
            }
            Event::RuleListed { rule, images } => {
                self.forget(*rule);
                self.images += images;
                self.listed.insert(*rule, *images);
            }
            Event::RuleDiscovered { rule, .. } | Event::RuleFailed { rule, .. } => {
                self.forget(*rule);
            }
            Event::RepositoryDiscovered { rule, images, .. } => {
                self.images += images;
                *self.partial.entry(*rule).or_default() += images;
            }
            Event::RuleStarted { .. }
            | Event::TagsSelected { .. }
            | Event::RepositoriesListed { .. }
            | Event::ArchiveProgress { .. }
            | Event::ShardSelected(_)
            | Event::RepositoryFailed { .. }
            | Event::Warning { .. } => {}
        }
    }

    fn forget(&mut self, rule: RuleId) {
        for known in [&mut self.listed, &mut self.partial] {
            self.images -= known.remove(&rule).unwrap_or_default();
        }
    }
}
