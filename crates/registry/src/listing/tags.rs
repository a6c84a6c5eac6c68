//! Tags of a repository with their digests, by the API that the registry has, or else by name alone.

use std::sync::Arc;

use futures_util::FutureExt as _;

use crate::client::{ApiAccess, Client, TagPages};
use crate::digest::Digest;
use crate::error::{Cause, Error, ErrorKind};
use crate::listing::ListedTag;
use crate::listing::detection::Listing;
use crate::listing::pages::{ApiPages, ListedNames};
use crate::listing::skipped::SkippedEntries;
use crate::listing::vendor::{ApiEntry, ApiList};
use crate::reference::{Repository, Resource, Tag};

/// Tags of one repository, one page at a time, with the facts that the list states.
pub struct ListedTagPages {
    client: Client,
    repository: Repository,
    /// Rights to push are requested with the plain list.
    for_push: bool,
    source: Source,
    /// Tags that the API listed, if the plain list is read as well.
    listed: Option<ListedNames>,
    skipped: SkippedEntries,
}

/// Source of the next page.
#[allow(clippy::large_enum_variant, reason = "one for each listing")]
enum Source {
    /// The way to list is not known yet.
    Start,
    Api(ApiPages),
    Plain(TagPages),
    End,
}

impl Client {
    /// Lists the tags of `repository`, with digests and times if the registry has an API for that: a request for each
    /// hundred tags. If the API fails, the plain list is used, and a warning says so once for each registry.
    pub fn list_tags(&self, repository: &Repository) -> ListedTagPages {
        self.listed_tags(repository, false)
    }

    /// Like [`Client::list_tags`], for a repository that will be written to: see [`Client::tags_for_push`].
    pub fn list_tags_for_push(&self, repository: &Repository) -> ListedTagPages {
        self.listed_tags(repository, true)
    }

    fn listed_tags(&self, repository: &Repository, for_push: bool) -> ListedTagPages {
        let skipped = SkippedEntries::new("tag", "tags");
        ListedTagPages {
            client: self.clone(),
            repository: repository.clone(),
            for_push,
            source: Source::Start,
            listed: None,
            skipped: if for_push { skipped.silent() } else { skipped },
        }
    }
}

impl ListedTagPages {
    /// Returns the next page, or `None` at the end. Each tag is returned once. Digests are hints: a tag may move after it
    /// was listed.
    ///
    /// # Errors
    /// As [`TagPages::next`].
    pub async fn next(&mut self) -> Result<Option<Vec<ListedTag>>, Error> {
        if matches!(self.source, Source::Start) {
            self.source = match self.start().await {
                Ok(Some(pages)) => Source::Api(pages),
                Ok(None) => Source::Plain(self.plain()),
                Err(error) => self.fall_back(error)?,
            };
        }
        loop {
            match &mut self.source {
                Source::Start | Source::End => return Ok(None),
                Source::Plain(pages) => {
                    let Some(tags) = pages.next().await? else {
                        self.source = Source::End;
                        return Ok(None);
                    };
                    let tags = self.missing(tags);
                    if !tags.is_empty() {
                        return Ok(Some(tags));
                    }
                }
                Source::Api(pages) => match pages.next(&|_| true).await {
                    Ok(Some(entries)) => {
                        let tags = self.parsed(entries);
                        if !tags.is_empty() {
                            return Ok(Some(tags));
                        }
                    }
                    Ok(None) => self.finish_api(),
                    Err(error) => self.source = self.fall_back(error)?,
                },
            }
        }
    }

    /// Returns the list of the API, or `None` if there is none.
    async fn start(&self) -> Result<Option<ApiPages>, Error> {
        let client = &self.client;
        let settings = client.listing_settings(self.repository.path());
        if !client.listing_memory().may_list_tags() {
            return Ok(None);
        }
        let Some(Listing::Vendor(api)) = client.known_listing(&settings).await else {
            return Ok(None);
        };
        if !api.states_digests() {
            return Ok(None);
        }
        let action: Arc<str> = format!("list the tags of {}", self.repository.path()).into();
        let resource = Resource::Repository(self.repository.clone());
        let access = client
            .api_access(Arc::clone(&api), &settings, &resource, &action)
            .await?
            .with_few_retries();
        if api.requires_login() && !access.has_login() {
            return Ok(None);
        }
        if !self.for_push && self.is_partial(&access).await? {
            return Ok(None);
        }
        let list = api.tags(&self.repository);
        Ok(Some(ApiPages::new(client, access, list, action)))
    }

