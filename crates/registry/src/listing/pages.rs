//! The driver of all lists: sends the requests of a [`VendorApi`](crate::listing::VendorApi), follows pages, and
//! refuses lists that cannot be complete.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use http::StatusCode;

use crate::client::{ApiAccess, Client, FetchedPage};
use crate::error::{Error, ErrorKind};
use crate::listing::ApiRequest;
use crate::listing::vendor::{ApiEntry, ApiList, ApiPage, ListContent, PageContent, Position};
use crate::quote::quoted;

/// Maximum number of bytes of one page of an API: a hundred artifacts with their labels have some hundreds of
/// kilobytes.
const MAX_PAGE_BYTES: u64 = 16 * 1024 * 1024;
/// Maximum number of bytes of one page of a registry, which may send all tags of a repository at once.
const MAX_REGISTRY_BYTES: u64 = 64 * 1024 * 1024;
/// Maximum number of pages of one listing, over all its lists.
const MAX_PAGES: usize = 50_000;
/// Maximum number of pages in a row whose entries were all listed before.
const MAX_STALE_PAGES: usize = 10;
/// Maximum number of names of one listing.
const MAX_NAMES: usize = 2_000_000;
/// Maximum number of lists that wait to be read.
const MAX_PENDING: usize = 200_000;

/// Names that were listed, as hashes of 64 bits instead of texts. The chance that two of a million names share a hash
/// is one in thirty million.
#[derive(Default)]
pub(super) struct ListedNames {
    hashes: HashSet<u64>,
    hasher: RandomState,
}

impl ListedNames {
    /// Adds a name; returns `false` if it was listed before.
    pub(super) fn insert(&mut self, name: &str) -> bool {
        self.hashes.insert(self.hasher.hash_one(name))
    }
}

/// Pages of one listing.
pub(super) struct ApiPages {
    client: Client,
    access: ApiAccess,
    /// Action for errors.
    action: Arc<str>,
    /// Pages to read; the next one is the last.
    pending: Vec<ApiPage>,
    names: ListedNames,
    /// Hashes of the contents of the pages that were read.
    contents: ListedPages,
    pages: usize,
    stale: usize,
    /// Sum of the stated totals of the lists of repositories; `None` if one states none.
    total: Option<u64>,
    is_partial: bool,
}

/// Contents of pages, as hashes.
#[derive(Default)]
struct ListedPages {
    hashes: HashSet<u64>,
    hasher: RandomState,
}

impl ApiPages {
    /// Creates the pages of `list`. No request is made before [`ApiPages::next`].
    pub(super) fn new(client: &Client, access: ApiAccess, list: ApiList, action: Arc<str>) -> Self {
        let memory = client.listing_memory();
        Self {
            pending: vec![memory.first_page(list)],
            client: client.clone(),
            access,
            action,
            names: ListedNames::default(),
            contents: ListedPages::default(),
            pages: 0,
            stale: 0,
            total: Some(0),
            is_partial: false,
        }
    }

    /// Returns the number of all entries, if every list that is left states it.
    pub(super) fn total(&self) -> Option<u64> {
        let is_counted = |page: &ApiPage| {
            page.list.kind != ListContent::Namespaces && page.position != Position::First
        };
        self.total.filter(|_| self.pending.iter().all(is_counted))
    }

    /// Returns whether a page said that its list may lack some entries.
    pub(super) fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// Returns the names of all entries that were returned.
    pub(super) fn into_names(self) -> ListedNames {
        self.names
    }

    /// Returns the new entries of the next page, which may be none, or `None` at the end.
    ///
    /// `wanted` decides on the lists that a page names: only those are read.
    pub(super) async fn next(
        &mut self,
        wanted: &(dyn Fn(&ApiList) -> bool + Send + Sync),
    ) -> Result<Option<Vec<ApiEntry>>, Error> {
        let Some(page) = self.pending.pop() else {
            return Ok(None);
        };
        if self.pages == MAX_PAGES {
            return Err(self.broken(&format!("the list has more than {MAX_PAGES} pages")));
        }
        self.pages += 1;
        let Some((fetched, content)) = self.read(&page).await? else {
            return Ok(Some(Vec::new()));
        };
        self.check_names(&content)?;
        self.check_repetition(&page, &fetched, &content)?;
        self.is_partial |= content.is_partial;
        self.count_total(&page, &content);
        let received = page.received.saturating_add(content.count);
        let next = self.following(&page, &fetched, &content, received)?;
        self.pending.extend(next);
        let memory = self.client.listing_memory();
        let nested = content.nested.into_iter().rev().filter(|list| wanted(list));
        self.pending
            .extend(nested.map(|list| memory.first_page(list)));
        if self.pending.len() > MAX_PENDING {
            return Err(self.broken(&format!("it names more than {MAX_PENDING} lists")));
        }
        self.fresh(&page, content.count, content.entries).map(Some)
    }

