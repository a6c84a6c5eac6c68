//! Settings of a whole run. Options of copies belong to the rules: [`CopyOptions`].
//!
//! [`CopyOptions`]: crate::rule::CopyOptions

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::inventory::BlobFacts;
use crate::inventory::records::Records;
use crate::tag_divider::TagDivider;
use crate::transfer::Progress;

/// Maximum number of images in flight by default. They wait for the network most of the time, so there are more than
/// the requests of one host.
const IMAGES: usize = 128;

/// Settings of a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunSettings {
    /// Purpose of the run.
    pub intent: Intent,
    /// Maximum number of blob downloads in flight; `None` for the limits of the hosts alone.
    pub transfers: Option<usize>,
    /// Maximum number of images in flight; at least 1.
    pub images: usize,
    /// Records of earlier runs; `None` to use none.
    pub records: Option<Arc<Records>>,
    /// Knowledge of other processes about blobs; `None` for that of this one alone.
    pub blob_facts: Option<Arc<dyn BlobFacts>>,
    /// Use of lists that registries have beside the protocol.
    pub listing: Listing,
    /// Counters of the transfers; `None` for its own.
    pub progress: Option<Arc<Progress>>,
    /// Other processes that copy some tags of a large repository; `None` to copy all.
    pub tag_divider: Option<Arc<dyn TagDivider>>,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            intent: Intent::default(),
            transfers: None,
            images: IMAGES,
            records: None,
            blob_facts: None,
            listing: Listing::default(),
            progress: None,
            tag_divider: None,
        }
    }
}

/// Use of lists of tags that show digests, so that unchanged images need no request of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listing {
    /// Use lists with digests that a registry has, if they save requests.
    #[default]
    Auto,
    /// Not used: tags are listed by the protocol that all registries have.
    Off,
}

/// Purpose of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Intent {
    /// Copies what is missing.
    #[default]
    Copy,
    /// Reports what a copy would move, blob by blob, and writes nothing.
    Plan,
    /// Reports different images with the fewest requests, and writes nothing.
    Check,
    /// Reports the images that the rules select, as skipped ([`LISTED`](crate::event::LISTED)). Requests nothing but lists
    /// of sources, and nothing of destinations.
    List,
}