    /// Returns whether the API lacks tags of the repository's namespace: Harbor lists what a proxy cache has fetched, and
    /// not what it could fetch.
    async fn is_partial(&self, access: &ApiAccess) -> Result<bool, Error> {
        let Some(facts) = access.api.namespace_facts(&self.repository) else {
            return Ok(false);
        };
        let name = facts.name.clone();
        let fetch = self.fetch_facts(facts, access.clone());
        let memory = self.client.listing_memory();
        memory.is_partial(&name, fetch.boxed()).await
    }

    async fn fetch_facts(&self, facts: ApiList, access: ApiAccess) -> Result<bool, Error> {
        let action: Arc<str> = format!("read the settings of {}", facts.name).into();
        let mut pages = ApiPages::new(&self.client, access, facts, action);
        match pages.next(&|_| true).await {
            Ok(_) => Ok(pages.is_partial()),
            // The right to list artifacts does not include the right to see the project.
            Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::NotFound) => {
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    fn plain(&self) -> TagPages {
        if self.for_push {
            self.client.tags_for_push(&self.repository)
        } else {
            self.client.tags(&self.repository)
        }
    }

    /// Ends the list of the API.
    fn finish_api(&mut self) {
        self.client.listing_memory().listed_tags();
        self.skipped.finish(&self.client, self.repository.path());
        let Source::Api(pages) = std::mem::replace(&mut self.source, Source::End) else {
            return;
        };
        if pages.is_partial() {
            self.listed = Some(pages.into_names());
            self.source = Source::Plain(self.plain());
        }
    }

    /// Continues with the plain list after an error of the API.
    fn fall_back(&mut self, error: Error) -> Result<Source, Error> {
        if error.kind() == ErrorKind::Cancelled {
            return Err(error);
        }
        if let Source::Api(pages) = std::mem::replace(&mut self.source, Source::Start) {
            self.listed = Some(pages.into_names());
        }
        if self.is_about_api(&error) && self.record_refusal(&error) {
            self.client.warn(&format!(
                "digests of tags are not read from the list: {error}. The plain list is used, and each unchanged tag \
                 costs a request. To do without the API, set `list: none` or use --listing off"
            ));
        }
        Ok(Source::Plain(self.plain()))
    }

    /// Returns whether an error may be about the API. A repository that is unknown to an API that knows others is missing.
    fn is_about_api(&self, error: &Error) -> bool {
        let memory = self.client.listing_memory();
        error.kind() != ErrorKind::NotFound || !(self.for_push || memory.has_listed_tags())
    }

    /// Records an error of the API. Returns whether a warning is due.
    fn record_refusal(&self, error: &Error) -> bool {
        // A missing repository or right may be that of one repository.
        let may_be_of_repository = matches!(
            error.kind(),
            ErrorKind::NotFound | ErrorKind::Denied | ErrorKind::Protocol
        );
        let is_final = !may_be_of_repository && error.cause() != Cause::NoLogin;
        let is_unknown = error.kind() == ErrorKind::NotFound;
        let memory = self.client.listing_memory();
        memory.refused_tags(is_final, is_unknown)
    }

    /// Returns the tags of the plain list that the API has not listed.
    fn missing(&mut self, tags: Vec<Tag>) -> Vec<ListedTag> {
        let mut is_new = |tag: &Tag| match &mut self.listed {
            Some(listed) => listed.insert(tag.as_str()),
            None => true,
        };
        let tags = tags.into_iter().filter(|tag| is_new(tag));
        tags.map(ListedTag::from).collect()
    }

    fn parsed(&mut self, entries: Vec<ApiEntry>) -> Vec<ListedTag> {
        let mut tags = Vec::with_capacity(entries.len());
        for entry in entries {
            match Tag::parse(&entry.name) {
                Ok(tag) => {
                    let digest = entry.digest.and_then(|text| Digest::parse(&text).ok());
                    tags.push(ListedTag {
                        tag,
                        digest,
                        pushed: entry.pushed,
                        without_referrers: entry.without_referrers,
                    });
                }
                Err(why) => {
                    let place = self.repository.path();
                    self.skipped.skip(&self.client, place, &why.to_string());
                }
            }
        }
        tags
    }
}
