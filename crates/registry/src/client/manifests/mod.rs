//! Manifests (docs/protocol.md#manifests).

mod push;
mod verify;

use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::auth::{Credential, ScopeSet, no_login};
use crate::cause::Cause;
use crate::client::call::{BufferedResponse, CallOutcome};
use crate::client::request::RequestSpec;
use crate::client::{Client, ranges};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind};
use crate::manifest::{MAX_MANIFEST_BYTES, Manifest, media_type};
use crate::reference::{Repository, Tag, Target};
pub use push::PushedManifest;
use verify::ManifestFault;

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// What a HEAD tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestHead {
    /// The digest.
    pub digest: Digest,
    /// The media type, without parameters, where the registry says one.
    pub media_type: Option<String>,
    /// The size in bytes, where the registry says one.
    pub size: Option<u64>,
}

/// A manifest as it came.
pub(super) struct FetchedManifest {
    pub(super) manifest: Manifest,
    /// By which a write can be made to depend on nobody else having written, where the registry gives one.
    pub(super) etag: Option<HeaderValue>,
}

/// Answer of a registry that will be written to about a manifest.
#[derive(Debug)]
pub enum ManifestPresence {
    /// It has it.
    Present(ManifestHead),
    /// It says that it does not exist.
    Absent,
    /// It refuses the question, for this reason; a push may be taken all the same.
    Unknown(Error),
}

impl ManifestPresence {
    /// The manifest, where the registry said that it has it.
    pub fn found(self) -> Option<ManifestHead> {
        match self {
            Self::Present(head) => Some(head),
            Self::Absent | Self::Unknown(_) => None,
        }
    }
}

/// What a HEAD led to.
enum HeadOutcome {
    Found(ManifestHead),
    Absent,
    /// The answer names no digest: a GET tells.
    WithoutDigest,
    /// The registry does not answer this HEAD; a GET may be answered.
    Failed(Error),
    /// 401, for good.
    Refused(Error),
    /// 403: no permission, or what Artifactory says of tags that do not exist.
    Denied(Error),
}

