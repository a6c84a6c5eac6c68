//! Sets of repositories that need little memory: a run may know millions of pairs of repository and blob.

/// Position in the order in which the runs of a session began: the number of runs that had begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Epoch(pub(super) u32);

/// Repository of a registry by its id there, with the evidence that the content is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KnownRepository {
    /// Id and flags.
    bits: u32,
    /// Epoch in which this was learned.
    learned: Epoch,
}

/// Repositories of one content, in the order in which they became known. Nearly all content has one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RepositorySet {
    /// One repository, without an allocation.
    One(KnownRepository),
    /// Several repositories; grows by exactly one, as it rarely grows.
    Many(Box<[KnownRepository]>),
}

/// A manifest in the repository names the content.
const COMMITTED: u32 = 1 << 31;

/// Only the records place the content there.
const RECORDED: u32 = 1 << 30;

/// A run uploaded the content there.
const UPLOADED: u32 = 1 << 29;

/// Maximum number of repositories of a registry.
pub(super) const MAX_REPOSITORIES: u32 = UPLOADED;

impl KnownRepository {
    /// Repository of this id, which is below [`MAX_REPOSITORIES`].
    pub(super) fn new(repository: u32, committed: bool, learned: Epoch) -> Self {
        let bits = repository | if committed { COMMITTED } else { 0 };
        Self { bits, learned }
    }
    /// Repository of this id that a run uploaded the content to.
    pub(super) fn uploaded(repository: u32, learned: Epoch) -> Self {
        let bits = repository | UPLOADED;
        Self { bits, learned }
    }
    /// Repository of this id in which only the records place the content.
    pub(super) fn recorded(repository: u32, learned: Epoch) -> Self {
        let bits = repository | RECORDED;
        Self { bits, learned }
    }
    pub(super) fn repository(self) -> u32 {
        self.bits & !(COMMITTED | RECORDED | UPLOADED)
    }
    pub(super) fn is_committed(self) -> bool {
        self.bits & COMMITTED != 0
    }
    /// Returns whether a run uploaded the content there after `since`.
    pub(super) fn is_uploaded(self, since: Epoch) -> bool {
        self.bits & UPLOADED != 0 && self.learned >= since
    }
    fn is_recorded(self) -> bool {
        self.bits & RECORDED != 0
    }
    /// Returns whether this is only a hint for a run that began at `since`: it comes from the records, or an earlier run
    /// learned it. The content may have been deleted since.
    pub(super) fn is_hint(self, since: Epoch) -> bool {
        self.is_recorded() || self.learned < since
    }
    /// Adds what is known from `newer`, which is not from the records either.
    fn merge(&mut self, newer: Self) {
        if newer.learned > self.learned {
            // An upload by an earlier run is none of this one.
            self.bits &= !UPLOADED;
            self.learned = newer.learned;
        }
        self.bits |= newer.bits;
    }
}

