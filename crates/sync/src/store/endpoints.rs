//! Stores of every kind of endpoint.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::store::archive::Archives;
use crate::store::layout::LayoutStores;
use crate::store::{
    Destination, Endpoint, Repository, RepositoryPages, RepositoryScope, Source, StoreResult,
    StoredRoot, Stores, UnfinishedEndpoint,
};

/// Stores of registries, of image layouts and of archives.
pub struct EndpointStores {
    registries: Arc<dyn Stores>,
    layouts: LayoutStores,
}

impl EndpointStores {
    /// Creates stores over `registries`, and over the layouts that this process can access.
    pub fn new(registries: impl Stores + 'static) -> Self {
        Self::with_archives(registries, Archives::default())
    }
    /// Creates the same with `archives`, of which some may be open.
    pub fn with_archives(registries: impl Stores + 'static, archives: Archives) -> Self {
        Self {
            registries: Arc::new(registries),
            layouts: LayoutStores::new(archives),
        }
    }
    fn of_kind(&self, endpoint: &Endpoint) -> &dyn Stores {
        match endpoint {
            Endpoint::Layout(_) | Endpoint::Archive(..) => &self.layouts,
            Endpoint::Registry(_) => &*self.registries,
        }
    }
}

impl Stores for EndpointStores {
    fn source<'a>(
        &'a self,
        repository: &'a Repository,
    ) -> BoxFuture<'a, StoreResult<Arc<dyn Source>>> {
        self.of_kind(repository.endpoint()).source(repository)
    }
    fn destination<'a>(
        &'a self,
        repository: &'a Repository,
    ) -> BoxFuture<'a, StoreResult<Arc<dyn Destination>>> {
        self.of_kind(repository.endpoint()).destination(repository)
    }
    fn repositories<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        scope: &'a RepositoryScope,
    ) -> BoxFuture<'a, StoreResult<Box<dyn RepositoryPages>>> {
        self.of_kind(endpoint).repositories(endpoint, scope)
    }
    fn roots<'a>(
        &'a self,
        endpoint: &'a Endpoint,
    ) -> BoxFuture<'a, StoreResult<Option<Vec<StoredRoot>>>> {
        self.of_kind(endpoint).roots(endpoint)
    }
    fn finish(&self, stopped: bool) -> BoxFuture<'_, Vec<UnfinishedEndpoint>> {
        self.layouts.finish(stopped)
    }
}
