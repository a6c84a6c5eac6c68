//! Lists of names in pages: the tags of a repository, the repositories of a registry (docs/protocol.md#tag-lists).
//!
//! Retries follow the policy of the pipeline, except these, which happen once for each list: a list that is refused
//! with a page size is requested without one, and a list that cannot be followed to its end starts again without one.

mod page;

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use http::header::{ACCEPT_ENCODING, HeaderValue};
use http::{Method, StatusCode};

use crate::auth::ScopeSet;
use crate::client::call::BufferedResponse;
use crate::client::checked_url::CheckedUrl;
use crate::client::request::{RequestSpec, in_query};
use crate::client::{Client, links};
use crate::error::{Error, ErrorKind};
use crate::quote::shown;
use crate::reference::Resource;
pub(super) use page::ListKind;
use page::{Entry, MAX_ENTRIES};

/// Requested page size: the maximum of ECR and distribution 3, which answer with an error, or clamp, above it.
const PAGE: usize = 1000;
/// Registries that page silently use multiples of this size: a page without a `Link` with such a length may not be the
/// last one, so one more is requested.
const ROUND: usize = 100;
/// Maximum number of bytes of one page. A registry that does not page sends all names at once: a million of 60 bytes.
const MAX_PAGE_BYTES: u64 = 64 * 1024 * 1024;
/// Maximum number of pages of one list.
const MAX_PAGES: usize = 10_000;
/// Maximum number of pages in a row without a new name.
const MAX_STALE_PAGES: usize = 10;
/// Maximum number of names of one list, and so of one page.
const MAX_NAMES: usize = MAX_ENTRIES;
/// Maximum number of entries that are named in warnings; further ones are counted.
const MAX_NAMED: usize = 3;

/// Request for a list of names.
#[derive(Clone, Debug)]
pub(super) struct ListRequest {
    /// Registry or repository that has the list.
    pub(super) resource: Resource,
    pub(super) scopes: ScopeSet,
    /// Path of the first page.
    pub(super) path: &'static str,
    /// Action for errors.
    pub(super) action: Arc<str>,
    /// Names of the entries in the document and in messages.
    pub(super) kind: ListKind,
}

/// Names of one kind, one page at a time, so that work can start before the list is complete.
pub(super) struct NameList {
    client: Client,
    request: ListRequest,
    next: Next,
    /// True if pages are requested with a size (`n`).
    sized: bool,
    /// Number of pages, and of pages in a row without a new name.
    pages: usize,
    stale: usize,
    /// Hashes of the listed names, 64 bits each instead of the text. The chance that two of a million names share a
    /// hash is one in thirty million.
    listed: HashSet<u64>,
    /// Hashes of the addresses of pages that were read or linked.
    addresses: HashSet<u64>,
    /// Hashes of the names of a first attempt whose pages could not be followed to the end.
    given: Option<HashSet<u64>>,
    hasher: RandomState,
    skipped: SkippedEntries,
}

/// Entries of a list that are left out, with a warning each.
struct SkippedEntries {
    /// Nothing is left out because of them, so they cause no warning.
    is_silent: bool,
    count: usize,
}

/// Next request.
#[derive(Clone)]
enum Next {
    /// The first page.
    First,
    /// A page that the registry linked to.
    Linked(CheckedUrl),
    /// The page after a name, if the registry did not say that there is more.
    After(String),
    /// No request.
    End,
}

impl NameList {
    /// Creates a list. No request is made before [`NameList::next`].
    pub(super) fn new(client: &Client, request: ListRequest) -> Self {
        Self {
            client: client.clone(),
            next: Next::First,
            sized: client.inner.capabilities.takes_page_size(request.kind),
            request,
            pages: 0,
            stale: 0,
            listed: HashSet::new(),
            addresses: HashSet::new(),
            given: None,
            hasher: RandomState::new(),
            skipped: SkippedEntries {
                is_silent: false,
                count: 0,
            },
        }
    }

    /// Returns the client of the registry.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Leaves out entries without a warning.
    pub(super) fn without_warnings(mut self) -> Self {
        self.skipped.is_silent = true;
        self
    }

