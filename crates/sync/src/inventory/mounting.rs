//! Mount behavior of a registry, learned from its answers.

/// Evidence for a mount from a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum MountConfidence {
    /// This run brought the blob there, and no manifest is known to name it. Some registries (ECR) mount only blobs
    /// that a manifest names.
    Uncommitted,
    /// A manifest in the repository names the blob.
    Committed,
    /// The repository is the source of the image, in the same registry. A manifest names the blob, but the credential
    /// for the push may lack permission to pull there.
    Source,
    /// The records say that a manifest in the repository names the blob. Both may have been deleted since.
    Recorded,
}

/// Answers of a registry to mounts so far, by their evidence.
///
/// A refusal counts until a mount has succeeded. From then on the registry is known to mount, and a refusal is about
/// one repository. A refusal of a recorded location counts for the records only: the recorded blob may have been
/// deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MountCapability {
    uncommitted: MountRecord,
    committed: MountRecord,
    source: MountRecord,
    /// Consecutive failed mounts of recorded locations.
    misled: u8,
    /// The registry reported a blob as present in answer to the first request of an upload.
    tells_of_itself: bool,
}

/// Consecutive failed mounts after which recorded hints are ignored for this registry.
const MAX_MISLED: u8 = 8;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum MountRecord {
    #[default]
    Untried,
    Declines,
    Takes,
}

impl MountCapability {
    /// Returns whether a mount with evidence `standing` is worth a request.
    pub(crate) fn is_worth_trying(self, standing: MountConfidence) -> bool {
        let habit = match standing {
            MountConfidence::Uncommitted => self.uncommitted,
            MountConfidence::Recorded if self.misled >= MAX_MISLED => return false,
            MountConfidence::Committed | MountConfidence::Recorded => self.committed,
            MountConfidence::Source => self.source,
        };
        habit != MountRecord::Declines
    }
    /// Returns whether the first request of an upload is known to report blobs that are present, so that no other
    /// request is needed to check for them.
    pub(crate) fn reports_existing_blobs(self) -> bool {
        self.tells_of_itself
    }
    /// Notes that the first request of an upload reported a blob as present.
    pub(crate) fn record_unrequested_hit(&mut self) {
        self.tells_of_itself = true;
    }
    /// Returns whether the registry is known to mount blobs that a manifest names, so that a refusal is about one
    /// repository.
    pub(crate) fn is_known_to_mount(self) -> bool {
        self.committed == MountRecord::Takes
    }
    /// Returns whether it is worth waiting for an upload of the blob to another repository of the registry, which ends
    /// long before the manifest is pushed there.
    pub(crate) fn is_worth_awaiting(self) -> bool {
        self.is_worth_trying(MountConfidence::Uncommitted)
    }
    /// Returns whether the registry's answer to mounts with evidence `standing` is known.
    pub(crate) fn is_tried(self, standing: MountConfidence) -> bool {
        let habit = match standing {
            MountConfidence::Uncommitted => self.uncommitted,
            MountConfidence::Committed | MountConfidence::Recorded => self.committed,
            MountConfidence::Source => self.source,
        };
        habit != MountRecord::Untried
    }
    /// Returns whether it is worth waiting until a manifest in another repository of the registry names the blob: the
    /// registry refuses blobs that no manifest names, and may mount the others.
    pub(crate) fn is_commit_worth_awaiting(self) -> bool {
        self.uncommitted == MountRecord::Declines && self.committed != MountRecord::Declines
    }
    /// Notes that a mount succeeded.
    pub(crate) fn record_success(&mut self, standing: MountConfidence) {
        match standing {
            MountConfidence::Source => self.source = MountRecord::Takes,
            MountConfidence::Committed => self.committed = MountRecord::Takes,
            MountConfidence::Uncommitted => {
                self.uncommitted = MountRecord::Takes;
                self.committed = MountRecord::Takes;
            }
            MountConfidence::Recorded => {
                self.committed = MountRecord::Takes;
                self.misled = 0;
            }
        }
    }
    /// Notes that the registry opened a session instead of a mount.
    pub(crate) fn declined(&mut self, standing: MountConfidence) {
        match standing {
            MountConfidence::Source => self.source.record_refusal(),
            MountConfidence::Uncommitted => self.uncommitted.record_refusal(),
            MountConfidence::Committed => {
                self.committed.record_refusal();
                self.uncommitted.record_refusal();
            }
            MountConfidence::Recorded => self.misled = self.misled.saturating_add(1),
        }
    }
}

impl MountRecord {
    fn record_refusal(&mut self) {
        if *self == Self::Untried {
            *self = Self::Declines;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_MISLED, MountCapability, MountConfidence};

    const ALL: [MountConfidence; 4] = [
        MountConfidence::Uncommitted,
        MountConfidence::Committed,
        MountConfidence::Source,
        MountConfidence::Recorded,
    ];

    #[test]
    fn a_registry_that_was_never_asked_is_worth_asking() {
        assert!(
            ALL.iter()
                .all(|standing| MountCapability::default().is_worth_trying(*standing))
        );
    }

    #[test]
    fn a_refusal_tells_of_weaker_claims_only() {
        let mut mounting = MountCapability::default();
        mounting.declined(MountConfidence::Uncommitted);
        assert_eq!(
            ALL.map(|standing| mounting.is_worth_trying(standing)),
            [false, true, true, true]
        );
        mounting.declined(MountConfidence::Committed);
        assert_eq!(
            ALL.map(|standing| mounting.is_worth_trying(standing)),
            [false, false, true, false]
        );
        let mut mounting = MountCapability::default();
        mounting.declined(MountConfidence::Committed);
        assert!(!mounting.is_worth_awaiting());
    }

    #[test]
    fn a_refusal_after_a_mount_is_that_of_one_repository() {
        for standing in ALL {
            let mut mounting = MountCapability::default();
            mounting.record_success(standing);
            mounting.declined(standing);
            assert!(mounting.is_worth_trying(standing), "{standing:?}");
        }
    }

    #[test]
    fn a_mount_makes_up_for_a_refusal() {
        let mut mounting = MountCapability::default();
        mounting.declined(MountConfidence::Committed);
        mounting.record_success(MountConfidence::Uncommitted);
        assert!(
            mounting.is_worth_awaiting() && mounting.is_worth_trying(MountConfidence::Committed)
        );
    }

    #[test]
    fn what_the_records_are_refused_says_nothing_of_other_repositories() {
        let mut mounting = MountCapability::default();
        for _ in 0..MAX_MISLED {
            assert!(mounting.is_worth_trying(MountConfidence::Recorded));
            mounting.declined(MountConfidence::Recorded);
        }
        assert_eq!(
            ALL.map(|standing| mounting.is_worth_trying(standing)),
            [true, true, true, false]
        );
        assert!(mounting.is_worth_awaiting() && !mounting.is_known_to_mount());
        mounting.record_success(MountConfidence::Recorded);
        assert!(
            mounting.is_worth_trying(MountConfidence::Recorded) && mounting.is_known_to_mount()
        );
    }

    #[test]
    fn what_the_source_is_refused_says_nothing_of_other_repositories() {
        let mut mounting = MountCapability::default();
        mounting.declined(MountConfidence::Source);
        assert!(!mounting.is_worth_trying(MountConfidence::Source));
        assert!(
            mounting.is_worth_awaiting() && mounting.is_worth_trying(MountConfidence::Committed)
        );
    }
}
