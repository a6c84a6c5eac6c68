//! Sets of repositories that need little memory: a run may know millions of pairs of repository and blob.

/// Repository of a registry by its id there, with the evidence that the content is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KnownRepository(u32);

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

/// This run uploaded the content there.
const UPLOADED: u32 = 1 << 29;

/// Maximum number of repositories of a registry.
pub(super) const MAX_REPOSITORIES: u32 = UPLOADED;

impl KnownRepository {
    /// Repository of this id, which is below [`MAX_REPOSITORIES`].
    pub(super) fn new(repository: u32, committed: bool) -> Self {
        Self(repository | if committed { COMMITTED } else { 0 })
    }
    /// Repository of this id that this run uploaded the content to.
    pub(super) fn uploaded(repository: u32) -> Self {
        Self(repository | UPLOADED)
    }
    /// Repository of this id in which only the records place the content.
    pub(super) fn recorded(repository: u32) -> Self {
        Self(repository | RECORDED)
    }
    pub(super) fn repository(self) -> u32 {
        self.0 & !(COMMITTED | RECORDED | UPLOADED)
    }
    pub(super) fn is_committed(self) -> bool {
        self.0 & COMMITTED != 0
    }
    pub(super) fn is_uploaded(self) -> bool {
        self.0 & UPLOADED != 0
    }
    pub(super) fn is_recorded(self) -> bool {
        self.0 & RECORDED != 0
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
    /// Returns whether this run knows the content to be in that repository.
    pub(super) fn contains(&self, repository: u32) -> bool {
        self.get(repository)
            .is_some_and(|location| !location.is_recorded())
    }
    /// Adds `location`. Committed and uploaded content stays so, and a fact of this run replaces a recorded one. When
    /// the set grows, repositories that are not `is_known` are removed.
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
                (false, false) => known.0 |= location.0,
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
    /// Returns the set without the recorded entry of that repository; `None` if nothing is left.
    pub(super) fn without_recorded(&self, repository: u32) -> Option<Self> {
        let stays = |location: &KnownRepository| {
            !(location.is_recorded() && location.repository() == repository)
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
    use super::{KnownRepository, RepositorySet};

    fn numbers(locations: &RepositorySet) -> Vec<(u32, bool)> {
        locations
            .as_slice()
            .iter()
            .map(|location| (location.repository(), location.is_committed()))
            .collect()
    }

    #[test]
    fn repositories_are_kept_in_order_once_each_and_stay_committed() {
        let mut locations = RepositorySet::One(KnownRepository::new(7, false));
        locations.add(KnownRepository::new(3, true), |_| true);
        locations.add(KnownRepository::new(7, true), |_| true);
        locations.add(KnownRepository::new(3, false), |_| true);
        assert_eq!(numbers(&locations), [(7, true), (3, true)]);
        assert!(locations.contains(3) && !locations.contains(4));
    }

    #[test]
    fn an_uploaded_blob_stays_marked() {
        let mut locations = RepositorySet::One(KnownRepository::recorded(7));
        locations.add(KnownRepository::uploaded(7), |_| true);
        locations.add(KnownRepository::new(7, true), |_| true);
        let location = locations.get(7).unwrap();
        assert!(location.is_uploaded() && location.is_committed() && !location.is_recorded());
        assert_eq!(numbers(&locations), [(7, true)]);
        assert!(!KnownRepository::new(7, true).is_uploaded());
    }

    #[test]
    fn forgotten_repositories_are_removed_when_the_set_grows() {
        let mut locations = RepositorySet::One(KnownRepository::new(1, false));
        locations.add(KnownRepository::new(2, false), |_| true);
        locations.add(KnownRepository::new(3, false), |number| number != 1);
        assert_eq!(numbers(&locations), [(2, false), (3, false)]);
        locations.add(KnownRepository::new(4, false), |_| false);
        assert_eq!(
            locations,
            RepositorySet::One(KnownRepository::new(4, false))
        );
    }

    #[test]
    fn facts_of_the_run_replace_recorded_ones() {
        let mut locations = RepositorySet::One(KnownRepository::recorded(1));
        assert!(!locations.contains(1) && locations.get(1).unwrap().is_recorded());
        locations.add(KnownRepository::new(1, false), |_| true);
        assert!(locations.contains(1) && !locations.get(1).unwrap().is_recorded());
        locations.add(KnownRepository::recorded(1), |_| true);
        assert_eq!(
            locations,
            RepositorySet::One(KnownRepository::new(1, false))
        );
        locations.add(KnownRepository::recorded(2), |_| true);
        locations.add(KnownRepository::new(3, true), |_| true);
        assert_eq!(locations.without_recorded(1), locations.without_recorded(9));
        let rest = locations.without_recorded(2).unwrap();
        assert_eq!(numbers(&rest), [(1, false), (3, true)]);
        assert_eq!(
            RepositorySet::One(KnownRepository::recorded(7)).without_recorded(7),
            None
        );
    }

    #[test]
    fn a_set_takes_16_bytes() {
        assert_eq!(size_of::<RepositorySet>(), 16);
    }
}
