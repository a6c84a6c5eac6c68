//! Pushing of manifests, and detection of pushes that arrived without an answer.

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method, StatusCode};

use crate::auth::ScopeSet;
use crate::client::Client;
use crate::client::call::CallOutcome;
use crate::client::repository_context::RepositoryContext;
use crate::client::request::RequestSpec;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Retryable};
use crate::manifest::Manifest;
use crate::reference::{Repository, Tag, Target};
use crate::transport::AnswerLimit;

use super::{CONTENT_DIGEST, ManifestPresence, header_digest, name};

const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// Answer of a registry to a manifest that it accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushedManifest {
    /// Subject for which the registry lists the manifest as a referrer (`OCI-Subject`). `None` does not mean that it
    /// does not: Quay lists without saying so, and a reply may be lost. A digest does not prove that the list can be
    /// requested either. [`Client::update_referrers_index`] makes sure.
    pub subject: Option<Digest>,
}

impl Client {
    /// Pushes a manifest, byte for byte. A registry that rewrites it (it returns another digest) is an error. Missing
    /// blobs or children are [`ErrorKind::MissingContent`], and claims that they exist are not believed by the next
    /// [`Client::open_upload`]. If the reply is lost, or a server or proxy fails, a HEAD shows whether the manifest
    /// arrived before it is pushed again, since a second push may be refused (immutable tags). For a manifest with a
    /// subject, continue with [`Client::update_referrers_index`].
    pub async fn put_manifest(
        &self,
        repository: &Repository,
        target: &Target,
        manifest: &Manifest,
    ) -> Result<PushedManifest, Error> {
        let request = push_request(repository, target, manifest)?;
        let pushed = self.push(&request, target, manifest).await;
        self.checked(repository, pushed).await
    }

    /// Like [`Client::put_manifest`] for a tag, if `condition` holds (`If-Match`, `If-None-Match`) and the registry
    /// supports it.
    pub(in crate::client) async fn put_tagged(
        &self,
        repository: &Repository,
        tag: &Tag,
        manifest: &Manifest,
        condition: Option<(HeaderName, HeaderValue)>,
    ) -> Result<PushedManifest, Error> {
        let target = Target::Tag(tag.clone());
        let mut request = push_request(repository, &target, manifest)?;
        if let Some((name, value)) = condition {
            request = request.header(name, value);
        }
        self.push(&request, &target, manifest).await
    }

    async fn push(
        &self,
        request: &RequestSpec,
        target: &Target,
        manifest: &Manifest,
    ) -> Result<PushedManifest, Error> {
        let mut context = self.repository_context(&request.repository).await?;
        let mut attempts = self.attempts(&context);
        // The outcome of a try is unknown: later refusals may be about the manifest that it stored.
        let mut is_unclear = false;
        loop {
            let error = match self.put(&mut context, request, target, manifest).await {
                Ok(pushed) => return Ok(pushed),
                Err(error) => error,
            };
            is_unclear |= may_have_arrived(&error);
            let was_answered = !matches!(error.kind(), ErrorKind::RateLimited | ErrorKind::Connect);
            let may_exist = error.is_conflict() || (is_unclear && was_answered);
            let again = attempts.after(error).await;
            // It may exist even if no try is left: from a try whose answer was lost, or from another client.
            if may_exist
                && self
                    .arrived(request, target, manifest, again.is_err())
                    .await
            {
                return Ok(PushedManifest::default());
            }
            context.tries =
                again.map_err(|error| self.missing_content(&request.repository, error))?;
        }
    }

    /// Turns the last answer to a push into an error of missing content, if it names some, and remembers that.
    fn missing_content(&self, repository: &Repository, error: Error) -> Error {
        let error = missing_content(error);
        if error.kind() == ErrorKind::MissingContent {
            let capabilities = &self.inner.capabilities;
            capabilities.record_missing(repository.path(), error.missing());
        }
        error
    }

    async fn put(
        &self,
        context: &mut RepositoryContext,
        request: &RequestSpec,
        target: &Target,
        manifest: &Manifest,
    ) -> Result<PushedManifest, Error> {
        let response = match self.once(context, request).await? {
            CallOutcome::Answer(response) => response,
            CallOutcome::Refused(error) => return Err(error),
        };
        let path = request.repository.path();
        if !response.status.is_success() {
            let error = request.failure(response).await;
            return Err(if is_read_while_written(&error, target) {
                error.with_conflict()
            } else {
                error
            });
        }
        self.inner.capabilities.missed_nothing(path);
        let stored = header_digest(&response.headers, &CONTENT_DIGEST);
        let subject = header_digest(&response.headers, &SUBJECT);
        response.body.drain().await;
        match stored {
            Some(stored) if !is_digest_of(&stored, manifest) => {
                return Err(rewritten(request, &stored, manifest));
            }
            Some(_) => {}
            None => self.confirm(request, target, manifest).await?,
        }
        if subject.is_some() {
            self.inner.capabilities.referrers.said_subject();
        }
        Ok(PushedManifest { subject })
    }

