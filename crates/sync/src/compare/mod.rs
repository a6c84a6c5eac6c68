//! Turns an image and a destination into a plan.
//!
//! Two steps. [`Comparer::fetch_ends`] queries both ends at once: equal digests settle an unfiltered image with two
//! HEADs, however many platforms it has. For the others, [`Comparer::known`] finds the children that the destination
//! has, and [`Comparer::plan`] lists the manifests to push and the blobs that may be missing. Blobs are not queried
//! here: the first request of an upload tells whether the blob exists. A tag that a list of the destination's tags
//! lacks is not queried either; if it exists all the same, [`Comparer::was_present`] finds out. A digest that a list
//! shows replaces the HEAD at its end, but only if it proves that the image is unchanged (`listed`).

mod fetch_ends;
mod known_children;
mod listed;
mod plan;
mod resolve;
mod sparse;
mod tag_conflict;
mod target;
mod verify;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use image_syncer_registry::{Descriptor, Digest, Manifest, ManifestHead, Presence, Tag};

use crate::Repository;
use crate::failure::Failure;
use crate::inventory::Inventory;
use crate::keyed::KeyedOnce;

pub(crate) use known_children::KnownChildren;
pub(crate) use sparse::SparseChildren;
pub(crate) use target::CompareTarget;
pub(crate) use verify::Damage;

/// Maximum number of requests in flight that query one destination about the parts of one image.
const QUESTIONS: usize = 8;

/// Compares images with destinations. Shared by all images of a run.
pub(crate) struct Comparer {
    inventory: Arc<Inventory>,
    /// True if only the difference itself is of interest.
    only_differences: bool,
    /// True if the manifests of a plan count as copied at once, since no push follows.
    claims: bool,
    /// Checks for blobs in flight.
    presence_checks: KeyedOnce<(Repository, Digest), Presence, Failure>,
    /// Repositories that lacked the first child that was queried there. Their other tags are most likely new as well.
    childless: Mutex<HashSet<Repository>>,
}

/// Result of a comparison of both ends.
#[derive(Debug)]
pub(crate) enum Comparison {
    /// The destination already has this manifest.
    Unchanged {
        /// Digest of the root.
        digest: Digest,
        /// True if the source was not queried, since a list of its tags shows the digest.
        listed: bool,
    },
    /// Nothing is copied, as intended.
    Skipped {
        /// Reason, as a clause: `no platform of it passes --arch arm64`.
        why: String,
    },
    /// The image must be copied.
    Missing(MissingImage),
    /// The image must be copied. The caller needs no details.
    Differs(Difference),
}

/// Facts from two HEADs about an image that a destination lacks.
#[derive(Debug)]
pub(crate) struct Difference {
    /// Digest at the source.
    pub digest: Digest,
    /// Media type, if the source states one.
    pub media_type: Option<String>,
    /// Manifest that the destination has under the name now.
    pub there: Option<ManifestHead>,
    /// Reason why the destination does not report the existing manifest, if it refuses the request.
    pub unknown: Option<Failure>,
}

/// An image that a destination lacks.
#[derive(Debug)]
pub(crate) struct MissingImage {
    /// Root, after the filter.
    pub root: Arc<Manifest>,
    /// True if the filter wrote the root.
    pub filtered: bool,
    /// Tag to push.
    pub tag: Option<Tag>,
    /// Manifest that the destination has under the tag now.
    pub there: Option<ManifestHead>,
    /// Reason why the destination does not report the existing manifest, if it refuses the request. Then the push
    /// tells.
    pub unknown: Option<Failure>,
    /// True if the destination was not queried, since a list of its tags lacked the tag.
    pub unasked: bool,
    /// For an index that is copied without some of its children: the wanted children, and those that exist.
    pub(crate) sparse: Option<SparseChildren>,
}

/// Content of one image that one destination lacks.
#[derive(Debug)]
pub(crate) struct CopyPlan {
    /// Root, pushed last: by its tag, or by digest without one.
    pub root: Arc<Manifest>,
    /// Tag to push.
    pub tag: Option<Tag>,
    /// Children to push before the root, leaves first, each once.
    pub children: Vec<Arc<Manifest>>,
    /// Blobs of root and children that are not known to exist in the repository, each once.
    pub blobs: Vec<Descriptor>,
    /// Blobs of root and children that are known to exist there, each once.
    pub present: Vec<Descriptor>,
    /// True if the root is an index, and some of its children are left out on purpose.
    pub sparse: bool,
}

impl Comparer {
    /// Returns a comparer that uses the facts of `inventory`.
    pub(crate) fn new(inventory: Arc<Inventory>) -> Self {
        Self {
            inventory,
            only_differences: false,
            claims: false,
            presence_checks: KeyedOnce::with_limit(0),
            childless: Mutex::default(),
        }
    }
    /// With `claims`, plans count as carried out: of many images that share a child, only one lists it, whichever of
    /// them are compared at the same time.
    #[must_use]
    pub(crate) fn claiming(mut self, claims: bool) -> Self {
        self.claims = claims;
        self
    }
    /// With `only`, only determines whether images differ.
    #[must_use]
    pub(crate) fn only_differences(mut self, only: bool) -> Self {
        self.only_differences = only;
        self
    }
}

#[cfg(test)]
mod run_tests;
