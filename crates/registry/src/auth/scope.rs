//! Scopes of a token request (docs/protocol.md#scopes).

use crate::reference::Repository;

/// What may be done to a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Read.
    Pull,
    /// Read and write (`pull,push`).
    Push,
}

/// An ordered set of scopes; the push scope comes first, since some servers honour only the first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ScopeSet {
    repositories: Vec<(String, Action)>,
}

impl ScopeSet {
    /// To read from `repository`.
    pub fn pull(repository: &Repository) -> Self {
        Self {
            repositories: vec![(repository.path().to_owned(), Action::Pull)],
        }
    }
    /// To write to `repository`.
    pub fn push(repository: &Repository) -> Self {
        Self {
            repositories: vec![(repository.path().to_owned(), Action::Push)],
        }
    }
    /// To write to `target` and mount from `from`.
    pub fn mount(target: &Repository, from: &Repository) -> Self {
        let mut set = Self::push(target);
        if from != target {
            set.repositories
                .push((from.path().to_owned(), Action::Pull));
        }
        set
    }
    /// To write to `target` alone, for a server that refuses the repositories to mount from.
    pub(super) fn without_sources(&self) -> Self {
        Self {
            repositories: self.repositories.iter().take(1).cloned().collect(),
        }
    }
    /// Repository paths and what may be done to each, push first.
    pub fn repositories(&self) -> &[(String, Action)] {
        &self.repositories
    }
    /// The path of the first repository; empty where there is none.
    pub(super) fn head(&self) -> &str {
        self.repositories
            .first()
            .map_or("", |(path, _)| path.as_str())
    }
    /// Whether whoever holds a token for `self` may do all that `other` asks for.
    pub fn covers(&self, other: &Self) -> bool {
        other.repositories.iter().all(|(path, action)| {
            self.repositories
                .iter()
                .any(|(own, granted)| own == path && granted >= action)
        })
    }
}
