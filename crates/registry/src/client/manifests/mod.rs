//! Manifests (docs/protocol.md#manifests).

mod push;
mod verify;

use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::auth::ScopeSet;
use crate::cause::Cause;
use crate::client::ask::Ask;
use crate::client::call::{Outcome, Whole};
use crate::client::{Client, ranges};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind};
use crate::manifest::{MAX_MANIFEST_BYTES, Manifest, media_type};
use crate::reference::{Repository, Tag, Target};
pub use push::Pushed;
use verify::Fault;

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
pub(super) struct Fetched {
    pub(super) manifest: Manifest,
    /// By which a write can be made to depend on nobody else having written, where the registry gives one.
    pub(super) etag: Option<HeaderValue>,
}

/// What a HEAD led to.
enum Headed {
    Found(ManifestHead),
    Absent,
    /// The registry does not answer HEAD, or not enough of it: a GET tells.
    AskByGet,
    /// 401, for good.
    Refused(Error),
    /// 403: no permission, or what Artifactory says of tags that do not exist.
    Denied,
}

impl Client {
    /// What `target` is now: `None` where the registry says that it does not exist. One HEAD; a GET where the
    /// registry leaves the digest out or refuses HEAD (405 and 501, or 403, whose reason only a GET tells).
    pub async fn head_manifest(
        &self,
        repository: &Repository,
        target: &Target,
    ) -> Result<Option<ManifestHead>, Error> {
        let ask = ask(Method::HEAD, repository, ScopeSet::pull(repository), target);
        match self.head(&ask, target).await? {
            Headed::Found(head) => Ok(Some(head)),
            Headed::Absent => Ok(None),
            Headed::Refused(error) => Err(error),
            Headed::AskByGet | Headed::Denied => self.head_by_get(ask, target).await,
        }
    }
    /// Like [`Client::head_manifest`] for a repository that will be written to: asks for push rights at once, so
    /// that the token serves the push as well, and takes what registries say of repositories that do not exist yet
    /// (404, Harbor's and Docker Hub's 401, Artifactory's 403) as "not there, or unknown: try to push". A
    /// credential that has too few rights meets its error there. One that the registry or its token server refuses is an
    /// error here already: it would be refused as often as it is sent.
    pub async fn head_manifest_for_push(
        &self,
        repository: &Repository,
        target: &Target,
    ) -> Result<Option<ManifestHead>, Error> {
        let ask = ask(Method::HEAD, repository, ScopeSet::push(repository), target);
        match self.head(&ask, target).await? {
            Headed::Found(head) => Ok(Some(head)),
            Headed::Refused(error) if error.cause() == Cause::LoginRefused => Err(error),
            Headed::Absent | Headed::Refused(_) | Headed::Denied => Ok(None),
            Headed::AskByGet => self.head_by_get(ask, target).await,
        }
    }
    /// Fetches a manifest; verified against the digest when `target` is one, else hashed. Its absence is an error
    /// ([`ErrorKind::NotFound`]); bytes with another digest than the one asked for are fetched once more and then
    /// are [`ErrorKind::Corrupt`].
    pub async fn get_manifest(
        &self,
        repository: &Repository,
        target: &Target,
    ) -> Result<Manifest, Error> {
        let ask = ask(Method::GET, repository, ScopeSet::pull(repository), target);
        match self.get(&ask, target).await {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                let again = self.get(&ask, target).await;
                again.map_err(|error| {
                    let tries = error.tries() + 1;
                    error.with_tries(tries)
                })
            }
            result => result,
        }
    }

    async fn head(&self, ask: &Ask, target: &Target) -> Result<Headed, Error> {
        let fits = |status: StatusCode| {
            status.is_success() || matches!(status.as_u16(), 403 | 404 | 405 | 501)
        };
        let response = match self.outcome(ask, fits).await? {
            Outcome::Answer(response) => response,
            Outcome::Refused(error) => return Ok(Headed::Refused(error)),
        };
        let headed = match response.status {
            StatusCode::NOT_FOUND => Headed::Absent,
            StatusCode::FORBIDDEN => Headed::Denied,
            status if status.is_success() => {
                let digest = match target {
                    Target::Digest(digest) => Some(digest.clone()),
                    Target::Tag(_) => header_digest(&response.headers, &CONTENT_DIGEST),
                };
                match digest {
                    Some(digest) => Headed::Found(ManifestHead {
                        digest,
                        media_type: plain_type(&response.headers),
                        size: ranges::content_length(&response.headers),
                    }),
                    None => Headed::AskByGet,
                }
            }
            _ => Headed::AskByGet,
        };
        response.body.drain().await;
        Ok(headed)
    }

    async fn head_by_get(&self, ask: Ask, target: &Target) -> Result<Option<ManifestHead>, Error> {
        match self.get(&ask.method(Method::GET), target).await {
            Ok(manifest) => Ok(Some(ManifestHead {
                digest: manifest.digest().clone(),
                media_type: Some(manifest.media_type().to_owned()),
                size: Some(manifest.size()),
            })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn get(&self, ask: &Ask, target: &Target) -> Result<Manifest, Error> {
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
    ) -> Result<Option<Fetched>, Error> {
        let target = Target::Tag(tag.clone());
        let ask = ask(Method::GET, repository, scopes, &target);
        match self.fetch(&ask, &target).await {
            Ok(fetched) => Ok(Some(fetched)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn fetch(&self, ask: &Ask, target: &Target) -> Result<Fetched, Error> {
        let whole = self
            .whole(ask, MAX_MANIFEST_BYTES, |status| status == StatusCode::OK)
            .await?;
        let header = header_digest(&whole.headers, &CONTENT_DIGEST);
        let content_type = whole
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let settled = verify::settle(&whole.bytes, content_type, target, header.as_ref())
            .map_err(|fault| fault_error(ask, target, &whole, fault))?;
        if settled.contradicted {
            self.warn(&format!(
                "the registry calls the manifest {target} of {} by a digest that its bytes do not have; the bytes are trusted",
                ask.repository.path()
            ));
        }
        let manifest = Manifest::new(whole.bytes.clone(), content_type, settled.digest);
        let manifest = manifest.map_err(|error| {
            ask.error(
                ErrorKind::Protocol,
                format!("the answer is no manifest: {error}"),
            )
            .with_status(whole.status)
        })?;
        Ok(Fetched {
            manifest,
            etag: whole.headers.get(ETAG).cloned(),
        })
    }
}

/// A request for a manifest. The whole `Accept` goes with HEAD and GET alike, so that the two speak of the same
/// document.
fn ask(method: Method, repository: &Repository, scopes: ScopeSet, target: &Target) -> Ask {
    let action = format!("fetch manifest {}", name(repository, target));
    Ask::new(
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
fn sender<'a>(ask: &'a Ask, url: &'a url::Url) -> &'a str {
    let registry = ask.repository.registry();
    match url.host_str() {
        Some(host) if host != registry.api_host() => host,
        _ => registry.as_str(),
    }
}

fn fault_error(ask: &Ask, target: &Target, whole: &Whole, fault: Fault) -> Error {
    match fault {
        Fault::Mismatch { found } => ask.error(
            ErrorKind::Corrupt,
            format!(
                "{} sent {} bytes with the digest {found} instead of {target}",
                sender(ask, &whole.url),
                whole.bytes.len()
            ),
        ),
        Fault::Unknown => ask.error(
            ErrorKind::Protocol,
            format!("{target} cannot be verified: only sha256 and sha512 digests can be computed"),
        ),
    }
}
