//! Mount behavior of a registry, learned from its answers.

/// Evidence for a mount from a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum MountConfidence {
    /// This run uploaded the blob there, and no manifest is known to name it. Some registries (ECR) mount only blobs
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
    wrong_hints: u8,
    /// The registry reported a blob as present in answer to the first request of an upload.
    reports_existing: bool,
}

/// Consecutive failed mounts after which recorded hints are ignored for this registry.
const MAX_WRONG_HINTS: u8 = 8;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum MountRecord {
    #[default]
    Untried,
    Refuses,
    Accepts,
}

impl MountCapability {
    /// Returns whether a mount with evidence `confidence` is worth a request.
    pub(crate) fn is_worth_trying(self, confidence: MountConfidence) -> bool {
        let record = match confidence {
            MountConfidence::Uncommitted => self.uncommitted,
            MountConfidence::Recorded if self.wrong_hints >= MAX_WRONG_HINTS => return false,
            MountConfidence::Committed | MountConfidence::Recorded => self.committed,
            MountConfidence::Source => self.source,
        };
        record != MountRecord::Refuses
    }
    /// Returns whether the first request of an upload is known to report blobs that are present, so that no other
    /// request is needed to check for them.
    pub(crate) fn reports_existing_blobs(self) -> bool {
        self.reports_existing
    }
    /// Notes that the first request of an upload reported a blob as present.
    pub(crate) fn record_unrequested_hit(&mut self) {
        self.reports_existing = true;
    }
    /// Returns whether the registry is known to mount blobs that a manifest names, so that a refusal is about one
    /// repository.
    pub(crate) fn is_known_to_mount(self) -> bool {
        self.committed == MountRecord::Accepts
    }
    /// Returns whether it is worth waiting for an upload of the blob to another repository of the registry, which ends
    /// long before the manifest is pushed there.
    pub(crate) fn is_worth_awaiting(self) -> bool {
        self.is_worth_trying(MountConfidence::Uncommitted)
    }
    /// Returns whether the registry's answer to mounts with evidence `confidence` is known.
    pub(crate) fn is_tried(self, confidence: MountConfidence) -> bool {
        let record = match confidence {
            MountConfidence::Uncommitted => self.uncommitted,
            MountConfidence::Committed | MountConfidence::Recorded => self.committed,
            MountConfidence::Source => self.source,
        };
        record != MountRecord::Untried
    }
    /// Returns whether it is worth waiting until a manifest in another repository of the registry names the blob: the
    /// registry refuses blobs that no manifest names, and may mount the others.
    pub(crate) fn is_commit_worth_awaiting(self) -> bool {
        self.uncommitted == MountRecord::Refuses && self.committed != MountRecord::Refuses
    }
    /// Notes that a mount succeeded.
    pub(crate) fn record_success(&mut self, confidence: MountConfidence) {
        match confidence {
            MountConfidence::Source => self.source = MountRecord::Accepts,
            MountConfidence::Committed => self.committed = MountRecord::Accepts,
            MountConfidence::Uncommitted => {
                self.uncommitted = MountRecord::Accepts;
                self.committed = MountRecord::Accepts;
            }
            MountConfidence::Recorded => {
                self.committed = MountRecord::Accepts;
                self.wrong_hints = 0;
            }
        }
    }
    /// Notes that the registry opened a session instead of a mount.
    pub(crate) fn record_refusal(&mut self, confidence: MountConfidence) {
        match confidence {
            MountConfidence::Source => self.source.record_refusal(),
            MountConfidence::Uncommitted => self.uncommitted.record_refusal(),
            MountConfidence::Committed => {
                self.committed.record_refusal();
                self.uncommitted.record_refusal();
            }
            MountConfidence::Recorded => self.wrong_hints = self.wrong_hints.saturating_add(1),
        }
    }
}

impl MountRecord {
    fn record_refusal(&mut self) {
        if *self == Self::Untried {
            *self = Self::Refuses;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_WRONG_HINTS, MountCapability, MountConfidence};

    const ALL: [MountConfidence; 4] = [
        MountConfidence::Uncommitted,
        MountConfidence::Committed,
        MountConfidence::Source,
        MountConfidence::Recorded,
    ];

    #[test]
    fn mounts_are_worth_trying_at_an_unknown_registry() {
        assert!(
            ALL.iter()
                .all(|confidence| MountCapability::default().is_worth_trying(*confidence))
        );
    }

    #[test]
    fn a_refusal_rules_out_weaker_evidence_only() {
        let mut mounting = MountCapability::default();
        mounting.record_refusal(MountConfidence::Uncommitted);
        assert_eq!(
            ALL.map(|confidence| mounting.is_worth_trying(confidence)),
            [false, true, true, true]
        );
        mounting.record_refusal(MountConfidence::Committed);
        assert_eq!(
            ALL.map(|confidence| mounting.is_worth_trying(confidence)),
            [false, false, true, false]
        );
        let mut mounting = MountCapability::default();
        mounting.record_refusal(MountConfidence::Committed);
        assert!(!mounting.is_worth_awaiting());
    }

    #[test]
    fn a_refusal_after_a_mount_concerns_one_repository() {
        for confidence in ALL {
            let mut mounting = MountCapability::default();
            mounting.record_success(confidence);
            mounting.record_refusal(confidence);
            assert!(mounting.is_worth_trying(confidence), "{confidence:?}");
        }
    }

    #[test]
    fn a_mount_cancels_a_refusal() {
        let mut mounting = MountCapability::default();
        mounting.record_refusal(MountConfidence::Committed);
        mounting.record_success(MountConfidence::Uncommitted);
        assert!(
            mounting.is_worth_awaiting() && mounting.is_worth_trying(MountConfidence::Committed)
        );
    }

    #[test]
    fn refused_mounts_of_recorded_blobs_say_nothing_about_others() {
        let mut mounting = MountCapability::default();
        for _ in 0..MAX_WRONG_HINTS {
            assert!(mounting.is_worth_trying(MountConfidence::Recorded));
            mounting.record_refusal(MountConfidence::Recorded);
        }
        assert_eq!(
            ALL.map(|confidence| mounting.is_worth_trying(confidence)),
            [true, true, true, false]
        );
        assert!(mounting.is_worth_awaiting() && !mounting.is_known_to_mount());
        mounting.record_success(MountConfidence::Recorded);
        assert!(
            mounting.is_worth_trying(MountConfidence::Recorded) && mounting.is_known_to_mount()
        );
    }

    #[test]
    fn refused_mounts_from_the_source_say_nothing_about_others() {
        let mut mounting = MountCapability::default();
        mounting.record_refusal(MountConfidence::Source);
        assert!(!mounting.is_worth_trying(MountConfidence::Source));
        assert!(
            mounting.is_worth_awaiting() && mounting.is_worth_trying(MountConfidence::Committed)
        );
    }
}
