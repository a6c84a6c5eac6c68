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

/// This run brought the content there.
const BROUGHT: u32 = 1 << 29;

/// Maximum number of repositories of a registry.
pub(super) const MAX_REPOSITORIES: u32 = BROUGHT;

impl KnownRepository {
    /// Repository of this id, which is below [`MAX_REPOSITORIES`].
    pub(super) fn new(repository: u32, committed: bool) -> Self {
        Self(repository | if committed { COMMITTED } else { 0 })
    }
    /// Repository of this id that this run brought the content to.
    pub(super) fn uploaded(repository: u32) -> Self {
        Self(repository | BROUGHT)
    }
    /// Repository of this id in which only the records place the content.
    pub(super) fn recorded(repository: u32) -> Self {
        Self(repository | RECORDED)
    }
    pub(super) fn repository(self) -> u32 {
        self.0 & !(COMMITTED | RECORDED | BROUGHT)
    }
    pub(super) fn is_committed(self) -> bool {
        self.0 & COMMITTED != 0
    }
    pub(super) fn is_uploaded(self) -> bool {
        self.0 & BROUGHT != 0
    }
    pub(super) fn is_recorded(self) -> bool {
        self.0 & RECORDED != 0
    }
}

impl RepositorySet {
    pub(super) fn as_slice(&self) -> &[KnownRepository] {
        match self {
            Self::One(place) => std::slice::from_ref(place),
            Self::Many(places) => places,
        }
    }
    /// Returns the entry of that repository.
    pub(super) fn get(&self, repository: u32) -> Option<KnownRepository> {
        let mut places = self.as_slice().iter().copied();
        places.find(|place| place.repository() == repository)
    }
    /// Returns whether this run knows the content to be in that repository.
    pub(super) fn contains(&self, repository: u32) -> bool {
        self.get(repository)
            .is_some_and(|place| !place.is_recorded())
    }
    /// Adds `place`. Committed and brought content stays so, and a fact of this run replaces a recorded one. When the
    /// set grows, repositories that are not `alive` are removed.
    pub(super) fn add(&mut self, place: KnownRepository, alive: impl Fn(u32) -> bool) {
        let known = match self {
            Self::One(known) => std::slice::from_mut(known),
            Self::Many(places) => places,
        };
        if let Some(known) = known
            .iter_mut()
            .find(|known| known.repository() == place.repository())
        {
            match (known.is_recorded(), place.is_recorded()) {
                (_, true) => {}
                (true, false) => *known = place,
                (false, false) => known.0 |= place.0,
            }
            return;
        }
        let mut places: Vec<KnownRepository> = known
            .iter()
            .copied()
            .filter(|known| alive(known.repository()))
            .collect();
        *self = if places.is_empty() {
            Self::One(place)
        } else {
            places.reserve_exact(1);
            places.push(place);
            Self::Many(places.into_boxed_slice())
        };
    }
    /// Returns the set without the recorded entry of that repository; `None` if nothing is left.
    pub(super) fn without_recorded(&self, repository: u32) -> Option<Self> {
        let stays =
            |place: &KnownRepository| !(place.is_recorded() && place.repository() == repository);
        let places: Vec<KnownRepository> = self.as_slice().iter().copied().filter(stays).collect();
        match places.as_slice() {
            [] => None,
            [place] => Some(Self::One(*place)),
            _ => Some(Self::Many(places.into_boxed_slice())),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{KnownRepository, RepositorySet};

    fn numbers(places: &RepositorySet) -> Vec<(u32, bool)> {
        places
            .as_slice()
            .iter()
            .map(|place| (place.repository(), place.is_committed()))
            .collect()
    }

    #[test]
    fn places_are_kept_in_order_once_each_and_stay_committed() {
        let mut places = RepositorySet::One(KnownRepository::new(7, false));
        places.add(KnownRepository::new(3, true), |_| true);
        places.add(KnownRepository::new(7, true), |_| true);
        places.add(KnownRepository::new(3, false), |_| true);
        assert_eq!(numbers(&places), [(7, true), (3, true)]);
        assert!(places.contains(3) && !places.contains(4));
    }

    #[test]
    fn what_was_brought_stays_so() {
        let mut places = RepositorySet::One(KnownRepository::recorded(7));
        places.add(KnownRepository::uploaded(7), |_| true);
        places.add(KnownRepository::new(7, true), |_| true);
        let place = places.get(7).unwrap();
        assert!(place.is_uploaded() && place.is_committed() && !place.is_recorded());
        assert_eq!(numbers(&places), [(7, true)]);
        assert!(!KnownRepository::new(7, true).is_uploaded());
    }

    #[test]
    fn the_dead_leave_when_the_set_grows() {
        let mut places = RepositorySet::One(KnownRepository::new(1, false));
        places.add(KnownRepository::new(2, false), |_| true);
        places.add(KnownRepository::new(3, false), |number| number != 1);
        assert_eq!(numbers(&places), [(2, false), (3, false)]);
        places.add(KnownRepository::new(4, false), |_| false);
        assert_eq!(places, RepositorySet::One(KnownRepository::new(4, false)));
    }

    #[test]
    fn what_the_run_knows_outweighs_the_records() {
        let mut places = RepositorySet::One(KnownRepository::recorded(1));
        assert!(!places.contains(1) && places.get(1).unwrap().is_recorded());
        places.add(KnownRepository::new(1, false), |_| true);
        assert!(places.contains(1) && !places.get(1).unwrap().is_recorded());
        places.add(KnownRepository::recorded(1), |_| true);
        assert_eq!(places, RepositorySet::One(KnownRepository::new(1, false)));
        places.add(KnownRepository::recorded(2), |_| true);
        places.add(KnownRepository::new(3, true), |_| true);
        assert_eq!(places.without_recorded(1), places.without_recorded(9));
        let rest = places.without_recorded(2).unwrap();
        assert_eq!(numbers(&rest), [(1, false), (3, true)]);
        assert_eq!(
            RepositorySet::One(KnownRepository::recorded(7)).without_recorded(7),
            None
        );
    }

    #[test]
    fn a_set_is_two_words() {
        assert_eq!(size_of::<RepositorySet>(), 16);
    }
}
