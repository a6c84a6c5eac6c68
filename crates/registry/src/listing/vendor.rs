//! The interface of a vendor's API.

use std::time::SystemTime;

use http::{HeaderMap, StatusCode};

use crate::reference::{Registry, Repository};

/// Number of entries of a page. All APIs accept it, and for most it is the maximum.
pub(super) const PAGE_SIZE: u64 = 100;

/// API of a vendor: pure functions that form requests and read answers. The driver sends the requests, follows pages,
/// and checks what is common to all.
pub(crate) trait VendorApi: Send + Sync + 'static {
    /// Name in messages: `the Harbor API`.
    fn name(&self) -> &'static str;

    /// Base URL of the API of `registry`, ending in `/`; `None` if it is at the registry's own host.
    fn base(&self, _registry: &Registry) -> Option<&'static str> {
        None
    }

    /// Form in which the API accepts a login.
    fn login_form(&self) -> LoginForm;

    /// Returns whether the API accepts the login of the registry, which is used if no login is given for the API.
    fn accepts_registry_login(&self) -> bool {
        true
    }

    /// Advice for an answer that refuses the request, with or without a login: which login or right is needed.
    fn login_advice(&self) -> &'static str;

    /// Advice for an answer that there is no such list (404): an API may say so of everything that a login may not see.
    fn missing_advice(&self) -> Option<&'static str> {
        None
    }

    /// Returns the first list for the repositories whose path begins with the components of `prefix`; the empty prefix
    /// is the whole registry. An error is a clause that says what to do.
    fn repositories(&self, prefix: &str) -> Result<ApiList, String>;

    /// Returns whether lists of tags state digests.
    fn states_digests(&self) -> bool {
        true
    }

    /// Returns the list of the tags of a repository. Called only if it states digests.
    fn tags(&self, repository: &Repository) -> ApiList;

    /// Returns the namespace of a repository, and a document whose [`PageContent::is_partial`] says whether the lists of
    /// tags in that namespace may lack some; `None` if they never do.
    fn namespace_facts(&self, _repository: &Repository) -> Option<ApiList> {
        None
    }

    /// Headers of all requests, in lower case.
    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// Returns the request for a page.
    fn request(&self, page: &ApiPage) -> ApiRequest;

    /// Reads the answer with a page. An error is a clause that says what is wrong with the document.
    fn read(&self, page: &ApiPage, answer: &ApiAnswer) -> Result<PageContent, String>;

    /// Returns whether every request needs a login, so that tags are not listed without one.
    fn requires_login(&self) -> bool {
        false
    }

    /// Returns whether a list may be at the [place](ApiList::place) after its own, since its first page was answered with
    /// the error `status` there. All lists whose name has the same first component are then read at the place where
    /// one was found.
    fn has_next_place(&self, _list: &ApiList, _status: StatusCode) -> bool {
        false
    }
}

/// Form in which an API accepts a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoginForm {
    /// User and password with every request, or a token as Bearer.
    Basic,
    /// A token as Bearer. A password is such a token.
    Bearer,
    /// A token that the API grants for user and password, at this path below its base.
    Exchange(&'static str),
}

/// A list of an API, in pages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ApiList {
    /// Kind of its entries.
    pub(crate) kind: ListContent,
    /// Name of the list at the API: a project, a namespace, a repository.
    pub(crate) name: String,
    /// Number of the place at which the list is read, from 0: GitHub has users beside organisations, GitLab projects
    /// beside groups.
    pub(crate) place: usize,
}

/// Kind of the entries of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ListContent {
    /// Projects, groups: lists of repositories.
    Namespaces,
    /// Repositories.
    Repositories,
    /// Tags of one repository.
    Tags,
    /// A document that is no list, but describes a namespace.
    Facts,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiPage {
    /// The list.
    pub(crate) list: ApiList,
    /// Place of the page.
    pub(crate) position: Position,
    /// Number of entries on earlier pages, as the API counts them.
    pub(crate) received: u64,
}

/// Place of a page in its list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// The first page.
    First,
    /// A page by number, from 2.
    Number(u64),
    /// A page by a token of the API.
    Token(String),
    /// A page by the address that the API named. The driver requests it, so [`VendorApi::request`] need not.
    Link(String),
}

