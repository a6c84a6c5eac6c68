//! Uploads: POST, PATCH, PUT, status, cancel.

use std::sync::{Arc, Mutex};

use http::header;
use serde_json::json;

use super::location::{self, Moment};
use crate::digest;
use crate::lock::lock;
use crate::profile::{ContentRange, StaleSession};
use crate::reply::{self, Reply};
use crate::server::call::Call;
use crate::server::incoming::Broken;
use crate::server::judge::upload_range;
use crate::state::Session;

type Shared = Arc<Mutex<Session>>;

/// Handles `POST`: opens a session, or stores a whole blob if that is supported.
pub(super) async fn start(call: &mut Call) -> Reply {
    if let Err(refusal) = upload_headers(call) {
        return refusal;
    }
    match call.request().parameter("digest") {
        Some(digest) if call.profile.single_post => single(call, &digest).await,
        _ => open(call),
    }
}

/// Handles `POST ?digest=` with the blob as its body.
async fn single(call: &mut Call, digest: &str) -> Reply {
    let Some(algorithm) = digest::algorithm(digest) else {
        return reply::digest_invalid(json!({}));
    };
    let octets = call.request().header("content-type") == Some("application/octet-stream");
    if !octets {
        return Reply::error(
            415,
            "UNSUPPORTED",
            "Content-Type must be application/octet-stream",
        );
    }
    let uploads = call.connection.shared.uploads;
    let session = Session::new(call.repository(), algorithm, uploads);
    let session = Arc::new(Mutex::new(session));
    match receive(call, &session, call.profile.put_limit).await {
        Ok(Some(())) => store(call, &session, digest),
        Ok(None) => too_large(413),
        Err(Broken) => gone(),
    }
}

/// Opens a session.
pub(super) fn open(call: &Call) -> Reply {
    let shared = &call.connection.shared;
    let algorithm = call.request().parameter("digest-algorithm");
    let algorithm = algorithm.as_deref().unwrap_or("sha256");
    let session = Session::new(call.repository(), algorithm, shared.uploads);
    let range = location::range(call, &session, Moment::Start);
    let name = {
        let mut state = shared.state.lock();
        let name = state.new_session_name();
        let session = Arc::new(Mutex::new(session));
        state.sessions.insert(name.clone(), session);
        name
    };
    let mut reply = Reply::new(202)
        .location(&location::of_session(call, &name, 0))
        .named("docker-upload-uuid", &name);
    if let Some(range) = range {
        reply = reply.with(header::RANGE, &range);
    }
    match call.profile.chunk_min_length {
        Some(length) => reply.named("oci-chunk-min-length", &length.to_string()),
        None => reply,
    }
}

/// Handles `PATCH`: appends to a session.
pub(super) async fn patch(call: &mut Call) -> Reply {
    let session = match session(call).and_then(|session| patch_allowed(call, session)) {
        Ok(session) => session,
        Err(refusal) => return refusal,
    };
    let ranged = call.request().header("content-range").is_some();
    let limit = match call.profile.ranged_patch_limit {
        Some(bytes) if ranged => Some((bytes, 416)),
        _ => call.profile.patch_limit,
    };
    match receive(call, &session, limit.map(|(bytes, _)| bytes)).await {
        Ok(Some(())) => {}
        Ok(None) => return too_large(limit.map_or(413, |(_, status)| status)),
        Err(Broken) => return gone(),
    }
    let mut stored = lock(&session);
    stored.patches += 1;
    if stored.patches == 1 {
        stored.first_patch = stored.size();
    }
    progress(call, &stored, call.profile.patch.status, Moment::Patch)
}

