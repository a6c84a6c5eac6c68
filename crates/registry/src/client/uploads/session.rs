//! Opening of upload sessions, by a request that may make the session unnecessary.

use http::{HeaderMap, HeaderName, Method, StatusCode};

use crate::auth::ScopeSet;
use crate::client::Client;
use crate::client::call_outcome::CallOutcome;
use crate::client::checked_url::CheckedUrl;
use crate::client::ranges::RangeStyle;
use crate::client::request::{RequestSpec, in_query};
use crate::digest::Digest;
use crate::error::{Cause, Error, ErrorKind};
use crate::reference::Repository;
use crate::transport::Response;

const CHUNK_MIN: HeaderName = HeaderName::from_static("oci-chunk-min-length");

/// State of an upload at the registry.
pub(super) struct UploadSession {
    /// The latest `Location`.
    pub(super) location: CheckedUrl,
    /// Minimum length of a chunk that is not the last.
    pub(super) least: u64,
    /// Counting of the registry.
    pub(super) dialect: RangeStyle,
    /// Number of bytes that the session is known to hold.
    pub(super) offset: u64,
    /// Maximum number of bytes that it may hold: those that were sent.
    pub(super) sent: u64,
    /// The registry opened it in place of a mount that it could have made.
    pub(super) instead_of_mount: bool,
}

/// Outcome of a mount.
enum PostOutcome {
    Opened(OpenedSession),
    /// An error that may be only about the mount.
    Refused(Error),
}

/// Result of opening a session.
pub(super) enum OpenedSession {
    /// The blob exists, `mounted` from another repository or not.
    Present {
        mounted: bool,
    },
    Session(UploadSession),
}

/// Opens an upload of the blob to `repository`; see [`Client::open_upload`].
pub(super) async fn open(
    client: &Client,
    repository: &Repository,
    digest: &Digest,
    from: Option<&Repository>,
) -> Result<OpenedSession, Error> {
    let mounts_nothing = || from.is_some() && client.inner.capabilities.mounts_nothing();
    let mut refused = None;
    if let Some(from) = question(client, repository, digest, from) {
        match mount(client, repository, digest, from).await? {
            PostOutcome::Opened(OpenedSession::Session(mut session)) => {
                session.instead_of_mount |= mounts_nothing();
                return Ok(OpenedSession::Session(session));
            }
            PostOutcome::Opened(opened) => return Ok(opened),
            PostOutcome::Refused(error) => refused = Some((from, error)),
        }
    }
    let request = plain_request(repository, digest);
    let mut session = match &refused {
        // One request after all tries shows whether only the mount fails.
        Some((_, failed)) if failed.is_given_up() => {
            let opened = open_plain(client, &request.once(), digest).await;
            opened.map_err(|_| failed.clone())?
        }
        _ => open_plain(client, &request, digest).await?,
    };
    if let Some((from, error)) = refused {
        tracing::debug!(%error, "{digest} is not mounted from {from}, it is sent");
        // The mount was refused and the plain request was not.
        let other = (from != repository).then_some(from.path());
        let unsupported = matches!(
            error.status().map(|status| status.as_u16()),
            Some(400 | 405 | 501)
        );
        client.inner.capabilities.no_mount(other, unsupported);
    }
    session.instead_of_mount = mounts_nothing();
    Ok(OpenedSession::Session(session))
}

/// Opens a session without a mount.
pub(super) async fn plain(
    client: &Client,
    repository: &Repository,
    digest: &Digest,
) -> Result<UploadSession, Error> {
    open_plain(client, &plain_request(repository, digest), digest).await
}

fn plain_request(repository: &Repository, digest: &Digest) -> RequestSpec {
    let scopes = ScopeSet::push(repository);
    let path = uploads(digest, Vec::new());
    upload_request(Method::POST, repository, digest, scopes, path)
}

async fn open_plain(
    client: &Client,
    request: &RequestSpec,
    digest: &Digest,
) -> Result<UploadSession, Error> {
    let response = client
        .answer(request, |status| status.is_success())
        .await
        .map_err(|error| with_algorithm(error, digest))?;
    session(client, request, response).await
}

/// Returns the repository to mount the blob from, if any: `from`, or the repository itself, which finds out whether the
/// blob exists there. `None` if the answer would not be believed.
fn question<'a>(
    client: &Client,
    repository: &'a Repository,
    digest: &Digest,
    from: Option<&'a Repository>,
) -> Option<&'a Repository> {
    let capabilities = &client.inner.capabilities;
    if capabilities.is_disproved(repository.path(), digest) {
        return None;
    }
    from.filter(|from| *from != repository && from.registry() == repository.registry())
        .filter(|from| capabilities.may_mount(Some(from.path())))
        .or_else(|| capabilities.may_mount(None).then_some(repository))
}

