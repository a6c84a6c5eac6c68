//! Scopes of a token request (docs/protocol.md#scopes).

use crate::reference::Repository;

/// Kind of access to a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Read access.
    Pull,
    /// Read and write access (`pull,push`).
    Push,
    /// Deletion (`delete`), which distribution requires alone.
    Delete,
}

impl Action {
    /// Returns whether a token for `self` permits `other` as well.
    fn includes(self, other: Self) -> bool {
        self == other || (self, other) == (Self::Push, Self::Pull)
    }
}

/// An ordered set of scopes; the push scope comes first, since some servers honour only the first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ScopeSet {
    repositories: Vec<(String, Action)>,
    /// The list of repositories.
    catalog: bool,
}

impl ScopeSet {
    /// Returns the scope to read from `repository`.
    pub fn pull(repository: &Repository) -> Self {
        Self::one(repository, Action::Pull)
    }
    /// Returns the scope to write to `repository`.
    pub fn push(repository: &Repository) -> Self {
        Self::one(repository, Action::Push)
    }
    /// Returns the scope to delete content of `repository`.
    pub fn delete(repository: &Repository) -> Self {
        Self::one(repository, Action::Delete)
    }
    /// Returns the scope to list the repositories of the registry.
    pub fn catalog() -> Self {
        Self {
            repositories: Vec::new(),
            catalog: true,
        }
    }
    fn one(repository: &Repository, action: Action) -> Self {
        Self {
            repositories: vec![(repository.path().to_owned(), action)],
            catalog: false,
        }
    }
    /// Returns the scopes to write to `target` and to mount from `from`.
    pub fn mount(target: &Repository, from: &Repository) -> Self {
        let mut set = Self::push(target);
        if from != target {
            set.repositories
                .push((from.path().to_owned(), Action::Pull));
        }
        set
    }
    /// Returns the first scope alone, for a server that refuses the repositories to mount from.
    pub(super) fn without_sources(&self) -> Self {
        Self {
            repositories: self.repositories.iter().take(1).cloned().collect(),
            catalog: self.catalog,
        }
    }
    /// Returns the first scope for `repository` instead, which another registry calls by another path.
    pub(crate) fn moved_to(&self, repository: &Repository) -> Self {
        let first = self.repositories.first();
        let moved = first.map(|(_, action)| (repository.path().to_owned(), *action));
        Self {
            repositories: moved.into_iter().collect(),
            catalog: false,
        }
    }
    /// Returns repository paths with their access, push first.
    pub fn repositories(&self) -> &[(String, Action)] {
        &self.repositories
    }
    /// Returns whether the list of repositories is in the set.
    pub(super) fn lists_repositories(&self) -> bool {
        self.catalog
    }
    /// Returns the path of the first repository, or an empty text.
    pub(super) fn head(&self) -> &str {
        self.repositories
            .first()
            .map_or("", |(path, _)| path.as_str())
    }
    /// Returns whether a token for `self` permits everything in `other`.
    pub fn covers(&self, other: &Self) -> bool {
        let has_catalog = self.catalog || !other.catalog;
        has_catalog
            && other.repositories.iter().all(|(path, action)| {
                self.repositories
                    .iter()
                    .any(|(own, granted)| own == path && granted.includes(*action))
            })
    }
}
