//! Locks of content that is written, shared by all runs of a session.

use image_syncer_registry::Digest;

use crate::Repository;
use crate::copy::tag_checks::InFlightTagChecks;
use crate::keyed::KeyedLock;

/// Locks of content that is written. An entry exists only while a task holds it or waits for it.
#[derive(Default)]
pub(crate) struct CopyLocks {
    /// Roots that are pushed or verified, by destination.
    pub(super) roots: KeyedLock<(Repository, Digest)>,
    /// Subjects whose referrers are copied, by destination.
    pub(super) subjects: KeyedLock<(Repository, Digest)>,
    /// Tags that are looked up at destinations.
    pub(super) tag_checks: InFlightTagChecks,
}

impl CopyLocks {
    /// Returns the number of entries.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.roots.len() + self.subjects.len() + self.tag_checks.len()
    }
}
