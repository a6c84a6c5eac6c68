//! The part of a list of repositories that is needed.

use std::fmt;
use std::sync::Arc;

/// Filter of the first components of repositories.
type NamespaceFilter = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Repositories that a list has to contain.
#[derive(Clone, Default)]
pub struct RepositoryScope {
    prefix: String,
    namespaces: Option<NamespaceFilter>,
}

impl RepositoryScope {
    /// Returns the scope of the repositories below `prefix`, a path of whole components; empty for all.
    pub fn below(prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            namespaces: None,
        }
    }
    /// Leaves out the repositories whose first component is refused by `filter`, so that projects of Harbor are not
    /// listed in vain.
    #[must_use]
    pub fn with_namespaces(
        mut self,
        filter: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.namespaces = Some(Arc::new(filter));
        self
    }
    /// Returns the path that all repositories begin with; empty for all.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
    /// Returns the filter of first components.
    pub(super) fn namespaces(&self) -> Option<NamespaceFilter> {
        self.namespaces.clone()
    }
}

impl fmt::Debug for RepositoryScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RepositoryScope")
            .field("prefix", &self.prefix)
            .field("has_namespaces", &self.namespaces.is_some())
            .finish()
    }
}
