//! Pushing of manifests, and detection of pushes that arrived without an answer.

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method, StatusCode};

use crate::auth::ScopeSet;
use crate::client::Client;
use crate::client::call::may_have_arrived;
use crate::client::call_outcome::CallOutcome;
use crate::client::request::RequestSpec;
use crate::client::request_context::RequestContext;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind};
use crate::manifest::Manifest;
use crate::reference::{Repository, Tag, Target};
use crate::transport::AnswerLimit;

use super::{CONTENT_DIGEST, ManifestPresence, header_digest, name};

const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// Answer of a registry to a manifest that it accepted.
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushedManifest {
    /// Subject for which the registry lists the manifest as a referrer (`OCI-Subject`). `None` does not mean that it
    /// does not: Quay lists without saying so, and a reply may be lost. A digest does not prove that the list can be
    /// requested either. [`Client::update_referrers_index`] makes sure.
    pub subject: Option<Digest>,
}

/// A manifest on its way to a registry.
struct ManifestPush<'a> {
    repository: &'a Repository,
    target: &'a Target,
    manifest: &'a Manifest,
    request: RequestSpec,
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
        let push = self.manifest_push(repository, target, manifest)?;
        let pushed = self.push(&push).await;
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
        let mut push = self.manifest_push(repository, &target, manifest)?;
        if let Some((name, value)) = condition {
            push.request = push.request.header(name, value);
        }
        self.push(&push).await
    }

    fn manifest_push<'a>(
        &self,
        repository: &'a Repository,
        target: &'a Target,
        manifest: &'a Manifest,
    ) -> Result<ManifestPush<'a>, Error> {
        let mut push = ManifestPush::new(repository, target, manifest)?;
        if let Target::Tag(_) = target {
            push.request = push.request.guarded(self.tag_guard.clone());
        }
        Ok(push)
    }

    async fn push(&self, push: &ManifestPush<'_>) -> Result<PushedManifest, Error> {
        let mut context = self.request_context(push.repository).await?;
        let mut attempts = self.attempts(&context);
        // The outcome of a try is unknown: later refusals may be about the manifest that it stored.
        let mut is_unclear = false;
        loop {
            let error = match self.put(&mut context, push).await {
                Ok(pushed) => return Ok(pushed),
                Err(error) => error,
            };
            is_unclear |= may_have_arrived(&error);
            let was_answered = !matches!(error.kind(), ErrorKind::RateLimited | ErrorKind::Connect);
            let may_exist = error.is_conflict() || (is_unclear && was_answered);
            let again = attempts.after(error).await;
            // It may exist even if no try is left: from a try whose answer was lost, or from another client.
            if may_exist && self.arrived(push, again.is_err()).await {
                return Ok(PushedManifest::default());
            }
            context.tries = again.map_err(|error| self.missing_content(push.repository, error))?;
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
        context: &mut RequestContext,
        push: &ManifestPush<'_>,
    ) -> Result<PushedManifest, Error> {
        let response = match self.once(context, &push.request).await? {
            CallOutcome::Answer(response) => response,
            CallOutcome::Refused(error) => return Err(error),
        };
        if !response.status.is_success() {
            let error = push.request.failure(response).await;
            return Err(if is_read_while_written(&error, push.target) {
                error.with_conflict()
            } else {
                error
            });
        }
        self.inner
            .capabilities
            .missed_nothing(push.repository.path());
        let stored = header_digest(&response.headers, &CONTENT_DIGEST);
        let subject = header_digest(&response.headers, &SUBJECT);
        response.body.drain().await;
        match stored {
            Some(stored) if !is_digest_of(&stored, push.manifest) => {
                return Err(push.rewritten(&stored));
            }
            Some(_) => {}
            None => self.confirm(push).await?,
        }
        if subject.is_some() {
            self.inner.capabilities.referrers.said_subject();
        }
        Ok(PushedManifest { subject })
    }

    /// Returns whether the manifest exists at its target; an error counts as no. `is_last` limits the question to a
    /// single try, for the end of a push.
    async fn arrived(&self, push: &ManifestPush<'_>, is_last: bool) -> bool {
        let mut request = push.lookup(Method::HEAD);
        if is_last {
            request = request.once();
        }
        match self.head_for_push(&request, push.target).await {
            Ok(ManifestPresence::Present(head)) => is_digest_of(&head.digest, push.manifest),
            Ok(ManifestPresence::Absent | ManifestPresence::Unknown(_)) | Err(_) => false,
        }
    }

    /// Confirms a success without a digest, which may come from a web server that answers 200 to everything: the first
    /// manifest that a registry stores this way is fetched and compared.
    async fn confirm(&self, push: &ManifestPush<'_>) -> Result<(), Error> {
        if self.inner.capabilities.is_known_to_verify() {
            return Ok(());
        }
        match self.get(&push.lookup(Method::GET), push.target).await {
            Ok(stored) if stored.bytes() == push.manifest.bytes() => {
                self.inner.capabilities.record_verified();
                Ok(())
            }
            Ok(stored) => Err(push.rewritten(stored.digest())),
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::Protocol | ErrorKind::Corrupt => {
                    let message = "the registry said that it took the manifest, but does not give it back; is it a registry?";
                    let unconfirmed = push
                        .request
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

impl<'a> ManifestPush<'a> {
    fn new(
        repository: &'a Repository,
        target: &'a Target,
        manifest: &'a Manifest,
    ) -> Result<Self, Error> {
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
        Ok(Self {
            request: request
                .header(CONTENT_TYPE, content_type)
                .body(manifest.bytes().clone())
                .limit(AnswerLimit::Closing),
            repository,
            target,
            manifest,
        })
    }

    /// Returns a request for the stored manifest that the token for the push serves as well.
    fn lookup(&self, method: Method) -> RequestSpec {
        let scopes = ScopeSet::push(self.repository);
        super::manifest_request(method, self.repository, scopes, self.target)
    }

    /// Returns the error for a registry that stored the manifest under another digest.
    fn rewritten(&self, stored: &Digest) -> Error {
        self.request.error(
            ErrorKind::Corrupt,
            format!(
                "the registry rewrote the manifest: {} was pushed, it has {stored}",
                self.manifest.digest()
            ),
        )
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
