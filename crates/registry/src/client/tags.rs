//! Tag lists, a page at a time (docs/protocol.md#tag-lists).

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};

use http::header::{ACCEPT_ENCODING, HeaderValue};
use http::{Method, StatusCode};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use url::Url;

use crate::auth::ScopeSet;
use crate::client::ask::{Ask, in_query};
use crate::client::call::Whole;
use crate::client::origin::Address;
use crate::client::{Client, links};
use crate::error::{Error, ErrorKind};
use crate::quote::shown;
use crate::reference::{Repository, Tag};

/// The page size that is asked for: the most that ECR and distribution 3 give, which answer with an error, or clamp,
/// above it.
const PAGE: usize = 1000;
/// Registries that page without saying so do it in such sizes: a page without a `Link` whose length is a multiple of
/// this may not be the last one, and the next is asked for.
const ROUND: usize = 100;
/// The most bytes of one page. A registry that does not page gives all tags at once: a million of 60 bytes.
const MAX_PAGE_BYTES: u64 = 64 * 1024 * 1024;
/// The most pages of one repository.
const MAX_PAGES: usize = 10_000;
/// The most pages in a row that bring nothing new.
const MAX_STALE_PAGES: usize = 10;
/// The most tags of one repository, and so of one page. The largest in public use have some hundreds of thousands.
const MAX_TAGS: usize = 2_000_000;
/// The most tags that are named in warnings; more are counted.
const MAX_NAMED: usize = 3;

/// The tags of one repository, a page at a time, so that work can start before the list is whole.
pub struct TagPages {
    client: Client,
    repository: Repository,
    next: Next,
    pages: usize,
    stale: usize,
    /// What was seen, tags and addresses, by hashes of 64 bits: eight bytes for each instead of the text. That two
    /// of a million tags share one has a chance of one in thirty million.
    seen: HashSet<u64>,
    hasher: RandomState,
    invalid: usize,
    /// Whether the repository will be written to: then push rights are asked for at once, and nobody is told of tags
    /// that are none, as nothing is left out because of them.
    for_push: bool,
}

/// What to ask for next.
#[derive(Clone)]
enum Next {
    /// The first page.
    First,
    /// What the registry linked to.
    Linked(Address),
    /// What follows a tag, of a registry that did not say that there is more.
    After(String),
    /// Nothing.
    End,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    tags: Option<Tags>,
}

/// The tags of a page. A text takes many times the memory of its three bytes in a list, so they are counted while
/// they are read.
struct Tags(Vec<String>);

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Tags;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of tags")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tags, A::Error> {
                let mut tags = Vec::new();
                while let Some(tag) = list.next_element()? {
                    if tags.len() == MAX_TAGS {
                        return Err(A::Error::custom(format_args!("more than {MAX_TAGS} tags")));
                    }
                    tags.push(tag);
                }
                Ok(Tags(tags))
            }
        }
        deserializer.deserialize_seq(Visit)
    }
}

impl Client {
    /// The tags of `repository`.
    pub fn tags(&self, repository: &Repository) -> TagPages {
        self.pages(repository, false)
    }
    /// Like [`Client::tags`] for a repository that will be written to: asks for push rights at once, so that the
    /// token serves the push as well.
    pub fn tags_for_push(&self, repository: &Repository) -> TagPages {
        self.pages(repository, true)
    }

    fn pages(&self, repository: &Repository, for_push: bool) -> TagPages {
        TagPages {
            client: self.clone(),
            repository: repository.clone(),
            next: Next::First,
            pages: 0,
            stale: 0,
            seen: HashSet::new(),
            hasher: RandomState::new(),
            invalid: 0,
            for_push,
        }
    }
}

impl TagPages {
    /// The next page, or `None` at the end. A tag is given once however often the registry repeats it.
    /// A repository that does not exist is [`ErrorKind::NotFound`].
    ///
    /// A page ends the list when no `Link` follows it, unless its length is a round number: then it may come from a
    /// registry that cuts lists without saying so, and one more page is asked for. Tags that are no tags are left
    /// out with a warning. A list that leads back to a page already read, or does not end, is an error: what lies
    /// behind it would be lost in silence.
    pub async fn next(&mut self) -> Result<Option<Vec<Tag>>, Error> {
        loop {
            let Some(page) = self.page().await? else {
                return Ok(None);
            };
            if !page.is_empty() {
                return Ok(Some(page));
            }
        }
    }