async fn mount(
    client: &Client,
    repository: &Repository,
    digest: &Digest,
    from: &Repository,
) -> Result<PostOutcome, Error> {
    let parameters = vec![("mount", digest.as_str()), ("from", from.path())];
    let scopes = ScopeSet::mount(repository, from);
    let path = uploads(digest, parameters);
    let request = upload_request(Method::POST, repository, digest, scopes, path);
    // Anything but 201 and 202 means a plain session, unless it is transient.
    let fits = |status: StatusCode| !matches!(status.as_u16(), 408 | 429 | 502..=504);
    let response = match client.outcome(&request, fits).await {
        Ok(CallOutcome::Answer(response)) => response,
        Ok(CallOutcome::Refused(error)) => return Ok(PostOutcome::Refused(error)),
        // Some token servers refuse everything if they do not know one of the repositories.
        Err(error) if from != repository && is_about_scopes(&error) => {
            return Ok(PostOutcome::Refused(error));
        }
        Err(error) if fails_for_mount(&request, &error) => return Ok(PostOutcome::Refused(error)),
        Err(error) => return Err(error),
    };
    match response.status {
        StatusCode::CREATED => {
            response.body.drain().await;
            Ok(PostOutcome::Opened(OpenedSession::Present {
                mounted: from != repository,
            }))
        }
        StatusCode::ACCEPTED => {
            let mut session = match session(client, &request, response).await {
                Ok(session) => session,
                Err(error) if error.kind() == ErrorKind::Protocol => {
                    return Ok(PostOutcome::Refused(error));
                }
                Err(error) => return Err(error),
            };
            if from != repository {
                tracing::debug!(
                    "{digest} is not mounted from {from}: the registry opens an upload instead"
                );
            }
            session.instead_of_mount = from != repository && client.may(&request).await?;
            Ok(PostOutcome::Opened(OpenedSession::Session(session)))
        }
        _ => Ok(PostOutcome::Refused(request.failure(response).await)),
    }
}

fn is_about_scopes(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unauthorized | ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::Rejected
    )
}

/// Returns whether a plain session may be opened although all tries of a mount failed: some servers and proxies fail
/// only for mounts.
fn fails_for_mount(request: &RequestSpec, error: &Error) -> bool {
    let kinds = [ErrorKind::Server, ErrorKind::Broken, ErrorKind::Stalled];
    kinds.contains(&error.kind()) && error.is_given_up() && error.action() == &*request.action
}

/// Reads the session from the answer to a POST.
async fn session(
    client: &Client,
    request: &RequestSpec,
    response: Response,
) -> Result<UploadSession, Error> {
    let context = client.request_context(&request.resource).await?;
    let location = client.location_of(&context, request, &response).await?;
    let least = chunk_min(&response.headers);
    let dialect = RangeStyle::from_headers(&response.headers);
    let Response {
        status,
        headers,
        url,
        body,
        ..
    } = response;
    body.drain().await;
    let Some(location) = location else {
        let message = "the registry opened an upload without saying where; is it a registry?";
        let error = request
            .error(ErrorKind::Protocol, message)
            .with_status(status);
        return Err(request.mark_if_no_registry(error, &headers, &url));
    };
    client.inner.capabilities.record_registry();
    Ok(UploadSession {
        location,
        least,
        dialect,
        offset: 0,
        sent: 0,
        instead_of_mount: false,
    })
}

/// Returns a request that belongs to the upload of a blob.
pub(super) fn upload_request(
    method: Method,
    repository: &Repository,
    digest: &Digest,
    scopes: ScopeSet,
    path: String,
) -> RequestSpec {
    let action = format!("upload {digest} to {}", repository.path());
    RequestSpec::new(method, repository, scopes, path, action)
}

/// Returns `blobs/uploads/` with its parameters. Another algorithm than sha256 is announced (OCI 1.1).
fn uploads<'a>(digest: &'a Digest, mut parameters: Vec<(&str, &'a str)>) -> String {
    if let Some((algorithm, _)) = digest.as_str().split_once(':')
        && algorithm != "sha256"
    {
        parameters.push(("digest-algorithm", algorithm));
    }
    let query: Vec<String> = parameters
        .into_iter()
        .map(|(name, value)| format!("{name}={}", in_query(value)))
        .collect();
    match query.join("&") {
        query if query.is_empty() => "blobs/uploads/".to_owned(),
        query => format!("blobs/uploads/?{query}"),
    }
}

/// Explains a refusal of another algorithm than sha256, which few registries accept or mention.
pub(super) fn with_algorithm(error: Error, digest: &Digest) -> Error {
    match digest.as_str().split_once(':') {
        Some((algorithm, _)) if algorithm != "sha256" && error.kind() == ErrorKind::Rejected => {
            let cause = match error.cause() {
                Cause::Rejected | Cause::Corrupt => Cause::MediaTypeRefused,
                cause => cause,
            };
            let clause = format!("the blob has a {algorithm} digest, which few registries accept");
            error.with_clause(&clause).with_cause(cause)
        }
        _ => error,
    }
}

fn chunk_min(headers: &HeaderMap) -> u64 {
    // A registry that demands more than a blob's size gets it in one piece; nothing is allocated for it.
    headers
        .get(CHUNK_MIN)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .unwrap_or(0)
}
