//! A registry or a repository, as far as access and errors are concerned.

use crate::reference::{Registry, Repository};

/// A registry as a whole, or one of its repositories: the part that a request reads or changes, and that a credential
/// is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    /// The registry: its base URL, its catalog.
    Registry(Registry),
    /// A repository, with everything below it.
    Repository(Repository),
}

impl Resource {
    /// Returns the registry.
    pub(crate) fn registry(&self) -> &Registry {
        match self {
            Self::Registry(registry) => registry,
            Self::Repository(repository) => repository.registry(),
        }
    }
    /// Returns the repository; `None` for a registry as a whole.
    pub(crate) fn repository(&self) -> Option<&Repository> {
        match self {
            Self::Registry(_) => None,
            Self::Repository(repository) => Some(repository),
        }
    }
    /// Returns the path of the repository; empty for a registry as a whole.
    pub(crate) fn path(&self) -> &str {
        self.repository().map_or("", Repository::path)
    }
}

impl From<&Registry> for Resource {
    fn from(registry: &Registry) -> Self {
        Self::Registry(registry.clone())
    }
}

impl From<&Repository> for Resource {
    fn from(repository: &Repository) -> Self {
        Self::Repository(repository.clone())
    }
}

impl From<&Resource> for Resource {
    fn from(resource: &Resource) -> Self {
        resource.clone()
    }
}