/// Refuses invalid headers of a PATCH.
fn patch_allowed(call: &Call, session: Shared) -> Result<Shared, Reply> {
    let rule = call.profile.patch;
    let (size, patches) = {
        let session = lock(&session);
        (session.size(), session.patches)
    };
    if let Some(status) = rule.second
        && patches > 0
    {
        return Err(reply::unsupported(status));
    }
    let range = call.request().header("content-range");
    if rule.content_range == ContentRange::Ignored {
        return Ok(session);
    }
    let Some(range) = range else {
        return if rule.needs_range_later && size > 0 {
            Err(out_of_range(call, &session))
        } else {
            Ok(session)
        };
    };
    let Some((first, last)) = upload_range(range) else {
        let message = "Content-Range is not of the form a-b";
        return Err(Reply::error(400, "BLOB_UPLOAD_INVALID", message));
    };
    if first != size {
        return Err(out_of_range(call, &session));
    }
    match call.body.announced() {
        Some(length) if length == last - first + 1 => Ok(session),
        _ => {
            let message = "Content-Length does not fit Content-Range";
            Err(Reply::error(400, "SIZE_INVALID", message))
        }
    }
}

fn out_of_range(call: &Call, session: &Shared) -> Reply {
    let session = lock(session);
    let told = progress(call, &session, 416, Moment::Status);
    let mut reply = Reply::error(416, "RANGE_INVALID", "invalid content range");
    let kind = reply.headers.remove(header::CONTENT_TYPE);
    reply.headers.extend(*told.headers);
    reply
        .headers
        .extend(kind.map(|k| (header::CONTENT_TYPE, k)));
    reply
}

/// Handles the closing `PUT`, with or without a body.
pub(super) async fn close(call: &mut Call) -> Reply {
    let session = match session(call) {
        Ok(session) => session,
        Err(refusal) => return refusal,
    };
    let whole = lock(&session).size() == 0 && !call.body.at_end();
    if let Some(status) = call.profile.refuses_whole_put.filter(|_| whole) {
        return reply::unsupported(status);
    }
    let digest = call.request().parameter("digest");
    let Some(digest) = digest.filter(|digest| !digest.is_empty()) else {
        return Reply::detailed(
            400,
            "DIGEST_INVALID",
            "provided digest did not match uploaded content",
            json!("digest missing"),
        );
    };
    if digest::algorithm(&digest).is_none() {
        return reply::digest_invalid(json!("digest parsing failed"));
    }
    match receive(call, &session, call.profile.put_limit).await {
        Ok(Some(())) => store(call, &session, &digest),
        Ok(None) => too_large(413),
        Err(Broken) => gone(),
    }
}

/// Turns a session into a blob.
fn store(call: &Call, session: &Shared, digest: &str) -> Reply {
    let finished = lock(session).finish(digest);
    let mut state = call.connection.shared.state.lock();
    let Ok(blob) = finished else {
        if call.profile.wrong_digest_discards {
            state.sessions.remove(call.reference());
        }
        return reply::digest_invalid(json!({"Digest": digest, "Reason": {}}));
    };
    state.sessions.remove(call.reference());
    state.put_blob(call.repository(), blob);
    drop(state);
    created(call, digest)
}

/// Handles `GET` of a session.
pub(super) fn status(call: &Call) -> Reply {
    if let Some(status) = call.profile.refuses_status {
        return reply::unsupported(status);
    }
    match session(call) {
        Ok(session) => progress(call, &lock(&session), 204, Moment::Status),
        Err(refusal) => refusal,
    }
}

/// Handles `DELETE` of a session.
pub(super) fn cancel(call: &Call) -> Reply {
    match session(call) {
        Ok(_) if call.profile.cancel_status == 204 => {
            let mut state = call.connection.shared.state.lock();
            state.sessions.remove(call.reference());
            Reply::new(204).named("docker-upload-uuid", call.reference())
        }
        Ok(_) => reply::unsupported(call.profile.cancel_status),
        Err(refusal) => refusal,
    }
}

