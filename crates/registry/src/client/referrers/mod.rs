//! Referrers: manifests that name another one as their `subject`, such as its signatures (docs/protocol.md#referrers).
//!
//! Registries with the referrers API list them. For other registries, the client that pushes a referrer maintains the
//! list: an index under a tag made of the subject's digest. One request shows which of the two a registry supports
//! ([`capabilities`]); [`api`] sends it, [`tag`] reads the fallback tag, and [`update_index`] makes sure that pushed
//! referrers are listed.

mod api;
mod capabilities;
mod tag;
mod update_index;

pub(super) use capabilities::ReferrersCapabilities;
pub use update_index::{IndexedBy, IndexedReferrers};

use crate::auth::ScopeSet;
use crate::client::Client;
use crate::digest::Digest;
use crate::error::Error;
use crate::manifest::{Descriptor, ManifestError};
use crate::reference::{Repository, Tag};
use api::ApiAnswer;
use capabilities::ApiSupport;

/// Maximum number of referrers of one subject. The largest known lists have some hundreds (a signature a day).
const MAX_REFERRERS: usize = 20_000;

/// Maximum number of entries of a list that are named in warnings; further ones are counted.
const MAX_NAMED: usize = 3;

/// Referrers of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrers {
    /// The referrers, each digest once, as described by the list. Artifact types and annotations are copies that not
    /// every list has.
    pub descriptors: Vec<Descriptor>,
    /// Origin of the list.
    pub origin: ReferrersOrigin,
}

/// Origin of a list of referrers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReferrersOrigin {
    /// The registry, through its referrers API.
    Api,
    /// An index under the fallback tag.
    Tag {
        /// The tag.
        tag: Tag,
        /// The digest of the index.
        digest: Digest,
    },
    /// No list: the registry has no referrers API and no fallback tag, or the repository or the subject does not exist.
    Nobody,
}

impl Referrers {
    fn empty() -> Self {
        Self {
            descriptors: Vec::new(),
            origin: ReferrersOrigin::Nobody,
        }
    }
}

impl Client {
    /// Lists the referrers of `subject` in `repository`, of any artifact type. One request, and one for each further
    /// page: to the referrers API, or to the fallback tag if the registry is known to lack the API, which takes one
    /// request an hour for all repositories. Where three requests in a repository were denied, and the registry has not
    /// listed anything, the fallback tag is read without a further one for an hour. A subject without referrers is no
    /// error, nor is a missing subject or repository.
    ///
    /// A fallback tag beside an API is ignored; [`Client::referrers_by_tag`] reads it.
    ///
    /// # Errors
    /// A list that is malformed or endless, has more than 20,000 entries or leads elsewhere; a fallback tag that holds
    /// something other than an index.
    pub async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
    ) -> Result<Referrers, Error> {
        let scopes = ScopeSet::pull(repository);
        let listed = self.list_anywhere(repository, scopes, subject).await;
        self.checked(repository, listed).await
    }

    /// Like [`Client::referrers`], for a repository that will be written to: one token serves both.
    ///
    /// # Errors
    /// As for [`Client::referrers`].
    pub async fn referrers_for_push(
        &self,
        repository: &Repository,
        subject: &Digest,
    ) -> Result<Referrers, Error> {
        let scopes = ScopeSet::push(repository);
        let listed = self.list_anywhere(repository, scopes, subject).await;
        self.checked(repository, listed).await
    }

    /// Lists referrers by the API only, for callers who know from a list of tags that there is no fallback tag. If the
    /// registry is known to lack the API, the result is empty and no request is sent.
    ///
    /// # Errors
    /// As for [`Client::referrers`].
    pub async fn referrers_by_api(
        &self,
        repository: &Repository,
        subject: &Digest,
    ) -> Result<Referrers, Error> {
        let scopes = ScopeSet::pull(repository);
        let listed = self.list_by_api(repository, scopes, subject).await;
        let listed = self.checked(repository, listed).await?;
        Ok(listed.unwrap_or_else(Referrers::empty))
    }

    /// Warns about entries that are left out of the referrers of `subject`.
    fn warn_of_unreadable(
        &self,
        repository: &Repository,
        subject: &Digest,
        unreadable: &[ManifestError],
    ) {
        if unreadable.is_empty() {
            return;
        }
        let of = format!(
            "of the list of what refers to {}@{subject}",
            repository.path()
        );
        for error in unreadable.iter().take(MAX_NAMED) {
            self.warn(&format!("an entry {of} is left out: {error}"));
        }
        let more = unreadable.len().saturating_sub(MAX_NAMED);
        if more > 0 {
            self.warn(&format!("{more} further entries {of} are left out"));
        }
    }

    async fn list_anywhere(
        &self,
        repository: &Repository,
        scopes: ScopeSet,
        subject: &Digest,
    ) -> Result<Referrers, Error> {
        match self
            .list_by_api(repository, scopes.clone(), subject)
            .await?
        {
            Some(listed) => Ok(listed),
            None => self.list_by_tag(repository, scopes, subject).await,
        }
    }

    /// Returns the list of the API; `None` if its answer says nothing about the subject.
    async fn list_by_api(
        &self,
        repository: &Repository,
        scopes: ScopeSet,
        subject: &Digest,
    ) -> Result<Option<Referrers>, Error> {
        let capabilities = &self.inner.capabilities.referrers;
        if capabilities.is_denied(repository.path()) {
            return Ok(None);
        }
        match self.request_referrers(repository, scopes, subject).await? {
            ApiAnswer::Listed(descriptors) => Ok(Some(Referrers {
                descriptors,
                origin: ReferrersOrigin::Api,
            })),
            ApiAnswer::NoRepository => Ok(Some(Referrers::empty())),
            ApiAnswer::Unclear | ApiAnswer::Denied
                if matches!(capabilities.api(), ApiSupport::Answers | ApiSupport::Lists) =>
            {
                Ok(Some(Referrers::empty()))
            }
            ApiAnswer::Denied => {
                capabilities.record_denial(repository.path());
                Ok(None)
            }
            ApiAnswer::Unclear | ApiAnswer::NoApi => Ok(None),
        }
    }
}