    /// Fetches and reads a page. Returns `None` if another list takes its place.
    async fn read(&mut self, page: &ApiPage) -> Result<Option<(FetchedPage, PageContent)>, Error> {
        let api = Arc::clone(&self.access.api);
        let is_elsewhere =
            |status| page.position == Position::First && api.has_next_place(&page.list, status);
        let fetched = self.fetch(page, is_elsewhere).await?;
        if fetched.status != StatusCode::OK {
            let list = ApiList {
                place: page.list.place.saturating_add(1),
                ..page.list.clone()
            };
            self.pending.push(ApiPage::first(list));
            return Ok(None);
        }
        if page.list.place > 0 {
            self.client.listing_memory().record_place(&page.list);
        }
        let content = api.read(page, &fetched.answer).map_err(|why| {
            self.broken(&format!("the answer is not understood: {why}"))
                .with_status(fetched.status)
        })?;
        Ok(Some((fetched, content)))
    }

    async fn fetch(
        &mut self,
        page: &ApiPage,
        fits: impl Fn(StatusCode) -> bool,
    ) -> Result<FetchedPage, Error> {
        let (client, action) = (&self.client, &self.action);
        let path = match (&page.position, self.access.api.request(page)) {
            (_, ApiRequest::Registry(repository, path)) => {
                return client
                    .registry_page(&repository, &path, MAX_REGISTRY_BYTES, action, fits)
                    .await;
            }
            (Position::Link(link), ApiRequest::Api(_)) => link.clone(),
            (_, ApiRequest::Api(path)) => path,
        };
        let url = self.access.url(&path, action)?;
        client
            .api_get(&mut self.access, &url, MAX_PAGE_BYTES, action, fits)
            .await
    }

    /// Determines the page after `page`, and checks the end of the list against its total.
    fn following(
        &self,
        page: &ApiPage,
        fetched: &FetchedPage,
        content: &PageContent,
        received: u64,
    ) -> Result<Option<ApiPage>, Error> {
        if let Some(link) = &content.link {
            self.resolved(fetched, link)?;
        }
        let position = match &content.next {
            Some(Position::Link(link)) => Position::Link(self.resolved(fetched, link)?),
            Some(position) => position.clone(),
            None => {
                return match content.total {
                    Some(total) if total > received => Err(self.broken(&format!(
                        "the list ends early: {} states {total} entries and listed {received}",
                        self.access.api.name()
                    ))),
                    _ => Ok(None),
                };
            }
        };
        Ok(Some(ApiPage {
            list: page.list.clone(),
            position,
            received,
        }))
    }

    /// Returns the absolute address of a link, which must be at the API's host.
    fn resolved(&self, fetched: &FetchedPage, link: &str) -> Result<String, Error> {
        let url = self.access.link(&fetched.url, link, &self.action)?;
        Ok(url.into())
    }

    /// Refuses lists whose names would lead to another path of the API.
    fn check_names(&self, content: &PageContent) -> Result<(), Error> {
        match content.nested.iter().find(|list| !list.is_path()) {
            Some(list) => Err(self.broken(&format!(
                "it names {}, which is no path",
                quoted(&list.name)
            ))),
            None => Ok(()),
        }
    }

    /// Refuses a page with the same content as an earlier one of its list.
    fn check_repetition(
        &mut self,
        page: &ApiPage,
        fetched: &FetchedPage,
        content: &PageContent,
    ) -> Result<(), Error> {
        if content.count == 0 {
            return Ok(());
        }
        let hasher = &self.contents.hasher;
        let hash = if content.entries.is_empty() && content.nested.is_empty() {
            hasher.hash_one((&page.list, &fetched.answer.bytes))
        } else {
            let names: Vec<&str> = content.entries.iter().map(|it| it.name.as_str()).collect();
            hasher.hash_one((&page.list, names, &content.nested))
        };
        if self.contents.hashes.insert(hash) {
            return Ok(());
        }
        Err(self.broken("the list repeats a page that was read before"))
    }

    fn count_total(&mut self, page: &ApiPage, content: &PageContent) {
        if page.list.kind == ListContent::Repositories && page.position == Position::First {
            self.total = self
                .total
                .zip(content.total)
                .map(|(sum, total)| sum.saturating_add(total));
        }
    }

    /// Returns the entries that were not listed before. A page whose entries are all left out by the API (versions without
    /// tags) counts for nothing; a further page without anything is stale.
    fn fresh(
        &mut self,
        page: &ApiPage,
        count: u64,
        mut entries: Vec<ApiEntry>,
    ) -> Result<Vec<ApiEntry>, Error> {
        let is_void = count == 0 && page.position != Position::First;
        let is_repeated = !entries.is_empty();
        entries.retain(|entry| self.names.insert(&entry.name));
        self.stale = if is_void || (is_repeated && entries.is_empty()) {
            self.stale + 1
        } else {
            0
        };
        if self.stale > MAX_STALE_PAGES {
            return Err(self.broken("the list goes on without bringing anything new"));
        }
        if self.names.hashes.len() > MAX_NAMES {
            return Err(self.broken(&format!("the list has more than {MAX_NAMES} entries")));
        }
        Ok(entries)
    }

    fn broken(&self, why: &str) -> Error {
        self.access.error(ErrorKind::Protocol, &self.action, why)
    }
}