/// Returns the session of a request, if it is open and the URL is the newest.
fn session(call: &Call) -> Result<Shared, Reply> {
    let name = call.reference().to_owned();
    let mut state = call.connection.shared.state.lock();
    let Some(offset) = location::offset(call) else {
        let message = "blob upload invalid";
        return Err(Reply::detailed(
            404,
            "BLOB_UPLOAD_INVALID",
            message,
            json!({}),
        ));
    };
    let found = state.sessions.get(&name).map(Arc::clone);
    let found = found.filter(|session| lock(session).repository == call.repository());
    let Some(session) = found else {
        return Err(Reply::detailed(
            404,
            "BLOB_UPLOAD_UNKNOWN",
            "blob upload unknown to registry",
            json!({}),
        ));
    };
    let stale = lock(&session).size() != offset;
    let asks = call.request().kind == crate::log::Kind::UploadStatus;
    match call.profile.stale_session {
        rule @ (StaleSession::Killed | StaleSession::Invalid) if stale => {
            if rule == StaleSession::Killed {
                state.sessions.remove(&name);
            }
            Err(Reply::error(
                404,
                "BLOB_UPLOAD_INVALID",
                "blob upload invalid",
            ))
        }
        StaleSession::Refused if stale && !asks => {
            drop(state);
            Err(out_of_range(call, &session))
        }
        _ => Ok(session),
    }
}

/// Appends the body to a session. Returns `None` if it is longer than `limit`.
async fn receive(
    call: &mut Call,
    session: &Shared,
    limit: Option<u64>,
) -> Result<Option<()>, Broken> {
    let limit = limit.unwrap_or(u64::MAX);
    if call.body.announced().is_some_and(|length| length > limit) {
        return Ok(None);
    }
    let mut received = 0;
    while let Some(chunk) = call.body.chunk().await {
        let chunk = chunk?;
        received += chunk.len() as u64;
        if received > limit {
            return Ok(None);
        }
        lock(session).append(&chunk);
    }
    Ok(Some(()))
}

/// Returns the status of a session.
fn progress(call: &Call, session: &Session, status: u16, moment: Moment) -> Reply {
    let name = call.reference();
    let location = location::of_session(call, name, session.size());
    let reply = Reply::new(status)
        .location(&location)
        .named("docker-upload-uuid", name);
    match location::range(call, session, moment) {
        Some(range) => reply.with(header::RANGE, &range),
        None => reply,
    }
}

/// Returns 201 with the location of the blob.
pub(super) fn created(call: &Call, digest: &str) -> Reply {
    let base = &call.base;
    let repository = call.repository();
    let location = format!("{base}/v2/{repository}/blobs/{digest}");
    let reply = Reply::new(201).location(&location);
    if call.profile.content_digest {
        reply.named("docker-content-digest", digest)
    } else {
        reply
    }
}

/// Checks the headers of an upload.
pub(super) fn upload_headers(call: &Call) -> Result<(), Reply> {
    let request = call.request();
    let header = |name| request.header(name).unwrap_or_default();
    let says_length = request.headers.contains_key("content-length")
        || request.headers.contains_key("transfer-encoding")
        || request.version >= http::Version::HTTP_2;
    if call.profile.demands_content_length && !says_length {
        return Err(Reply::new(411));
    }
    if call.profile.refuses_manifest_accept && header("accept").contains("manifest") {
        return Err(Reply::new(406));
    }
    Ok(())
}

/// Answers a body that is too large, like a proxy with a limit, or like GHCR with 416.
fn too_large(status: u16) -> Reply {
    if status == 416 {
        let message = "the range is too large";
        return Reply::error(416, "REQUESTED_RANGE_NOT_SATISFIABLE", message);
    }
    let page = "<html><head><title>413 Request Entity Too Large</title></head></html>\n";
    Reply::new(status).bytes("text/html", page)
}

/// Only for the log: the client has disconnected.
fn gone() -> Reply {
    Reply::error(499, "UNKNOWN", "client disconnected")
}