    /// Returns whether the manifest exists at `target`; an error counts as no. `is_last` limits the question to a
    /// single try, for the end of a push.
    async fn arrived(
        &self,
        push: &RequestSpec,
        target: &Target,
        manifest: &Manifest,
        is_last: bool,
    ) -> bool {
        let repository = &push.repository;
        let scopes = ScopeSet::push(repository);
        let mut request = super::manifest_request(Method::HEAD, repository, scopes, target);
        if is_last {
            request = request.once();
        }
        match self.head_for_push(&request, target).await {
            Ok(ManifestPresence::Present(head)) => is_digest_of(&head.digest, manifest),
            Ok(ManifestPresence::Absent | ManifestPresence::Unknown(_)) | Err(_) => false,
        }
    }

    /// Confirms a success without a digest, which may come from a web server that answers 200 to everything: the first
    /// manifest that a registry stores this way is fetched and compared.
    async fn confirm(
        &self,
        request: &RequestSpec,
        target: &Target,
        manifest: &Manifest,
    ) -> Result<(), Error> {
        if self.inner.capabilities.is_known_to_verify() {
            return Ok(());
        }
        let repository = &request.repository;
        let get =
            super::manifest_request(Method::GET, repository, ScopeSet::push(repository), target);
        match self.get(&get, target).await {
            Ok(stored) if stored.bytes() == manifest.bytes() => {
                self.inner.capabilities.record_verified();
                Ok(())
            }
            Ok(stored) => Err(rewritten(request, stored.digest(), manifest)),
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::Protocol | ErrorKind::Corrupt => {
                    let message = "the registry said that it took the manifest, but does not give it back; is it a registry?";
                    let unconfirmed = request
                        .error(ErrorKind::Protocol, message)
                        .with_status(error.status().unwrap_or(StatusCode::OK));
                    let unconfirmed = if error.lacks_registry_signs() {
                        unconfirmed.without_registry_signs()
                    } else {
                        unconfirmed
                    };
                    Err(unconfirmed.with_source(error))
                }
                _ => Err(error),
            },
        }
    }
}

fn push_request(
    repository: &Repository,
    target: &Target,
    manifest: &Manifest,
) -> Result<RequestSpec, Error> {
    let request = RequestSpec::new(
        Method::PUT,
        repository,
        ScopeSet::push(repository),
        format!("manifests/{target}"),
        format!("push manifest {}", name(repository, target)),
    );
    let content_type = HeaderValue::from_str(manifest.media_type()).map_err(|error| {
        request
            .error(
                ErrorKind::Protocol,
                "the manifest's media type makes no header",
            )
            .with_source(error)
    })?;
    Ok(request
        .header(CONTENT_TYPE, content_type)
        .body(manifest.bytes().clone())
        .limit(AnswerLimit::Closing))
}

/// Returns whether the registry may have stored the manifest despite `error`.
fn may_have_arrived(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Broken | ErrorKind::Stalled => true,
        // A server that names a time has not processed the request.
        ErrorKind::Server => !matches!(error.retryable(), Retryable::After(_)),
        _ => false,
    }
}

/// Returns whether `digest`, with any algorithm, belongs to `manifest`.
fn is_digest_of(digest: &Digest, manifest: &Manifest) -> bool {
    digest == manifest.digest()
        || digest
            .algorithm()
            .is_some_and(|algorithm| Digest::compute(algorithm, manifest.bytes()) == *digest)
}

/// Returns whether the registry may have read a link to content of the manifest while another client wrote it.
/// distribution writes links in place, and then answers that a digest is invalid, besides or instead of naming the
/// content that it could not read. A digest with an algorithm that the registry does not know is invalid for good.
fn is_read_while_written(error: &Error, target: &Target) -> bool {
    let may_be_unknown = match target {
        Target::Digest(digest) => !digest.as_str().starts_with("sha256:"),
        Target::Tag(_) => false,
    };
    error.kind() == ErrorKind::Rejected
        && error.code() == Some("DIGEST_INVALID")
        && (!error.missing().is_empty() || !may_be_unknown)
}

/// Changes the kind of an error about missing content. Registries use several codes besides that of the specification,
/// and may name the content with another code.
fn missing_content(error: Error) -> Error {
    let missing = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Rejected)
        && (matches!(error.code(), Some("BLOB_UNKNOWN" | "MANIFEST_UNKNOWN"))
            || !error.missing().is_empty());
    if missing {
        error.with_kind(ErrorKind::MissingContent)
    } else {
        error
    }
}

fn rewritten(request: &RequestSpec, stored: &Digest, manifest: &Manifest) -> Error {
    request.error(
        ErrorKind::Corrupt,
        format!(
            "the registry rewrote the manifest: {} was pushed, it has {stored}",
            manifest.digest()
        ),
    )
}
