//! Options of sessions and runs.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::Stop;
use crate::inventory::BlobFacts;
use crate::inventory::records::Records;
use crate::session::{Lease, TagDivider};
use crate::settings::{Intent, Listing, RunSettings};
use crate::store::{Archives, PushedTags};
use crate::transfer::Progress;

/// Maximum time that images may go on after a run was stopped, by default.
const GRACE: Duration = Duration::from_secs(25);

/// Limits and records of a session.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionOptions {
    /// Maximum number of images in flight, of all runs together; at least 1.
    pub images: usize,
    /// Maximum number of blob downloads in flight; `None` for the limits of the hosts alone.
    pub transfers: Option<usize>,
    /// Records of earlier runs; `None` to use none.
    pub records: Option<Arc<Records>>,
    /// Knowledge of other processes about blobs; `None` for that of this one alone.
    pub blob_facts: Option<Arc<dyn BlobFacts>>,
    /// Archives of images, of which some may be open.
    pub archives: Archives,
}

/// Options of one run. Options of copies belong to the rules: [`CopyOptions`](crate::rule::CopyOptions).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunOptions {
    /// Purpose of the run.
    pub intent: Intent,
    /// Use of lists with digests.
    pub listing: Listing,
    /// Signals that stop the run.
    pub stop: Stop,
    /// Counters of the transfers, which several runs may share; `None` for its own.
    pub progress: Option<Arc<Progress>>,
    /// Right to write tags; `None` for a run whose work no other process can have.
    pub lease: Option<Arc<dyn Lease>>,
    /// Other processes that copy some tags of a large repository; `None` to copy all.
    pub tag_divider: Option<Arc<dyn TagDivider>>,
    /// Tags whose pushes were reported, and which a registry may not show yet; `None` for none.
    pub pushed: Option<Arc<PushedTags>>,
}

impl Default for SessionOptions {
    fn default() -> Self {
        let RunSettings {
            images, transfers, ..
        } = RunSettings::default();
        Self {
            images,
            transfers,
            records: None,
            blob_facts: None,
            archives: Archives::default(),
        }
    }
}

impl SessionOptions {
    /// Sets the maximum number of images in flight, of all runs together.
    #[must_use]
    pub fn with_images(mut self, images: usize) -> Self {
        self.images = images;
        self
    }

    /// Sets the maximum number of blob downloads in flight.
    #[must_use]
    pub fn with_transfers(mut self, transfers: Option<usize>) -> Self {
        self.transfers = transfers;
        self
    }

    /// Sets the records of earlier runs. The caller closes them after the last run.
    #[must_use]
    pub fn with_records(mut self, records: Option<Arc<Records>>) -> Self {
        self.records = records;
        self
    }

    /// Sets the knowledge of other processes about blobs. What this one learns is added to it.
    #[must_use]
    pub fn with_blob_facts(mut self, facts: Option<Arc<dyn BlobFacts>>) -> Self {
        self.blob_facts = facts;
        self
    }

    /// Sets the archives of images, of which some may be open.
    #[must_use]
    pub fn with_archives(mut self, archives: Archives) -> Self {
        self.archives = archives;
        self
    }
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            intent: Intent::default(),
            listing: Listing::default(),
            stop: Stop::new(GRACE),
            progress: None,
            lease: None,
            tag_divider: None,
            pushed: None,
        }
    }
}

impl RunOptions {
    /// Sets the purpose of the run.
    #[must_use]
    pub fn with_intent(mut self, intent: Intent) -> Self {
        self.intent = intent;
        self
    }

    /// Sets the use of lists with digests.
    #[must_use]
    pub fn with_listing(mut self, listing: Listing) -> Self {
        self.listing = listing;
        self
    }

    /// Sets the signals that stop the run.
    #[must_use]
    pub fn with_stop(mut self, stop: Stop) -> Self {
        self.stop = stop;
        self
    }

    /// Sets the counters of the transfers, which several runs may share.
    #[must_use]
    pub fn with_progress(mut self, progress: Arc<Progress>) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Sets the right to write tags. Once it has ended, images end as interrupted instead of writing a tag.
    #[must_use]
    pub fn with_lease(mut self, lease: Option<Arc<dyn Lease>>) -> Self {
        self.lease = lease;
        self
    }

    /// Sets the other processes that copy some tags of a large repository. For a run of one rule.
    #[must_use]
    pub fn with_tag_divider(mut self, divider: Option<Arc<dyn TagDivider>>) -> Self {
        self.tag_divider = divider;
        self
    }

    /// Sets the tags whose pushes were reported. While one is missing or has another digest, it is looked at again, in
    /// the first ten seconds of the run.
    #[must_use]
    pub fn with_pushed(mut self, pushed: PushedTags) -> Self {
        self.pushed = (!pushed.is_empty()).then(|| Arc::new(pushed));
        self
    }
}