impl RepositorySet {
    pub(super) fn as_slice(&self) -> &[KnownRepository] {
        match self {
            Self::One(location) => std::slice::from_ref(location),
            Self::Many(locations) => locations,
        }
    }
    /// Returns the entry of that repository.
    pub(super) fn get(&self, repository: u32) -> Option<KnownRepository> {
        let mut locations = self.as_slice().iter().copied();
        locations.find(|location| location.repository() == repository)
    }
    /// Returns whether a run that began at `since` knows the content to be in that repository.
    pub(super) fn contains(&self, repository: u32, since: Epoch) -> bool {
        self.get(repository)
            .is_some_and(|location| !location.is_hint(since))
    }
    /// Adds `location`. Committed and uploaded content stays so, and an observed fact replaces a recorded one. When the
    /// set grows, repositories that are not `is_known` are removed.
    pub(super) fn add(&mut self, location: KnownRepository, is_known: impl Fn(u32) -> bool) {
        let known = match self {
            Self::One(known) => std::slice::from_mut(known),
            Self::Many(locations) => locations,
        };
        if let Some(known) = known
            .iter_mut()
            .find(|known| known.repository() == location.repository())
        {
            match (known.is_recorded(), location.is_recorded()) {
                (_, true) => {}
                (true, false) => *known = location,
                (false, false) => known.merge(location),
            }
            return;
        }
        let mut locations: Vec<KnownRepository> = known
            .iter()
            .copied()
            .filter(|known| is_known(known.repository()))
            .collect();
        *self = if locations.is_empty() {
            Self::One(location)
        } else {
            locations.reserve_exact(1);
            locations.push(location);
            Self::Many(locations.into_boxed_slice())
        };
    }
    /// Returns the set without the entry of that repository, if it is only a hint; `None` if nothing is left.
    pub(super) fn without_hint(&self, repository: u32, since: Epoch) -> Option<Self> {
        let stays = |location: &KnownRepository| {
            !(location.is_hint(since) && location.repository() == repository)
        };
        let locations: Vec<KnownRepository> =
            self.as_slice().iter().copied().filter(stays).collect();
        match locations.as_slice() {
            [] => None,
            [location] => Some(Self::One(*location)),
            _ => Some(Self::Many(locations.into_boxed_slice())),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Epoch, KnownRepository, RepositorySet};

    const NOW: Epoch = Epoch(1);

    fn numbers(locations: &RepositorySet) -> Vec<(u32, bool)> {
        locations
            .as_slice()
            .iter()
            .map(|location| (location.repository(), location.is_committed()))
            .collect()
    }

    #[test]
    fn repositories_are_kept_in_order_once_each_and_stay_committed() {
        let mut locations = RepositorySet::One(KnownRepository::new(7, false, NOW));
        locations.add(KnownRepository::new(3, true, NOW), |_| true);
        locations.add(KnownRepository::new(7, true, NOW), |_| true);
        locations.add(KnownRepository::new(3, false, NOW), |_| true);
        assert_eq!(numbers(&locations), [(7, true), (3, true)]);
        assert!(locations.contains(3, NOW) && !locations.contains(4, NOW));
    }

    #[test]
    fn an_uploaded_blob_stays_marked() {
        let mut locations = RepositorySet::One(KnownRepository::recorded(7, NOW));
        locations.add(KnownRepository::uploaded(7, NOW), |_| true);
        locations.add(KnownRepository::new(7, true, NOW), |_| true);
        let location = locations.get(7).unwrap();
        assert!(location.is_uploaded(NOW) && location.is_committed() && !location.is_recorded());
        assert_eq!(numbers(&locations), [(7, true)]);
        assert!(!KnownRepository::new(7, true, NOW).is_uploaded(NOW));
    }

    #[test]
    fn forgotten_repositories_are_removed_when_the_set_grows() {
        let mut locations = RepositorySet::One(KnownRepository::new(1, false, NOW));
        locations.add(KnownRepository::new(2, false, NOW), |_| true);
        locations.add(KnownRepository::new(3, false, NOW), |number| number != 1);
        assert_eq!(numbers(&locations), [(2, false), (3, false)]);
        locations.add(KnownRepository::new(4, false, NOW), |_| false);
        assert_eq!(
            locations,
            RepositorySet::One(KnownRepository::new(4, false, NOW))
        );
    }

    #[test]
    fn facts_of_the_run_replace_recorded_ones() {
        let mut locations = RepositorySet::One(KnownRepository::recorded(1, NOW));
        assert!(!locations.contains(1, NOW) && locations.get(1).unwrap().is_recorded());
        locations.add(KnownRepository::new(1, false, NOW), |_| true);
        assert!(locations.contains(1, NOW) && !locations.get(1).unwrap().is_recorded());
        locations.add(KnownRepository::recorded(1, NOW), |_| true);
        assert_eq!(
            locations,
            RepositorySet::One(KnownRepository::new(1, false, NOW))
        );
        locations.add(KnownRepository::recorded(2, NOW), |_| true);
        locations.add(KnownRepository::new(3, true, NOW), |_| true);
        assert_eq!(
            locations.without_hint(1, NOW),
            locations.without_hint(9, NOW)
        );
        let rest = locations.without_hint(2, NOW).unwrap();
        assert_eq!(numbers(&rest), [(1, false), (3, true)]);
        assert_eq!(
            RepositorySet::One(KnownRepository::recorded(7, NOW)).without_hint(7, NOW),
            None
        );
    }

    #[test]
    fn facts_of_earlier_runs_are_hints_until_they_are_learned_again() {
        let later = Epoch(2);
        let mut locations = RepositorySet::One(KnownRepository::uploaded(1, NOW));
        locations.add(KnownRepository::new(1, true, NOW), |_| true);
        assert!(locations.contains(1, NOW) && !locations.contains(1, later));
        assert_eq!(locations.without_hint(1, later), None);
        assert!(locations.without_hint(1, NOW).is_some());
        locations.add(KnownRepository::new(1, false, later), |_| true);
        let location = locations.get(1).unwrap();
        assert!(locations.contains(1, later) && location.is_committed());
        assert!(!location.is_uploaded(NOW));
    }

    #[test]
    fn a_set_takes_16_bytes() {
        assert_eq!(size_of::<RepositorySet>(), 16);
    }
}