/// Request for a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ApiRequest {
    /// A path with query below the base of the API.
    Api(String),
    /// A path with query below a repository of the registry (`tags/list`), with the tokens of the registry.
    Registry(Repository, String),
}

/// Answer with a page: its headers and its document.
pub(crate) struct ApiAnswer {
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: bytes::Bytes,
}

/// Content of a page.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PageContent {
    /// Repositories or tags.
    pub(crate) entries: Vec<ApiEntry>,
    /// Further lists, which are read before the next page.
    pub(crate) nested: Vec<ApiList>,
    /// Number of entries of the page, as the API counts them.
    pub(crate) count: u64,
    /// Number of entries of the whole list, if the API states it.
    pub(crate) total: Option<u64>,
    /// The next page; `None` at the end.
    pub(crate) next: Option<Position>,
    /// Address of the next page that the answer states beside the [`Position`]. It must be on the API's host.
    pub(crate) link: Option<String>,
    /// True if the repository may have tags that this list does not name, so that the plain list is read as well.
    pub(crate) is_partial: bool,
}

/// A repository or a tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ApiEntry {
    /// Path of the repository below the registry, or the tag.
    pub(crate) name: String,
    /// Digest of the tag.
    pub(crate) digest: Option<String>,
    /// Time of the last push of the tag.
    pub(crate) pushed: Option<SystemTime>,
    /// True if the list states that no other manifest refers to the one with the digest.
    pub(crate) without_referrers: bool,
}

impl ApiList {
    pub(super) fn new(kind: ListContent, name: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
            place: 0,
        }
    }
}

impl ApiList {
    /// Returns whether the name consists of components that lead to no other path.
    pub(super) fn is_path(&self) -> bool {
        let mut components = self.name.split('/');
        !components.any(|component| matches!(component, "" | "." | ".."))
    }
    /// Returns the first component of the name, which decides on the place of a list.
    pub(super) fn owner(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }
}

impl ApiEntry {
    /// Returns an entry with a name alone.
    pub(super) fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }
}

impl ApiPage {
    pub(super) fn first(list: ApiList) -> Self {
        Self {
            list,
            position: Position::First,
            received: 0,
        }
    }
    /// Returns the number of the page, from 1.
    pub(super) fn number(&self) -> u64 {
        match self.position {
            Position::Number(number) => number,
            Position::First | Position::Token(_) | Position::Link(_) => 1,
        }
    }
    /// Returns the page after this one, for an API that numbers pages. This one has `count` entries of `total`; without
    /// a total, a full page may not be the last. A server that links to a next page has one.
    pub(super) fn next_number(
        &self,
        count: u64,
        total: Option<u64>,
        is_linked: bool,
    ) -> Option<Position> {
        let is_more = match total {
            Some(total) => is_linked || self.received.saturating_add(count) < total,
            None => is_linked || count >= PAGE_SIZE,
        };
        (is_more && count > 0).then(|| Position::Number(self.number().saturating_add(1)))
    }
}

#[cfg(test)]
impl ApiAnswer {
    /// Returns an answer with these headers and this document.
    pub(super) fn literal(headers: &[(&'static str, &str)], text: &str) -> Self {
        let headers = headers.iter().filter_map(|(name, value)| {
            Some((http::HeaderName::from_static(name), value.parse().ok()?))
        });
        Self {
            headers: headers.collect(),
            bytes: text.as_bytes().to_vec().into(),
        }
    }
}

/// Returns the number in the header `name`: a stated total.
pub(super) fn number_in(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_decides_on_the_next_page_and_else_its_length() {
        let page = ApiPage {
            position: Position::Number(3),
            received: 200,
            ..ApiPage::first(ApiList::new(ListContent::Tags, "a"))
        };
        let next = Some(Position::Number(4));
        for (count, total, is_linked, expected) in [
            (100, Some(301), false, &next),
            (100, Some(300), false, &None),
            (50, Some(300), false, &next),
            (0, Some(300), false, &None),
            (0, None, true, &None),
            (100, None, false, &next),
            (99, None, false, &None),
            (99, None, true, &next),
            (100, Some(10), true, &next),
        ] {
            let found = page.next_number(count, total, is_linked);
            assert_eq!(&found, expected, "{count} of {total:?}");
        }
    }
}
