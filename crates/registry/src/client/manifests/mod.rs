//! Manifests (docs/protocol.md#manifests).
//!
//! Retries follow the policy of the pipeline ([`crate::client::call`]), except these, which happen once each: a
//! manifest that arrives with another digest is fetched again, and a HEAD that fails is replaced by a GET.

mod push;
mod verify;

use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::auth::ScopeSet;
use crate::client::call::BufferedResponse;
use crate::client::call_outcome::CallOutcome;
use crate::client::request::RequestSpec;
use crate::client::{Client, ranges};
use crate::digest::Digest;
use crate::error::{Cause, Error, ErrorKind};
use crate::manifest::{MAX_MANIFEST_BYTES, Manifest, media_type};
use crate::reference::{Repository, Tag, Target};
pub use push::PushedManifest;
use verify::ManifestFault;

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// Answer to a HEAD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestHead {
    /// The digest.
    pub digest: Digest,
    /// The media type without parameters, if stated.
    pub media_type: Option<String>,
    /// The size in bytes, if stated.
    pub size: Option<u64>,
}

/// A manifest as received.
pub(super) struct FetchedManifest {
    pub(super) manifest: Manifest,
    /// Condition for a write that must not overwrite another one, if the registry sends it.
    pub(super) etag: Option<HeaderValue>,
}

/// Answer about a manifest in a repository that will be written to.
#[derive(Debug)]
pub enum ManifestPresence {
    /// The manifest exists.
    Present(ManifestHead),
    /// The registry says that it does not exist.
    Absent,
    /// The registry refuses the question for this reason; it may accept a push nevertheless.
    Unknown(Error),
}

impl ManifestPresence {
    /// Returns the manifest, if it exists.
    pub fn found(self) -> Option<ManifestHead> {
        match self {
            Self::Present(head) => Some(head),
            Self::Absent | Self::Unknown(_) => None,
        }
    }
}

/// Outcome of a HEAD.
enum HeadOutcome {
    Found(ManifestHead),
    Absent,
    /// The answer names no digest: a GET is needed.
    WithoutDigest,
    /// The registry does not answer this HEAD; it may answer a GET.
    Failed(Error),
    /// Final 401.
    Refused(Error),
    /// 403: no permission, or Artifactory's answer for tags that do not exist.
    Denied(Error),
}

