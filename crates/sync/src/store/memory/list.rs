//! Lists of tags and repositories.

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryFutureExt};
use image_syncer_registry::{Error, ErrorKind, ListedTag, Tag};

use crate::store::memory::store::MemoryStore;
use crate::store::memory::{MemoryStores, State};
use crate::store::repository::is_below;
use crate::store::{RepositoryPage, RepositoryPages, StoreError, StoreResult, TagDetail, Tags};
use crate::{Endpoint, Repository};

pub(super) struct MemoryTags {
    stores: MemoryStores,
    repository: Repository,
    /// True while the pages have digests.
    digests: bool,
    from: usize,
    with_side: fn(Error) -> StoreError,
}

pub(super) struct MemoryRepositories {
    stores: MemoryStores,
    endpoint: Endpoint,
    prefix: String,
    from: usize,
}

impl MemoryStore {
    /// Returns true if the registry lists digests, and this is known or may be found out by a probe.
    pub(super) async fn knows_digest_list(&self, may_probe: bool) -> bool {
        let endpoint = self.repository.endpoint();
        let known = {
            let state = self.stores.state();
            let listing = state.listings.get(endpoint);
            listing.is_none_or(|listing| !listing.is_hidden)
        };
        if !known {
            if !may_probe {
                return false;
            }
            let probe = format!("probe {endpoint}");
            if self.stores.begin_call(probe).await.is_err() {
                return false;
            }
        }
        let mut state = self.stores.state();
        let listing = state.listings.get_mut(endpoint);
        listing.is_some_and(|listing| {
            listing.is_hidden = false;
            !listing.has_failed
        })
    }
}

impl MemoryTags {
    pub(super) fn new(
        store: &MemoryStore,
        detail: TagDetail,
        with_side: fn(Error) -> StoreError,
    ) -> Self {
        let listings = &store.stores.state().listings;
        Self {
            stores: store.stores.clone(),
            repository: store.repository.clone(),
            digests: detail == TagDetail::Digests
                && listings.contains_key(store.repository.endpoint()),
            from: 0,
            with_side,
        }
    }
    /// Continues with the names of the other tags. Later lists of the registry have names only.
    fn fail(&mut self) {
        self.digests = false;
        let mut state = self.stores.state();
        let listing = state.listings.get_mut(self.repository.endpoint());
        if let Some(listing) = listing {
            listing.has_failed = true;
        }
    }
    /// Returns true after the last page of a list with digests, which states its length.
    fn is_complete(&self) -> bool {
        let state = self.stores.state();
        let content = state.repositories.get(&self.repository);
        self.digests && self.from > 0 && content.is_some_and(|it| self.from >= it.tags.len())
    }
    async fn begin_call(&mut self) -> Result<(), Error> {
        if self.digests {
            let call = format!("digests {}", self.repository);
            if self.stores.begin_call(call).await.is_ok() {
                return Ok(());
            }
            self.fail();
        }
        let call = format!("tags {}", self.repository);
        self.stores.begin_call(call).await
    }
}

impl State {
    /// Returns the tag as the list of its repository shows it.
    fn listed(&self, repository: &Repository, tag: &Tag, digests: bool) -> ListedTag {
        let listing = self.listings.get(repository.endpoint());
        let Some(listing) = listing.filter(|_| digests) else {
            return tag.clone().into();
        };
        let key = (repository.clone(), tag.clone());
        let content = self.repositories.get(repository);
        let real = || content.and_then(|content| content.tags.get(tag).cloned());
        ListedTag {
            tag: tag.clone(),
            digest: listing.digests.get(&key).cloned().unwrap_or_else(real),
            pushed: listing.times.get(&key).copied(),
            without_referrers: false,
        }
    }
}

impl Tags for MemoryTags {
    fn next(&mut self) -> BoxFuture<'_, StoreResult<Option<Vec<ListedTag>>>> {
        let with_side = self.with_side;
        async move {
            if self.is_complete() {
                return Ok(None);
            }
            self.begin_call().await?;
            let state = self.stores.state();
            let Some(content) = state.repositories.get(&self.repository) else {
                let host = &self.repository.endpoint().to_string();
                let action = format!("list the tags of {}", self.repository.path());
                let message = "there is no such repository";
                let error = Error::new(ErrorKind::NotFound, action, host, message);
                return Err(error.with_code("NAME_UNKNOWN"));
            };
            let page = content.tags.keys().skip(self.from);
            let page = page.take(state.behaviour.page);
            let tags: Vec<ListedTag> = page
                .map(|tag| state.listed(&self.repository, tag, self.digests))
                .collect();
            self.from += tags.len();
            Ok((!tags.is_empty()).then_some(tags))
        }
        .map_err(with_side)
        .boxed()
    }
}

impl MemoryRepositories {
    pub(super) fn new(stores: &MemoryStores, endpoint: &Endpoint, prefix: &str) -> Self {
        Self {
            stores: stores.clone(),
            endpoint: endpoint.clone(),
            prefix: prefix.to_owned(),
            from: 0,
        }
    }
}

impl RepositoryPages for MemoryRepositories {
    fn next(&mut self) -> BoxFuture<'_, StoreResult<Option<RepositoryPage>>> {
        async move {
            let call = format!("repositories {}", self.endpoint);
            self.stores.begin_call(call).await?;
            let state = self.stores.state();
            let all = state.repositories.keys();
            let mut listed: Vec<Repository> = all
                .filter(|known| *known.endpoint() == self.endpoint)
                .filter(|known| is_below(known.path(), &self.prefix))
                .cloned()
                .collect();
            listed.sort();
            let total = Some(listed.len() as u64);
            let page = listed.into_iter().skip(self.from);
            let repositories: Vec<Repository> = page.take(state.behaviour.page).collect();
            self.from += repositories.len();
            Ok((!repositories.is_empty()).then_some(RepositoryPage {
                repositories,
                total,
            }))
        }
        .map_err(StoreError::source)
        .boxed()
    }
}
