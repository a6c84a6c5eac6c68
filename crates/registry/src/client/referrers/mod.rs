//! Referrers: manifests that name another as their `subject`, such as its signatures (docs/protocol.md#referrers).
//!
//! Registries that have the referrers API list them; at others, whoever pushes one keeps the list, an index under a tag
//! that is made of the subject's digest. Which of the two a registry does is found out by asking it once
//! ([`capabilities`]); [`api`] asks, [`tag`] reads the fallback tag, [`update_index`] sees that what was pushed is listed.

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

/// The most referrers of one subject. The largest lists in the field have some hundreds (a signature a day).
const MAX_REFERRERS: usize = 20_000;

/// The most entries of a list that are named in warnings; more are counted.
const MAX_NAMED: usize = 3;

/// What refers to a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrers {
    /// The referrers, each digest once, as the list describes them: their artifact types and annotations are copies,
    /// which not every list has.
    pub descriptors: Vec<Descriptor>,
    /// Who listed them.
    pub origin: ReferrersOrigin,
}

/// Who listed referrers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReferrersOrigin {
    /// The registry, by its referrers API.
    Api,
    /// An index under the fallback tag.
    Tag {
        /// The tag.
        tag: Tag,
        /// The digest of the index.
        digest: Digest,
    },
    /// Nobody: the registry has no referrers API and no fallback tag, or does not have the repository or the subject
    /// at all.
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
    /// What refers to `subject` in `repository`, whatever its artifact type. One request, and one for each further page:
    /// to the referrers API, or to the fallback tag where the registry was found to have no such API, which takes one
    /// request once for all repositories. What has no referrers is no error, nor is a subject or a repository that does
    /// not exist.
    ///
    /// A fallback tag beside an API is not looked at; [`Client::referrers_by_tag`] does.
    ///
    /// # Errors
    /// A list that is malformed, does not end, has more than 20,000 entries or leads elsewhere; a fallback tag that holds
    /// something else than an index.
    pub async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
    ) -> Result<Referrers, Error> {
        let scopes = ScopeSet::pull(repository);
        let listed = self.list_anywhere(repository, scopes, subject).await;
        self.checked(repository, listed).await
    }

    /// The same at a repository that will be written to: one token serves both.
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

    /// What the referrers API lists, with no look at the fallback tag: for whoever knows from a list of tags that there
    /// is none. Where the registry was found to have no such API, nothing is asked, and nobody lists anything.
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

    /// Warns that entries of the list of what refers to `subject` are left out.
    fn warn_of_unreadable(
        &self,
        repository: &Repository,
        subject: &Digest,
        unreadable: &[ManifestError],
    ) {
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

    /// What the API says; `None` where it says nothing of the subject.
    async fn list_by_api(
        &self,
        repository: &Repository,
        scopes: ScopeSet,
        subject: &Digest,
    ) -> Result<Option<Referrers>, Error> {
        match self.ask_referrers(repository, scopes, subject).await? {
            ApiAnswer::Listed(descriptors) => Ok(Some(Referrers {
                descriptors,
                origin: ReferrersOrigin::Api,
            })),
            ApiAnswer::NoRepository => Ok(Some(Referrers::empty())),
            ApiAnswer::Unclear
                if matches!(
                    self.inner.habits.referrers.api(),
                    ApiSupport::Answers | ApiSupport::Lists
                ) =>
            {
                Ok(Some(Referrers::empty()))
            }
            ApiAnswer::Unclear | ApiAnswer::NoApi => Ok(None),
        }
    }
}
