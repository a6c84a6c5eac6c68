//! Lists of pushed referrers under fallback tags.
//!
//! The writes of one tag repeat when other clients write it as well: at most [`MAX_WRITES`] times, with the backoff of
//! the retry policy. They are not counted as its tries, since each one succeeded, and was undone. Requests themselves
//! follow the policy.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::{HeaderName, HeaderValue};
use tokio::time::Instant;

use super::api::ApiAnswer;
use super::capabilities::ApiSupport;
use super::tag::check;
use crate::auth::ScopeSet;
use crate::client::Client;
use crate::client::manifests::FetchedManifest;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind};
use crate::manifest::{Descriptor, Manifest};
use crate::reference::{Repository, Tag, Target};

/// Maximum number of writes of a fallback tag that other clients write as well.
const MAX_WRITES: usize = 5;
/// Maximum wait for a writer that read before this one wrote.
const MAX_SETTLING: Duration = Duration::from_secs(1);

/// Result of listing pushed referrers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedReferrers {
    /// Place of the list.
    pub by: IndexedBy,
    /// Other clients wrote the fallback tag at the same time, again and again, and at the end it did not list all of
    /// them. Listing them again repairs it.
    pub contended: bool,
}

/// Place of a list of referrers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IndexedBy {
    /// The registry itself.
    Api,
    /// The index under the fallback tag.
    Tag {
        /// The tag.
        tag: Tag,
        /// The digest of the index; `None` if another client removed it meanwhile.
        digest: Option<Digest>,
        /// True if the index was written: it did not list all of them before.
        written: bool,
    },
}

impl Client {
    /// Makes sure that `referrers`, which were pushed to `repository` and name `subject`, are listed. The descriptors
    /// are those of [`Manifest::referrer_descriptor`]. One call lists all referrers of a subject, after they were
    /// pushed. An empty list sends no request and counts as listed by the API.
    ///
    /// No request is sent to a registry whose API was seen to work. Otherwise the API is requested once for all
    /// repositories, whatever the answers to the pushes were: registries without the API have sent `OCI-Subject`, and
    /// others with the API have not (Quay). If the API is missing, or lists nothing, the fallback tag is read, written,
    /// and read again, unless it lists all of them. Writers in this process take turns. Writers elsewhere are detected
    /// by `If-Match`, or by reading again, and their entries are merged. No entry is removed, and everything else in
    /// the index stays as it is.
    ///
    /// # Errors
    /// As for [`Client::referrers`] and [`Client::put_manifest`]. [`ErrorKind::MissingContent`] also if the index lists
    /// referrers that the repository no longer has.
    pub async fn update_referrers_index(
        &self,
        repository: &Repository,
        subject: &Digest,
        referrers: &[Descriptor],
    ) -> Result<IndexedReferrers, Error> {
        if referrers.is_empty() || self.lists_itself(repository, subject, referrers).await? {
            return Ok(IndexedReferrers {
                by: IndexedBy::Api,
                contended: false,
            });
        }
        let tag = Tag::of_referrers_to(subject);
        let capabilities = &self.inner.capabilities.referrers;
        let _turn = capabilities
            .lock_writer(&format!("{}:{tag}", repository.path()))
            .await;
        TagUpdate {
            client: self,
            repository,
            subject,
            tag,
            referrers,
            wrote: false,
        }
        .run()
        .await
    }

    /// Returns whether the registry lists them itself.
    async fn lists_itself(
        &self,
        repository: &Repository,
        subject: &Digest,
        referrers: &[Descriptor],
    ) -> Result<bool, Error> {
        let capabilities = &self.inner.capabilities.referrers;
        match capabilities.api() {
            ApiSupport::Missing => return Ok(false),
            ApiSupport::Lists => return Ok(true),
            ApiSupport::Answers if capabilities.says_subject() => return Ok(true),
            ApiSupport::Answers | ApiSupport::Unknown => {}
        }
        let told = self
            .request_referrers(repository, ScopeSet::push(repository), subject)
            .await?;
        match told {
            ApiAnswer::Listed(list) if !list.is_empty() => Ok(true),
            // Two signs of the API: the entries will appear.
            ApiAnswer::Listed(_) if capabilities.says_subject() => Ok(true),
            ApiAnswer::Listed(_) => {
                capabilities.lists_nothing();
                let count = referrers.len();
                self.warn(&format!(
                    "the registry's referrers API does not list what was pushed ({count} of {}@{subject}); fallback tags are written instead",
                    repository.path()
                ));
                Ok(false)
            }
            ApiAnswer::NoApi => Ok(false),
            ApiAnswer::NoRepository | ApiAnswer::Unclear | ApiAnswer::Denied => {
                Ok(capabilities.says_subject())
            }
        }
    }
}

/// Update of one fallback tag.
struct TagUpdate<'a> {
    client: &'a Client,
    repository: &'a Repository,
    subject: &'a Digest,
    tag: Tag,
    referrers: &'a [Descriptor],
    wrote: bool,
}

