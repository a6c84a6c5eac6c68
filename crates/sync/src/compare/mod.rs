//! An image and a destination become a plan.
//!
//! Two steps. [`Comparer::fetch_ends`] asks both ends at once what they have: equal digests settle an image that no filter
//! touches in two HEADs, however many platforms it has. For what is not settled, [`Comparer::known`] learns which
//! children the destination has, and [`Comparer::plan`] names the manifests to push and the blobs that may be missing.
//! Whether a blob is there is not asked here: the first request of its upload tells. A tag that is missing from a list
//! of the destination's tags is not asked about either; should it be there all the same, [`Comparer::was_present`] finds out.

mod fetch_ends;
mod known_children;
mod plan;
mod sparse;
mod verify;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use image_syncer_registry::{
    Descriptor, Digest, Manifest, ManifestHead, Presence, Repository, Tag,
};

use crate::failure::Failure;
use crate::inventory::Inventory;
use crate::keyed::KeyedOnce;

pub use known_children::KnownChildren;
pub(crate) use sparse::SparseChildren;
pub(crate) use verify::Damage;

/// Requests at a time that ask one destination about the parts of one image.
const QUESTIONS: usize = 8;

/// Compares images with destinations; shared by all images of a run.
pub struct Comparer {
    inventory: Arc<Inventory>,
    force: bool,
    verify: bool,
    /// Whether it is enough to know that an image differs.
    only_differences: bool,
    /// Whether what a plan names counts as brought at once, as nobody will bring it.
    claims: bool,
    /// Checks for blobs in flight.
    presence_checks: KeyedOnce<(Repository, Digest), Presence, Failure>,
    /// Repositories that were asked for a child once and had nothing: their other tags are new as well, most likely.
    barren: Mutex<HashSet<Repository>>,
}

/// What looking at both ends found.
#[derive(Debug)]
pub enum Comparison {
    /// The destination has exactly this already.
    Unchanged {
        /// The root's digest.
        digest: Digest,
    },
    /// Nothing is to be copied, and that is right.
    Skipped {
        /// Why, a clause: `no platform of it passes --arch arm64`.
        why: String,
    },
    /// It is to be copied.
    Missing(MissingImage),
    /// It is to be copied; more was not asked for.
    Differs(Difference),
}

/// What two HEADs tell of an image that a destination lacks.
#[derive(Debug)]
pub struct Difference {
    /// The digest at the source.
    pub digest: Digest,
    /// Its media type, where the source says one.
    pub media_type: Option<String>,
    /// What stands under its name at the destination now.
    pub there: Option<ManifestHead>,
    /// Reason why the destination does not say what exists there, if it refuses the question.
    pub unknown: Option<Failure>,
}

/// An image that a destination lacks.
#[derive(Debug)]
pub struct MissingImage {
    /// The root, after the filter.
    pub root: Arc<Manifest>,
    /// Whether the filter made it.
    pub filtered: bool,
    /// The tag that it is to get.
    pub tag: Option<Tag>,
    /// What stands under that name at the destination now.
    pub there: Option<ManifestHead>,
    /// Reason why the destination does not say what exists there, if it refuses the question: then the push tells.
    pub unknown: Option<Failure>,
    /// Whether that was not asked, as a list of the tags did not have it.
    pub unasked: bool,
    /// Where its index comes without some of its children: which of the others are wanted, and found there.
    pub(crate) sparse: Option<SparseChildren>,
}

/// What one destination lacks of one image.
#[derive(Debug)]
pub struct CopyPlan {
    /// The root, pushed last: by its tag, or by digest where there is none.
    pub root: Arc<Manifest>,
    /// The tag.
    pub tag: Option<Tag>,
    /// The children to push before it, leaves first, each once.
    pub children: Vec<Arc<Manifest>>,
    /// The blobs that root and children name and that are not known to be in the repository, each once.
    pub blobs: Vec<Descriptor>,
    /// The blobs that they name and that are known to be there, each once.
    pub present: Vec<Descriptor>,
    /// The root is an index, and some of its children stay behind on purpose.
    pub sparse: bool,
}

impl Comparer {
    /// Compares with what `inventory` knows. With `force`, manifests are pushed even where the destination has them;
    /// with `verify`, a manifest that is there says nothing of what lies below it.
    pub fn new(inventory: Arc<Inventory>, force: bool, verify: bool) -> Self {
        Self {
            inventory,
            force,
            verify,
            only_differences: false,
            claims: false,
            presence_checks: KeyedOnce::with_limit(0),
            barren: Mutex::default(),
        }
    }
    /// The same, whose plans count as carried out, where `claims` is set: of many images that share a child, one names it,
    /// whichever are compared at the same time.
    #[must_use]
    pub(crate) fn claiming(mut self, claims: bool) -> Self {
        self.claims = claims;
        self
    }
    /// The same, which asks for no more than whether images differ, where `only` is set.
    #[must_use]
    pub(crate) fn only_differences(mut self, only: bool) -> Self {
        self.only_differences = only;
        self
    }
}
