//! How a registry answers mounts, learnt from its answers.

/// What speaks for a mount from a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum MountConfidence {
    /// The blob was brought there; no manifest there is known to name it. Some registries (ECR) mount only what a
    /// manifest names.
    Uncommitted,
    /// A manifest that names the blob stands there.
    Committed,
    /// It is the source that the image is copied from, in the same registry: a manifest names the blob, but the
    /// credential that pushes may not be allowed to pull there.
    Source,
    /// The records say that a manifest that names the blob stands there. Either may be gone since.
    Recorded,
}

/// How a registry has answered mounts so far, by what spoke for them.
///
/// A refusal counts until a mount has succeeded; from then on the registry is known to mount, and a refusal is that
/// of one repository. What is refused of the records counts for nothing but the records: what they told of may be
/// gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MountCapability {
    uncommitted: MountRecord,
    committed: MountRecord,
    source: MountRecord,
    /// Mounts that were refused where the records had led, since one was taken.
    misled: u8,
    /// Said of a blob, asked by way of a mount from the repository itself, that it has it.
    tells_of_itself: bool,
}

/// So many refusals in a row where the records led, and they lead no more.
const MAX_MISLED: u8 = 8;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum MountRecord {
    #[default]
    Untried,
    Declines,
    Takes,
}

impl MountCapability {
    /// Whether a mount from a repository of this `standing` is worth asking for.
    pub(crate) fn is_worth_trying(self, standing: MountConfidence) -> bool {
        let habit = match standing {
            MountConfidence::Uncommitted => self.uncommitted,
            MountConfidence::Recorded if self.misled >= MAX_MISLED => return false,
            MountConfidence::Committed | MountConfidence::Recorded => self.committed,
            MountConfidence::Source => self.source,
        };
        habit != MountRecord::Declines
    }
    /// Whether the first request of an upload is known to tell that the repository has the blob already, so that no
    /// other need be made to learn that.
    pub(crate) fn reports_existing_blobs(self) -> bool {
        self.tells_of_itself
    }
    /// The first request of an upload told that the repository has the blob already.
    pub(crate) fn record_unrequested_hit(&mut self) {
        self.tells_of_itself = true;
    }
    /// Whether the registry is known to mount what a manifest names, so that a refusal is that of one repository.
    pub(crate) fn is_known_to_mount(self) -> bool {
        self.committed == MountRecord::Takes
    }
    /// Whether a blob that is on its way to another repository of the registry is worth waiting for: it will have
    /// come there long before its manifest.
    pub(crate) fn is_worth_awaiting(self) -> bool {
        self.is_worth_trying(MountConfidence::Uncommitted)
    }
    /// Whether it is known how the registry answers mounts from repositories of this `standing`.
    pub(crate) fn is_tried(self, standing: MountConfidence) -> bool {
        let habit = match standing {
            MountConfidence::Uncommitted => self.uncommitted,
            MountConfidence::Committed | MountConfidence::Recorded => self.committed,
            MountConfidence::Source => self.source,
        };
        habit != MountRecord::Untried
    }
    /// Whether a blob that was brought to another repository of the registry is worth waiting for until a manifest
    /// there names it: what no manifest names is declined, and what one names may be taken.
    pub(crate) fn is_commit_worth_awaiting(self) -> bool {
        self.uncommitted == MountRecord::Declines && self.committed != MountRecord::Declines
    }
    /// A mount succeeded.
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
    /// The registry opened a session instead.
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
