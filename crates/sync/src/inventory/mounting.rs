//! How a registry answers mounts, learnt from its answers.

/// What speaks for a mount from a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Standing {
    /// The blob was brought there; no manifest there is known to name it. Some registries (ECR) mount only what a
    /// manifest names.
    Uncommitted,
    /// A manifest that names the blob stands there.
    Committed,
    /// It is the source that the image is copied from, in the same registry: a manifest names the blob, but the
    /// credential that pushes may not be allowed to pull there.
    Source,
}

/// How a registry has answered mounts so far, by what spoke for them.
///
/// A refusal counts until a mount has succeeded; from then on the registry is known to mount, and a refusal is that
/// of one repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mounting {
    uncommitted: Habit,
    committed: Habit,
    source: Habit,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Habit {
    #[default]
    Untried,
    Declines,
    Takes,
}

impl Mounting {
    /// Whether a mount from a repository of this `standing` is worth asking for.
    pub(crate) fn worth_asking(self, standing: Standing) -> bool {
        let habit = match standing {
            Standing::Uncommitted => self.uncommitted,
            Standing::Committed => self.committed,
            Standing::Source => self.source,
        };
        habit != Habit::Declines
    }
    /// Whether a blob that is on its way to another repository of the registry is worth waiting for: it will have
    /// come there long before its manifest.
    pub(crate) fn worth_awaiting(self) -> bool {
        self.worth_asking(Standing::Uncommitted)
    }
    /// A mount succeeded.
    pub(crate) fn taken(&mut self, standing: Standing) {
        match standing {
            Standing::Source => self.source = Habit::Takes,
            Standing::Committed => self.committed = Habit::Takes,
            Standing::Uncommitted => {
                self.uncommitted = Habit::Takes;
                self.committed = Habit::Takes;
            }
        }
    }
    /// The registry opened a session instead.
    pub(crate) fn declined(&mut self, standing: Standing) {
        match standing {
            Standing::Source => self.source.decline(),
            Standing::Uncommitted => self.uncommitted.decline(),
            Standing::Committed => {
                self.committed.decline();
                self.uncommitted.decline();
            }
        }
    }
}

impl Habit {
    fn decline(&mut self) {
        if *self == Self::Untried {
            *self = Self::Declines;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Mounting, Standing};

    const ALL: [Standing; 3] = [Standing::Uncommitted, Standing::Committed, Standing::Source];

    #[test]
    fn a_registry_that_was_never_asked_is_worth_asking() {
        assert!(
            ALL.iter()
                .all(|standing| Mounting::default().worth_asking(*standing))
        );
    }

    #[test]
    fn a_refusal_tells_of_weaker_claims_only() {
        let mut mounting = Mounting::default();
        mounting.declined(Standing::Uncommitted);
        assert_eq!(
            ALL.map(|standing| mounting.worth_asking(standing)),
            [false, true, true]
        );
        mounting.declined(Standing::Committed);
        assert_eq!(
            ALL.map(|standing| mounting.worth_asking(standing)),
            [false, false, true]
        );
        let mut mounting = Mounting::default();
        mounting.declined(Standing::Committed);
        assert!(!mounting.worth_awaiting());
    }

    #[test]
    fn a_refusal_after_a_mount_is_that_of_one_repository() {
        for standing in ALL {
            let mut mounting = Mounting::default();
            mounting.taken(standing);
            mounting.declined(standing);
            assert!(mounting.worth_asking(standing), "{standing:?}");
        }
    }

    #[test]
    fn a_mount_makes_up_for_a_refusal() {
        let mut mounting = Mounting::default();
        mounting.declined(Standing::Committed);
        mounting.taken(Standing::Uncommitted);
        assert!(mounting.worth_awaiting() && mounting.worth_asking(Standing::Committed));
    }

    #[test]
    fn what_the_source_is_refused_says_nothing_of_other_repositories() {
        let mut mounting = Mounting::default();
        mounting.declined(Standing::Source);
        assert!(!mounting.worth_asking(Standing::Source));
        assert!(mounting.worth_awaiting() && mounting.worth_asking(Standing::Committed));
    }
}