impl Client {
    /// What `target` is now: `None` where the registry says that it does not exist. One HEAD; a GET where the
    /// registry leaves the digest out or does not answer HEAD, which is remembered for the run once a GET was answered.
    pub async fn head_manifest(
        &self,
        repository: &Repository,
        target: &Target,
    ) -> Result<Option<ManifestHead>, Error> {
        let found = self.look_up(repository, target, false).await;
        self.checked(repository, found).await
    }
    /// Like [`Client::head_manifest`] for a manifest that ought to exist: that it does not is believed when a GET says so
    /// too, as proxies of other registries answer 404 to HEAD for what they would fetch on GET.
    pub async fn find_manifest(
        &self,
        repository: &Repository,
        target: &Target,
    ) -> Result<Option<ManifestHead>, Error> {
        let found = self.look_up(repository, target, true).await;
        self.checked(repository, found).await
    }
    /// What `target` is now in a repository that will be written to: asks for push rights at once, so that the token
    /// serves the push as well. Where the registry refuses the question (as Harbor's and Docker Hub's 401 and
    /// Artifactory's 403 for repositories that do not exist yet, or a policy's 412), the push tells. A login that the
    /// registry or its token server refuses is an error here already: it would be refused as often as it is sent.
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
    /// Fetches a manifest; verified against the digest when `target` is one, else hashed. Its absence is an error
    /// ([`ErrorKind::NotFound`]); bytes with another digest than the one asked for are fetched once more and then
    /// are [`ErrorKind::Corrupt`].
    pub async fn get_manifest(
        &self,
        repository: &Repository,
        target: &Target,
    ) -> Result<Manifest, Error> {
        let ask = manifest_request(Method::GET, repository, ScopeSet::pull(repository), target);
        let fetched = match self.get(&ask, target).await {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                let again = self.get(&ask, target).await;
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
        ask: &RequestSpec,
        target: &Target,
    ) -> Result<ManifestPresence, Error> {
        let repository = &ask.repository;
        let headed = if self.inner.habits.heads_fail() {
            HeadOutcome::WithoutDigest
        } else {
            self.head(ask, target).await?
        };
        let found = match headed {
            HeadOutcome::Found(head) => Ok(Some(head)),
            HeadOutcome::Absent => Ok(None),
            HeadOutcome::Refused(error) => Err(error),
            HeadOutcome::Denied(error) => Err(self.explain_denial(repository, error).await?),
            HeadOutcome::WithoutDigest => self.head_by_get(ask, target, None).await,
            HeadOutcome::Failed(error) => self.head_by_get(ask, target, Some(error)).await,
        };
        match found {
            Ok(Some(head)) => Ok(ManifestPresence::Present(head)),
            Ok(None) => Ok(ManifestPresence::Absent),
            Err(error) if may_be_pushed_to(ask, &error) => Ok(ManifestPresence::Unknown(error)),
            Err(error) => Err(error),
        }
    }

    /// Names the missing login as the cause of a 403 that was answered to nobody.
    async fn explain_denial(&self, repository: &Repository, error: Error) -> Result<Error, Error> {
        let access = self.repository_context(repository).await?.access;
        if access.credential != Credential::Anonymous {
            return Ok(error);
        }
        let refusal = no_login(repository.registry(), &access, None);
        Ok(error.with_clause(&refusal.clause).with_cause(refusal.cause))
    }

    async fn look_up(
        &self,
        repository: &Repository,
        target: &Target,
        expected: bool,
    ) -> Result<Option<ManifestHead>, Error> {
        let ask = manifest_request(Method::HEAD, repository, ScopeSet::pull(repository), target);
        if self.inner.habits.heads_fail() {
            return self.head_by_get(&ask, target, None).await;
        }
        let refused = match self.head(&ask, target).await? {
            HeadOutcome::Found(head) => return Ok(Some(head)),
            HeadOutcome::Refused(error) => return Err(error),
            // Docker Hub answers HEAD, and counts a GET as a pull.
            HeadOutcome::Absent if !expected || repository.registry().is_docker_hub() => {
                return Ok(None);
            }
            HeadOutcome::WithoutDigest => None,
            HeadOutcome::Absent => {
                Some(ask.error(ErrorKind::NotFound, "the registry does not have it"))
            }
            HeadOutcome::Failed(error) | HeadOutcome::Denied(error) => Some(error),
        };
        self.head_by_get(&ask, target, refused).await
    }

    async fn head(&self, ask: &RequestSpec, target: &Target) -> Result<HeadOutcome, Error> {
        let response = match self.outcome(ask, settles_head).await {
            Ok(CallOutcome::Answer(response)) => response,
            Ok(CallOutcome::Refused(error)) => return Ok(HeadOutcome::Refused(error)),
            Err(error) if fails_for_head(ask, &error) => return Ok(HeadOutcome::Failed(error)),
            Err(error) => return Err(error),
        };
        let status = response.status;
        if status == StatusCode::NOT_FOUND {
            response.body.drain().await;
            return Ok(HeadOutcome::Absent);
        }
        if !status.is_success() {
            let error = ask.failure(response).await;
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

    /// What a GET says of `target`, whose HEAD `failed`, if it was answered with an error. After the retries of a HEAD
    /// that ended in an error of the server, one try tells whether GET is better.
    async fn head_by_get(
        &self,
        head: &RequestSpec,
        target: &Target,
        failed: Option<Error>,
    ) -> Result<Option<ManifestHead>, Error> {
        let by_server = |error: &Error| error.kind() == ErrorKind::Server;
        let ask = head.clone().method(Method::GET);
        let ask = match &failed {
            Some(error) if by_server(error) => ask.once(),
            _ => ask,
        };
        match self.get(&ask, target).await {
            Ok(manifest) => {
                if failed.is_some() {
                    self.inner.habits.no_heads();
                }
                Ok(Some(ManifestHead {
                    digest: manifest.digest().clone(),
                    media_type: Some(manifest.media_type().to_owned()),
                    size: Some(manifest.size()),
                }))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // A web server has no manifests either.
                match self.checked(&head.repository, Err(error)).await {
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                    result => result,
                }
            }
            Err(error) => Err(failed.filter(by_server).unwrap_or(error)),
        }
    }

    async fn get(&self, ask: &RequestSpec, target: &Target) -> Result<Manifest, Error> {
        self.fetch(ask, target)
            .await
            .map(|fetched| fetched.manifest)
    }

    /// What stands at `tag` of a repository that is read, or will be written to, as `scopes` say; with its `ETag`.
    pub(super) async fn get_tagged(
        &self,
        repository: &Repository,
        scopes: ScopeSet,
        tag: &Tag,
    ) -> Result<Option<FetchedManifest>, Error> {
        let target = Target::Tag(tag.clone());
        let ask = manifest_request(Method::GET, repository, scopes, &target);
        match self.fetch(&ask, &target).await {
            Ok(fetched) => Ok(Some(fetched)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn fetch(&self, ask: &RequestSpec, target: &Target) -> Result<FetchedManifest, Error> {
        let whole = self
            .buffered(ask, MAX_MANIFEST_BYTES, |status| status == StatusCode::OK)
            .await?;
        let mark = |error| ask.mark_if_no_registry(error, &whole.headers, &whole.url);
        let header = header_digest(&whole.headers, &CONTENT_DIGEST);
        let content_type = whole
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let settled = verify::verify_digest(&whole.bytes, content_type, target, header.as_ref())
            .map_err(|fault| fault_error(ask, target, &whole, fault))
            .map_err(mark)?;
        if settled.contradicted {
            self.warn(&format!(
                "the registry calls the manifest {target} of {} by a digest that its bytes do not have; the bytes are trusted",
                ask.repository.path()
            ));
        }
        let manifest = Manifest::new(whole.bytes.clone(), content_type, settled.digest);
        let manifest = manifest.map_err(|error| {
            let message = format!("the answer is no manifest: {error}");
            let error = ask.error(ErrorKind::Protocol, message);
            mark(error.with_status(whole.status))
        })?;
        Ok(FetchedManifest {
            manifest,
            etag: whole.headers.get(ETAG).cloned(),
        })
    }
}

/// Tells if a HEAD need not be sent again: it was answered, or refused in a way in which a GET may not be.
fn settles_head(status: StatusCode) -> bool {
    let is_refusal = status.is_client_error() || status == StatusCode::NOT_IMPLEMENTED;
    // These are about the moment.
    let is_transient = matches!(status.as_u16(), 408 | 425 | 429 | 499);
    status.is_success() || is_refusal && !is_transient
}

/// Whether a GET may be answered although the HEAD ended in `error`: some servers and proxies fail over HEAD alone. What
/// a token server answers has nothing to do with that.
fn fails_for_head(ask: &RequestSpec, error: &Error) -> bool {
    let status = error.status().map_or(0, |status| status.as_u16());
    error.kind() == ErrorKind::Server
        && matches!(status, 500 | 502)
        && error.action() == &*ask.action
}

/// Tells if a push may be taken although the registry does not say what it has.
fn may_be_pushed_to(ask: &RequestSpec, error: &Error) -> bool {
    let kinds = [
        ErrorKind::Unauthorized,
        ErrorKind::Denied,
        ErrorKind::Rejected,
    ];
    let is_own = error.action() == &*ask.action;
    let is_refusal = is_own && kinds.contains(&error.kind()) || fails_for_head(ask, error);
    is_refusal && error.cause() != Cause::LoginRefused
}

/// A request for a manifest. The whole `Accept` goes with HEAD and GET alike, so that the two speak of the same
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

/// `library/nginx:v1` or `library/nginx@sha256:…`.
fn name(repository: &Repository, target: &Target) -> String {
    match target {
        Target::Tag(tag) => format!("{}:{tag}", repository.path()),
        Target::Digest(digest) => format!("{}@{digest}", repository.path()),
    }
}

fn header_digest(headers: &HeaderMap, name: &HeaderName) -> Option<Digest> {
    Digest::parse(headers.get(name)?.to_str().ok()?.trim()).ok()
}

/// The `Content-Type` without parameters.
fn plain_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let plain = value.split(';').next().unwrap_or_default().trim();
    (!plain.is_empty()).then(|| plain.to_ascii_lowercase())
}

/// The host that answered, as the user wrote it where that is the registry.
fn sender<'a>(ask: &'a RequestSpec, url: &'a url::Url) -> &'a str {
    let registry = ask.repository.registry();
    match url.host_str() {
        Some(host) if host != registry.api_host() => host,
        _ => registry.as_str(),
    }
}

fn fault_error(
    ask: &RequestSpec,
    target: &Target,
    whole: &BufferedResponse,
    fault: ManifestFault,
) -> Error {
    match fault {
        ManifestFault::Mismatch { found } => ask.error(
            ErrorKind::Corrupt,
            format!(
                "{} sent {} bytes with the digest {found} instead of {target}",
                sender(ask, &whole.url),
                whole.bytes.len()
            ),
        ),
        ManifestFault::Unknown => ask.error(
            ErrorKind::Protocol,
            format!("{target} cannot be verified: only sha256 and sha512 digests can be computed"),
        ),
    }
}