    /// One page, which may hold nothing new.
    async fn page(&mut self) -> Result<Option<Vec<Tag>>, Error> {
        let asked = self.next.clone();
        if matches!(asked, Next::End) {
            self.report_invalid();
            return Ok(None);
        }
        self.pages += 1;
        if self.pages > MAX_PAGES {
            return Err(self.endless(&format!("has more than {MAX_PAGES} pages")));
        }
        let Some(whole) = self.fetch(&asked).await? else {
            self.next = Next::End;
            return Ok(Some(Vec::new()));
        };
        self.seen.insert(self.hasher.hash_one(whole.url.as_str()));
        let page: Page = serde_json::from_slice(&whole.bytes).map_err(|error| {
            let message = format!(
                "the answer is no list of tags: {}",
                shown(&error.to_string())
            );
            self.ask(&asked)
                .error(ErrorKind::Protocol, message)
                .with_status(whole.status)
                .with_source(error)
        })?;
        let tags = page.tags.map_or_else(Vec::new, |tags| tags.0);
        let (count, last) = (tags.len(), tags.last().cloned());
        let fresh = self.fresh(tags);
        if self.seen.len() > MAX_TAGS {
            return Err(self.endless(&format!("has more than {MAX_TAGS} entries")));
        }
        self.stale = if fresh.is_empty() { self.stale + 1 } else { 0 };
        self.next = match links::next(&whole.headers) {
            Some(link) => self.linked(&asked, &whole.url, link, count).await?,
            None => unsaid(count, last, fresh.is_empty()),
        };
        if self.stale > MAX_STALE_PAGES {
            return Err(self.endless("goes on without bringing anything new"));
        }
        Ok(Some(fresh))
    }

    /// Fetches a page; `None` where there was no reason to believe in it but its predecessor's length.
    async fn fetch(&self, asked: &Next) -> Result<Option<Whole>, Error> {
        let habits = &self.client.inner.habits;
        let sized = matches!(asked, Next::First) && habits.takes_page_size();
        let fits = |status: StatusCode| match status.as_u16() {
            200 => true,
            400 | 405 | 422 => sized || matches!(asked, Next::After(_)),
            404 => matches!(asked, Next::After(_)),
            _ => false,
        };
        let whole = self
            .client
            .whole(&self.ask(asked), MAX_PAGE_BYTES, fits)
            .await?;
        if whole.status == StatusCode::OK {
            return Ok(Some(whole));
        }
        if matches!(asked, Next::After(_)) {
            return Ok(None);
        }
        // Refused because of the page size, or for good: without it the answer is plain.
        let plain = self.list("");
        let whole = self
            .client
            .whole(&plain, MAX_PAGE_BYTES, |status| status == StatusCode::OK)
            .await?;
        habits.no_page_size();
        Ok(Some(whole))
    }

    fn ask(&self, asked: &Next) -> Ask {
        let sized = self.client.inner.habits.takes_page_size();
        match asked {
            Next::Linked(address) => self.list("").at(address.clone()),
            Next::After(last) if sized => self.list(&format!("?n={PAGE}&last={}", in_query(last))),
            Next::After(last) => self.list(&format!("?last={}", in_query(last))),
            Next::First | Next::End if sized => self.list(&format!("?n={PAGE}")),
            Next::First | Next::End => self.list(""),
        }
    }

    fn list(&self, query: &str) -> Ask {
        let scopes = if self.for_push {
            ScopeSet::push(&self.repository)
        } else {
            ScopeSet::pull(&self.repository)
        };
        Ask::new(
            Method::GET,
            &self.repository,
            scopes,
            format!("tags/list{query}"),
            format!("list the tags of {}", self.repository.path()),
        )
        .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"))
    }

    /// The tags of a page that were not given before.
    fn fresh(&mut self, tags: Vec<String>) -> Vec<Tag> {
        let mut fresh = Vec::with_capacity(tags.len());
        for text in tags {
            if !self.seen.insert(self.hasher.hash_one(&text)) {
                continue;
            }
            match Tag::parse(&text) {
                Ok(tag) => fresh.push(tag),
                Err(_) if self.for_push => {}
                Err(error) => {
                    self.invalid += 1;
                    if self.invalid <= MAX_NAMED {
                        let path = self.repository.path();
                        self.client
                            .warn(&format!("a tag of {path} is left out: {error}"));
                    }
                }
            }
        }
        fresh
    }

    /// The page that a `Link` leads to, if it is one that may be read: on the registry, and not read before.
    async fn linked(
        &mut self,
        asked: &Next,
        from: &Url,
        link: &str,
        count: usize,
    ) -> Result<Next, Error> {
        let address = self.client.next_page(&self.ask(asked), from, link).await?;
        if self.seen.insert(self.hasher.hash_one(address.url.as_str())) {
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
            format!("the registry's list of tags {what}"),
        )
    }

    fn report_invalid(&mut self) {
        let more = self.invalid.saturating_sub(MAX_NAMED);
        if more > 0 {
            self.client.warn(&format!(
                "{more} further tags of {} are left out: they are no tags",
                self.repository.path()
            ));
        }
        self.invalid = 0;
    }
}

/// What to do after a page without a `Link`.
fn unsaid(count: usize, last: Option<String>, stale: bool) -> Next {
    match last {
        Some(last) if !stale && count.is_multiple_of(ROUND) => Next::After(last),
        _ => Next::End,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_round_page_without_a_link_is_doubted() {
        let last = || Some("z".to_owned());
        assert!(matches!(unsaid(100, last(), false), Next::After(tag) if tag == "z"));
        assert!(matches!(unsaid(1000, last(), false), Next::After(_)));
        for (count, last, stale) in [(99, last(), false), (0, None, false), (100, last(), true)] {
            assert!(matches!(unsaid(count, last, stale), Next::End), "{count}");
        }
    }
}