impl TagUpdate<'_> {
    async fn run(mut self) -> Result<IndexedReferrers, Error> {
        let capabilities = &self.client.inner.capabilities.referrers;
        let mut delays = backoff(self.client);
        // State of the tag when a conditional write was refused.
        let mut refused: Option<Option<Digest>> = None;
        for turn in 0..=MAX_WRITES {
            let started = Instant::now();
            let found = self.read().await?;
            let stands = found.as_ref().map(|found| found.manifest.digest().clone());
            let merged = self.merge(found.as_ref())?;
            if stands.as_ref() == Some(merged.digest()) {
                return Ok(self.done(stands, false));
            }
            if turn == MAX_WRITES {
                return Ok(self.done(stands, true));
            }
            match refused.take() {
                Some(before) if before == stands => capabilities.no_conditions(),
                Some(_) => capabilities.record_honoured_condition(),
                None => {}
            }
            let condition = condition(found.as_ref()).filter(|_| capabilities.takes_conditions());
            let conditional = condition.is_some();
            match self.write(&merged, condition).await {
                Ok(()) => self.wrote = true,
                Err(error) if conditional && refuses_condition(&error) => {
                    refused = Some(stands);
                    continue;
                }
                Err(error) => return Err(explain(error)),
            }
            self.wait_for_writers(started).await;
            if self.current_digest().await?.as_ref() == Some(merged.digest()) {
                return Ok(self.done(Some(merged.digest().clone()), false));
            }
            if let Some(delay) = delays.next() {
                tokio::time::sleep(delay).await;
            }
        }
        Ok(self.done(None, true))
    }

    async fn read(&self) -> Result<Option<FetchedManifest>, Error> {
        let scopes = ScopeSet::push(self.repository);
        let found = self
            .client
            .get_tagged(self.repository, scopes, &self.tag)
            .await;
        found.map_err(|error| match error.kind() {
            ErrorKind::Denied => error.with_clause(
                "a list of referrers that cannot be read is not written, since what it lists would be lost",
            ),
            _ => error,
        })
    }

    /// Returns the list with all `referrers`, or the document as it was found if it lists them already.
    fn merge(&self, found: Option<&FetchedManifest>) -> Result<Manifest, Error> {
        let merged = match found {
            None => Manifest::index_of(self.referrers).map_err(|error| error.to_string()),
            Some(found) => check(&self.tag, found).and_then(|()| {
                let appended = found.manifest.append(self.referrers);
                appended.map_err(|error| error.to_string())
            }),
        };
        merged.map_err(|why| {
            Error::new(
                ErrorKind::Protocol,
                format!(
                    "list the referrers of {}@{}",
                    self.repository.path(),
                    self.subject
                ),
                self.repository.registry().as_str(),
                why,
            )
        })
    }

    async fn write(
        &self,
        merged: &Manifest,
        condition: Option<(HeaderName, HeaderValue)>,
    ) -> Result<(), Error> {
        self.client
            .put_tagged(self.repository, &self.tag, merged, condition)
            .await
            .map(drop)
    }

    /// Waits as long as reading and writing took, so that a writer that read the list before this write undoes it while
    /// that is still noticed. Not needed where conditions are honoured.
    async fn wait_for_writers(&self, started: Instant) {
        if !self
            .client
            .inner
            .capabilities
            .referrers
            .honours_conditions()
        {
            tokio::time::sleep(started.elapsed().min(MAX_SETTLING)).await;
        }
    }

    /// Returns the digest at the tag now.
    async fn current_digest(&self) -> Result<Option<Digest>, Error> {
        let target = Target::Tag(self.tag.clone());
        let head = self
            .client
            .head_manifest_for_push(self.repository, &target)
            .await?;
        Ok(head.found().map(|head| head.digest))
    }

    fn done(&self, digest: Option<Digest>, contended: bool) -> IndexedReferrers {
        IndexedReferrers {
            by: IndexedBy::Tag {
                tag: self.tag.clone(),
                digest,
                written: self.wrote,
            },
            contended,
        }
    }
}

/// Returns the condition of the write: the tag still holds what was found, or nothing.
fn condition(found: Option<&FetchedManifest>) -> Option<(HeaderName, HeaderValue)> {
    match found {
        None => Some((IF_NONE_MATCH, HeaderValue::from_static("*"))),
        // A weak validator cannot be matched (RFC 9110, section 13.1.1).
        Some(FetchedManifest { etag, .. }) => etag
            .clone()
            .filter(|etag| !etag.as_bytes().starts_with(b"W/"))
            .map(|etag| (IF_MATCH, etag)),
    }
}

/// Returns whether the registry may refuse the condition, or fail because of it.
fn refuses_condition(error: &Error) -> bool {
    let status = error.status().map_or(0, |status| status.as_u16());
    error.kind() == ErrorKind::Rejected || matches!(status, 304 | 500 | 502)
}

fn backoff(client: &Client) -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_jitter()
        .with_min_delay(client.inner.retry.initial)
        .with_max_delay(client.inner.retry.max)
        .without_max_times()
        .build()
}

/// Explains a refusal of the list.
fn explain(error: Error) -> Error {
    let clause = match error.kind() {
        ErrorKind::MissingContent => {
            "it is the list of referrers that the registry has no API for, and lists some that the repository no longer has"
        }
        ErrorKind::Rejected => {
            "it is the list of referrers that the registry has no API for; where tags cannot be overwritten, exempt those that begin with `sha256-` and `sha512-`"
        }
        _ => return error,
    };
    error.with_clause(clause)
}
