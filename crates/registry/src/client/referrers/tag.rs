//! Reading the fallback tag (distribution-spec, "Referrers Tag Schema").

use std::collections::HashSet;

use super::{MAX_REFERRERS, Referrers, ReferrersOrigin, api};
use crate::auth::ScopeSet;
use crate::client::Client;
use crate::client::manifests::FetchedManifest;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind};
use crate::manifest::media_type;
use crate::quote::quoted;
use crate::reference::{Repository, Tag};

impl Client {
    /// Lists referrers by the fallback tag of `subject` in one request, whether the registry has a referrers API or
    /// not. For registries that got the API later, if a list of tags contains the tag ([`Tag::of_referrers_to`]).
    ///
    /// # Errors
    /// As for [`Client::referrers`].
    pub async fn referrers_by_tag(
        &self,
        repository: &Repository,
        subject: &Digest,
    ) -> Result<Referrers, Error> {
        let scopes = ScopeSet::pull(repository);
        let listed = self.list_by_tag(repository, scopes, subject).await;
        self.checked(repository, listed).await
    }

    pub(super) async fn list_by_tag(
        &self,
        repository: &Repository,
        scopes: ScopeSet,
        subject: &Digest,
    ) -> Result<Referrers, Error> {
        let tag = Tag::of_referrers_to(subject);
        let fetched = self.get_tagged(repository, scopes, &tag).await;
        let fetched = match fetched {
            Ok(Some(fetched)) => fetched,
            Ok(None) => return Ok(Referrers::empty()),
            // Artifactory's answer for a tag that does not exist in a readable repository.
            Err(error) if error.kind() == ErrorKind::Denied => {
                if self.inner.capabilities.referrers.is_first_denial() {
                    self.warn(&format!(
                        "the registry denies access to tags that would list referrers, which is taken to mean that they do not exist: {error}"
                    ));
                }
                return Ok(Referrers::empty());
            }
            Err(error) => return Err(error),
        };
        let refuse = |why: String| {
            let action = api::action(repository, subject);
            let host = repository.registry().as_str();
            Error::new(ErrorKind::Protocol, action, host, why)
        };
        check(&tag, &fetched).map_err(refuse)?;
        if fetched.manifest.digest() == subject {
            return Err(refuse(format!(
                "the tag {tag} is where an index lists them, but it holds the manifest itself; give that another tag"
            )));
        }
        let list = fetched.manifest.referrer_list().map_err(|error| {
            let why = api::unreadable(&error);
            refuse(format!("{why}; it is the one at the tag {tag}"))
        })?;
        self.warn_of_unreadable(repository, subject, &list.unreadable);
        let mut descriptors = list.descriptors;
        let mut digests = HashSet::new();
        descriptors.retain(|descriptor| digests.insert(descriptor.digest.clone()));
        if descriptors.len() > MAX_REFERRERS {
            return Err(refuse(format!(
                "the list at the tag {tag} has more than {MAX_REFERRERS} referrers"
            )));
        }
        Ok(Referrers {
            descriptors,
            origin: ReferrersOrigin::Tag {
                tag,
                digest: fetched.manifest.digest().clone(),
            },
        })
    }
}

/// Checks that the manifest at the tag can list referrers; an error is a clause with the remedy.
pub(super) fn check(tag: &Tag, fetched: &FetchedManifest) -> Result<(), String> {
    let found = fetched.manifest.media_type();
    if found == media_type::OCI_INDEX {
        return Ok(());
    }
    Err(format!(
        "the tag {tag} is where an OCI index lists them, but it holds {}; give what it holds another tag",
        quoted(found)
    ))
}