impl Client {
    /// Looks up `target`; `None` if the registry says that it does not exist. One HEAD. A GET if the registry omits the
    /// digest or does not answer HEAD, which is remembered for the run after a GET was answered.
    pub async fn head_manifest(
        &self,
        repository: &Repository,
        target: &Target,
    ) -> Result<Option<ManifestHead>, Error> {
        let found = self.look_up(repository, target, false).await;
        self.checked(repository, found).await
    }
    /// Like [`Client::head_manifest`], for a manifest that should exist: its absence is believed only if a GET confirms
    /// it. Proxies of other registries answer 404 to HEAD for content that they would fetch on GET.
    pub async fn find_manifest(
        &self,
        repository: &Repository,
        target: &Target,
    ) -> Result<Option<ManifestHead>, Error> {
        let found = self.look_up(repository, target, true).await;
        self.checked(repository, found).await
    }
    /// Looks up `target` in a repository that will be written to. Requests push rights at once, so that the token
    /// serves the push as well. If the registry refuses the question (Harbor's and Docker Hub's 401 and Artifactory's
    /// 403 for repositories that do not exist yet, or the 412 of a policy), the push will tell. A login that the
    /// registry or its token server refuses is an error: it would be refused each time.
    pub async fn head_manifest_for_push(
        &self,
        repository: &Repository,
        target: &Target,
    ) -> Result<ManifestPresence, Error> {
        let scopes = ScopeSet::push(repository);
        let request = manifest_request(Method::HEAD, repository, scopes, target);
        let found = self.head_for_push(&request, target).await;
        self.checked(repository, found).await
    }
    /// Fetches a manifest and verifies it against the digest of `target`, if that is one. A missing manifest is
    /// [`ErrorKind::NotFound`]; bytes with another digest are fetched once more and then are [`ErrorKind::Corrupt`].
    pub async fn get_manifest(
        &self,
        repository: &Repository,
        target: &Target,
    ) -> Result<Manifest, Error> {
        let request = manifest_request(Method::GET, repository, ScopeSet::pull(repository), target);
        let fetched = match self.get(&request, target).await {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                let again = self.get(&request, target).await;
                again.map_err(|error| {
                    let tries = error.tries() + 1;
                    error.with_tries(tries)
                })
            }
            result => result,
        };
        self.checked(repository, fetched).await
    }

    pub(super) async fn head_for_push(
        &self,
        request: &RequestSpec,
        target: &Target,
    ) -> Result<ManifestPresence, Error> {
        let headed = if self.inner.capabilities.heads_fail() {
            HeadOutcome::WithoutDigest
        } else {
            self.head(request, target).await?
        };
        let found = match headed {
            HeadOutcome::Found(head) => Ok(Some(head)),
            HeadOutcome::Absent => Ok(None),
            HeadOutcome::Refused(error) => Err(error),
            HeadOutcome::Denied(error) => Err(self.explain_denial(&request.resource, error).await),
            HeadOutcome::WithoutDigest => self.head_by_get(request, target, None).await,
            HeadOutcome::Failed(error) => self.head_by_get(request, target, Some(error)).await,
        };
        match found {
            Ok(Some(head)) => Ok(ManifestPresence::Present(head)),
            Ok(None) => Ok(ManifestPresence::Absent),
            Err(error) if may_be_pushed_to(request, &error) => Ok(ManifestPresence::Unknown(error)),
            Err(error) => Err(error),
        }
    }

    async fn look_up(
        &self,
        repository: &Repository,
        target: &Target,
        expected: bool,
    ) -> Result<Option<ManifestHead>, Error> {
        let request =
            manifest_request(Method::HEAD, repository, ScopeSet::pull(repository), target);
        if self.inner.capabilities.heads_fail() {
            return self.head_by_get(&request, target, None).await;
        }
        let refused = match self.head(&request, target).await? {
            HeadOutcome::Found(head) => return Ok(Some(head)),
            HeadOutcome::Refused(error) => return Err(error),
            // Docker Hub answers HEAD reliably, and counts a GET as a pull.
            HeadOutcome::Absent if !expected || repository.registry().is_docker_hub() => {
                return Ok(None);
            }
            HeadOutcome::WithoutDigest => None,
            HeadOutcome::Absent => {
                Some(request.error(ErrorKind::NotFound, "the registry does not have it"))
            }
            HeadOutcome::Failed(error) | HeadOutcome::Denied(error) => Some(error),
        };
        self.head_by_get(&request, target, refused).await
    }

    async fn head(&self, request: &RequestSpec, target: &Target) -> Result<HeadOutcome, Error> {
        let response = match self.outcome(request, settles_head).await {
            Ok(CallOutcome::Answer(response)) => response,
            Ok(CallOutcome::Refused(error)) => return Ok(HeadOutcome::Refused(error)),
            Err(error) if fails_for_head(request, &error) => return Ok(HeadOutcome::Failed(error)),
            Err(error) => return Err(error),
        };
        let status = response.status;
        if status == StatusCode::NOT_FOUND {
            response.body.drain().await;
            return Ok(HeadOutcome::Absent);
        }
        if !status.is_success() {
            let error = request.failure(response).await;
            return Ok(match status {
                StatusCode::FORBIDDEN => HeadOutcome::Denied(error),
                _ => HeadOutcome::Failed(error),
            });
        }
        let digest = match target {
            Target::Digest(digest) => Some(digest.clone()),
            Target::Tag(_) => header_digest(&response.headers, &CONTENT_DIGEST),
        };
        let headed = match digest {
            Some(digest) => HeadOutcome::Found(ManifestHead {
                digest,
                media_type: plain_type(&response.headers),
                size: ranges::content_length(&response.headers),
            }),
            None => HeadOutcome::WithoutDigest,
        };
        response.body.drain().await;
        Ok(headed)
    }

    /// Looks up `target` by GET; `failed` is the error of its HEAD, if there was one. After all tries of a HEAD ended
    /// in an error of the server, one try shows whether GET works.
    async fn head_by_get(
        &self,
        head: &RequestSpec,
        target: &Target,
        failed: Option<Error>,
    ) -> Result<Option<ManifestHead>, Error> {
        let by_server = |error: &Error| error.kind() == ErrorKind::Server;
        let request = head.clone().method(Method::GET);
        let request = match &failed {
            Some(error) if by_server(error) => request.once(),
            _ => request,
        };
        // Boxed: it is rare, and the future of every HEAD would have room for it.
        match Box::pin(self.get(&request, target)).await {
            Ok(manifest) => {
                if failed.is_some() {
                    self.inner.capabilities.no_heads();
                }
                Ok(Some(ManifestHead {
                    digest: manifest.digest().clone(),
                    media_type: Some(manifest.media_type().to_owned()),
                    size: Some(manifest.size()),
                }))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // A web server has no manifests either.
                match self.checked(&head.resource, Err(error)).await {
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                    result => result,
                }
            }
            Err(error) => Err(failed.filter(by_server).unwrap_or(error)),
        }
    }

    async fn get(&self, request: &RequestSpec, target: &Target) -> Result<Manifest, Error> {
        self.fetch(request, target)
            .await
            .map(|fetched| fetched.manifest)
    }

    /// Returns the manifest at `tag` with its `ETag`. `scopes` are those for reading or writing.
    pub(super) async fn get_tagged(
        &self,
        repository: &Repository,
        scopes: ScopeSet,
        tag: &Tag,
    ) -> Result<Option<FetchedManifest>, Error> {
        let target = Target::Tag(tag.clone());
        let request = manifest_request(Method::GET, repository, scopes, &target);
        match self.fetch(&request, &target).await {
            Ok(fetched) => Ok(Some(fetched)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn fetch(
        &self,
        request: &RequestSpec,
        target: &Target,
    ) -> Result<FetchedManifest, Error> {
        let whole = self
            .buffered(request, MAX_MANIFEST_BYTES, |status| {
                status == StatusCode::OK
            })
            .await?;
        let mark = |error| request.mark_if_no_registry(error, &whole.headers, &whole.url);
        let header = header_digest(&whole.headers, &CONTENT_DIGEST);
        let content_type = whole
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let settled = verify::verify_digest(&whole.bytes, content_type, target, header.as_ref())
            .map_err(|fault| fault_error(request, target, &whole, fault))
            .map_err(mark)?;
        if settled.contradicted {
            self.warn(&format!(
                "the registry calls the manifest {target} of {} by a digest that its bytes do not have; the bytes are trusted",
                request.resource.path()
            ));
        }
        let manifest = Manifest::new(whole.bytes.clone(), content_type, settled.digest);
        let manifest = manifest.map_err(|error| {
            let message = format!("the answer is no manifest: {error}");
            let error = request
                .error(ErrorKind::Protocol, message)
                .with_status(whole.status);
            // Bytes with the right digest come from a registry, even if they are no manifest.
            if header.is_some() || matches!(target, Target::Digest(_)) {
                error.with_cause(Cause::ManifestInvalid)
            } else {
                mark(error)
            }
        })?;
        self.inner.capabilities.record_registry();
        Ok(FetchedManifest {
            manifest,
            etag: whole.headers.get(ETAG).cloned(),
        })
    }
}

/// Returns whether a HEAD need not be repeated: it was answered, or refused in a way in which a GET may succeed.
fn settles_head(status: StatusCode) -> bool {
    let is_refusal = status.is_client_error() || status == StatusCode::NOT_IMPLEMENTED;
    // These statuses are transient.
    let is_transient = matches!(status.as_u16(), 408 | 425 | 429 | 499);
    status.is_success() || is_refusal && !is_transient
}

/// Returns whether a GET may succeed although the HEAD ended in `error`: some servers and proxies fail only for HEAD.
/// An answer of a token server does not count.
fn fails_for_head(request: &RequestSpec, error: &Error) -> bool {
    let status = error.status().map_or(0, |status| status.as_u16());
    error.kind() == ErrorKind::Server
        && matches!(status, 500 | 502)
        && error.action() == &*request.action
}

/// Returns whether a push may succeed although the registry does not say what it has.
fn may_be_pushed_to(request: &RequestSpec, error: &Error) -> bool {
    let kinds = [
        ErrorKind::Unauthorized,
        ErrorKind::Denied,
        ErrorKind::Rejected,
    ];
    let is_own = error.action() == &*request.action;
    let is_refusal = is_own && kinds.contains(&error.kind()) || fails_for_head(request, error);
    is_refusal && error.cause() != Cause::LoginRefused
}

/// Returns a request for a manifest. HEAD and GET send the same complete `Accept`, so that both refer to the same
/// document.
fn manifest_request(
    method: Method,
    repository: &Repository,
    scopes: ScopeSet,
    target: &Target,
) -> RequestSpec {
    let action = format!("fetch manifest {}", name(repository, target));
    RequestSpec::new(
        method,
        repository,
        scopes,
        format!("manifests/{target}"),
        action,
    )
    .header(ACCEPT, HeaderValue::from_static(media_type::ACCEPT))
    .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"))
    .counted()
}

/// Returns `library/nginx:v1` or `library/nginx@sha256:…`.
fn name(repository: &Repository, target: &Target) -> String {
    match target {
        Target::Tag(tag) => format!("{}:{tag}", repository.path()),
        Target::Digest(digest) => format!("{}@{digest}", repository.path()),
    }
}

fn header_digest(headers: &HeaderMap, name: &HeaderName) -> Option<Digest> {
    Digest::parse(headers.get(name)?.to_str().ok()?.trim()).ok()
}

/// Returns the `Content-Type` without parameters.
fn plain_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let plain = value.split(';').next().unwrap_or_default().trim();
    (!plain.is_empty()).then(|| plain.to_ascii_lowercase())
}

/// Returns the host that answered, as written by the user if it is the registry.
fn sender<'a>(request: &'a RequestSpec, url: &'a url::Url) -> &'a str {
    let registry = request.resource.registry();
    match url.host_str() {
        Some(host) if host != registry.api_host() => host,
        _ => registry.as_str(),
    }
}

fn fault_error(
    request: &RequestSpec,
    target: &Target,
    whole: &BufferedResponse,
    fault: ManifestFault,
) -> Error {
    match fault {
        ManifestFault::Mismatch { found } => request.error(
            ErrorKind::Corrupt,
            format!(
                "{} sent {} bytes with the digest {found} instead of {target}",
                sender(request, &whole.url),
                whole.bytes.len()
            ),
        ),
        ManifestFault::Unknown => request.error(
            ErrorKind::Protocol,
            format!("{target} cannot be verified: only sha256 and sha512 digests can be computed"),
        ),
    }
}