    /// Returns the next page, or `None` at the end. `parse` makes names of its entries; an error of it is a reason to
    /// leave the entry out. Each name is returned once, however often the registry repeats it.
    ///
    /// A page without a `Link` ends the list, unless its length is a round number: the registry may cut lists silently,
    /// so one more page is requested. Invalid names are left out with a warning. A list that leads back to a page
    /// already read, or does not end, is an error: the names after it would be lost silently.
    ///
    /// Artifactory and Nexus return whole lists without a page size, and broken links with one. So a list that cannot
    /// be followed to its end starts again without a page size.
    pub(super) async fn next<T>(
        &mut self,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<Vec<T>>, Error> {
        loop {
            match self.page(&parse).await {
                Ok(Some(page)) if page.is_empty() => {}
                Err(error) if self.may_begin_anew(&error) => {
                    let noun = self.request.kind.noun();
                    tracing::debug!(%error, "the list of {noun} is requested again without a page size");
                    self.begin_anew();
                }
                ended => return self.client.checked(&self.request.resource, ended).await,
            }
        }
    }

    /// Reads one page, which may contain nothing new.
    async fn page<T>(
        &mut self,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<Vec<T>>, Error> {
        let asked = self.next.clone();
        if matches!(asked, Next::End) {
            self.report_invalid();
            if self.given.is_some() {
                let capabilities = &self.client.inner.capabilities;
                capabilities.no_page_size(self.request.kind);
            }
            return Ok(None);
        }
        if self.pages == MAX_PAGES {
            return Err(self.too_long(&format!("has more than {MAX_PAGES} pages")));
        }
        let Some(whole) = self.fetch(&asked).await? else {
            self.next = Next::End;
            return Ok(Some(Vec::new()));
        };
        let kind = self.request.kind;
        let entries = page::read(&whole.bytes, kind).map_err(|error| {
            let message = format!(
                "the answer is no list of {}: {}",
                kind.noun(),
                shown(&error.to_string())
            );
            let request = self.page_request(&asked);
            let error = request
                .error(ErrorKind::Protocol, message)
                .with_status(whole.status)
                .with_source(error);
            request.mark_if_no_registry(error, &whole.headers, &whole.url)
        })?;
        self.pages += 1;
        self.client.inner.capabilities.record_registry();
        self.accept_page(&whole, entries, parse).await.map(Some)
    }

    /// Adds the entries of a page, and determines the next page.
    async fn accept_page<T>(
        &mut self,
        whole: &BufferedResponse,
        entries: Vec<Entry>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Vec<T>, Error> {
        self.addresses
            .insert(self.hasher.hash_one(whole.url.as_str()));
        let count = entries.len();
        let last = entries.iter().rev().find_map(|entry| match entry {
            Entry::Text(text) => Some(text.clone()),
            Entry::Other(_) => None,
        });
        let before = self.listed.len();
        let (fresh, hashes) = self.fresh(entries, parse);
        let is_stale = self.listed.len() == before;
        self.stale = if is_stale { self.stale + 1 } else { 0 };
        match self.following(whole, count, last, is_stale).await {
            Ok(next) => {
                self.next = next;
                Ok(fresh)
            }
            Err(error) => {
                // These names are not returned, so another attempt must list them as new.
                for hash in &hashes {
                    self.listed.remove(hash);
                }
                Err(error)
            }
        }
    }

    /// Determines the page after one with `count` entries; `last` is the last text among them.
    async fn following(
        &mut self,
        whole: &BufferedResponse,
        count: usize,
        last: Option<String>,
        is_stale: bool,
    ) -> Result<Next, Error> {
        if self.listed.len() + self.addresses.len() > MAX_NAMES {
            return Err(self.too_long(&format!("has more than {MAX_NAMES} entries")));
        }
        let list = self.list("");
        let next = self
            .client
            .next_page(&list, &whole.url, &whole.headers)
            .await?;
        let next = match next {
            Some(address) => self.linked(address, count)?,
            None => page_without_link(count, last, is_stale),
        };
        if self.stale > MAX_STALE_PAGES {
            return Err(self.endless("goes on without bringing anything new"));
        }
        Ok(next)
    }

    /// Returns whether the list may be complete without a page size, although it ended in `error` with one.
    fn may_begin_anew(&self, error: &Error) -> bool {
        let may_differ = matches!(
            error.kind(),
            ErrorKind::NotFound
                | ErrorKind::Denied
                | ErrorKind::Unauthorized
                | ErrorKind::Rejected
                | ErrorKind::Refused
                | ErrorKind::Protocol
                | ErrorKind::Server
        );
        self.sized && self.pages > 0 && may_differ
    }

    fn begin_anew(&mut self) {
        self.sized = false;
        self.next = Next::First;
        (self.pages, self.stale) = (0, 0);
        self.given = Some(std::mem::take(&mut self.listed));
        self.addresses.clear();
    }

    /// Fetches a page; `None` if only the length of the previous page suggested it, and it does not exist.
    async fn fetch(&mut self, asked: &Next) -> Result<Option<BufferedResponse>, Error> {
        let sized = matches!(asked, Next::First) && self.sized;
        let fits = |status: StatusCode| match status.as_u16() {
            200 => true,
            400 | 405 | 422 => sized || matches!(asked, Next::After(_)),
            406 | 414 | 416 | 501 => sized,
            404 => matches!(asked, Next::After(_)),
            _ => false,
        };
        let whole = self
            .client
            .buffered(&self.page_request(asked), MAX_PAGE_BYTES, fits)
            .await
            .map_err(|error| match asked {
                Next::Linked(_) => links::with_paging_advice(error),
                _ => error,
            })?;
        if whole.status == StatusCode::OK {
            return Ok(Some(whole));
        }
        if matches!(asked, Next::After(_)) {
            return Ok(None);
        }
        // Refused because of the page size, or for good: a request without it shows which.
        let plain = self.list("");
        let whole = self
            .client
            .buffered(&plain, MAX_PAGE_BYTES, |status| status == StatusCode::OK)
            .await?;
        self.sized = false;
        let capabilities = &self.client.inner.capabilities;
        capabilities.no_page_size(self.request.kind);
        Ok(Some(whole))
    }

    fn page_request(&self, asked: &Next) -> RequestSpec {
        match asked {
            Next::Linked(address) => self.list("").at(address.clone()),
            Next::After(last) if self.sized => {
                self.list(&format!("?n={PAGE}&last={}", in_query(last)))
            }
            Next::After(last) => self.list(&format!("?last={}", in_query(last))),
            Next::First | Next::End if self.sized => self.list(&format!("?n={PAGE}")),
            Next::First | Next::End => self.list(""),
        }
    }

    fn list(&self, query: &str) -> RequestSpec {
        let list = &self.request;
        RequestSpec::new(
            Method::GET,
            &list.resource,
            list.scopes.clone(),
            format!("{}{query}", list.path),
            Arc::clone(&list.action),
        )
        .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"))
    }

    /// Returns the names of a page that were not listed before, and their hashes.
    fn fresh<T>(
        &mut self,
        entries: Vec<Entry>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> (Vec<T>, Vec<u64>) {
        let mut fresh = Vec::with_capacity(entries.len());
        let mut hashes = Vec::with_capacity(entries.len());
        for entry in entries {
            let text = match entry {
                Entry::Text(text) => text,
                Entry::Other(noun) => {
                    self.warn_skipped(&format!("the list has {noun} in its place"));
                    continue;
                }
            };
            let hash = self.hasher.hash_one(&text);
            let is_given = |given: &HashSet<u64>| given.contains(&hash);
            if !self.listed.insert(hash) || self.given.as_ref().is_some_and(is_given) {
                continue;
            }
            match parse(&text) {
                Ok(name) => {
                    fresh.push(name);
                    hashes.push(hash);
                }
                Err(why) => self.warn_skipped(&why),
            }
        }
        (fresh, hashes)
    }

    /// Warns that an entry of the list is left out.
    fn warn_skipped(&mut self, why: &str) {
        if self.skipped.is_silent {
            return;
        }
        self.skipped.count += 1;
        if self.skipped.count <= MAX_NAMED {
            let (one, place) = (self.request.kind.one(), self.place());
            self.client
                .warn(&format!("a {one} of {place} is left out: {why}"));
        }
    }

    /// Returns the page at `address`, which a page of `count` entries links to, unless it was read before.
    fn linked(&mut self, address: CheckedUrl, count: usize) -> Result<Next, Error> {
        if self
            .addresses
            .insert(self.hasher.hash_one(address.url.as_str()))
        {
            return Ok(Next::Linked(address));
        }
        if count == 0 {
            return Ok(Next::End);
        }
        Err(self.endless("leads back to a page that was read before"))
    }

    fn endless(&self, what: &str) -> Error {
        self.list("").error(
            ErrorKind::Protocol,
            format!("the registry's list of {} {what}", self.request.kind.noun()),
        )
    }

    /// Returns an error for a list that is as long without a page size.
    fn too_long(&mut self, what: &str) -> Error {
        self.sized = false;
        self.endless(what)
    }

    fn report_invalid(&mut self) {
        let more = self.skipped.count.saturating_sub(MAX_NAMED);
        if more > 0 {
            let (noun, place) = (self.request.kind.noun(), self.place());
            self.client.warn(&format!(
                "{more} further {noun} of {place} are left out: they are no {noun}"
            ));
        }
        self.skipped.count = 0;
    }

    /// Returns the name of the repository or registry in messages.
    fn place(&self) -> &str {
        match &self.request.resource {
            Resource::Registry(registry) => registry.as_str(),
            Resource::Repository(repository) => repository.path(),
        }
    }
}

/// Determines the next request after a page without a `Link`.
fn page_without_link(count: usize, last: Option<String>, stale: bool) -> Next {
    match last {
        Some(last) if !stale && count.is_multiple_of(ROUND) => Next::After(last),
        _ => Next::End,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_round_page_without_a_link_may_not_be_the_last() {
        let last = || Some("z".to_owned());
        assert!(matches!(page_without_link(100, last(), false), Next::After(tag) if tag == "z"));
        assert!(matches!(
            page_without_link(1000, last(), false),
            Next::After(_)
        ));
        for (count, last, stale) in [(99, last(), false), (0, None, false), (100, last(), true)] {
            assert!(
                matches!(page_without_link(count, last, stale), Next::End),
                "{count}"
            );
        }
    }
}
