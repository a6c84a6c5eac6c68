//! Blobs: HEAD, GET with redirects, DELETE.

use http::header;

use super::{blob_body, storage};
use crate::digest;
use crate::log::Kind;
use crate::profile::DeleteRule;
use crate::reply::{self, Reply};
use crate::server::call::Call;

pub(super) fn get(call: &Call) -> Reply {
    let digest = call.reference();
    if digest::algorithm(digest).is_none() {
        return if digest.contains(':') {
            reply::digest_invalid(serde_json::json!({}))
        } else {
            super::not_found()
        };
    }
    let found = call
        .connection
        .shared
        .state
        .lock()
        .blob(call.repository(), digest);
    let Some(blob) = found else {
        return reply::blob_unknown(digest);
    };
    let head = call.request().kind == Kind::BlobHead;
    if let Some(status) = call.profile.blob_redirect
        && (!head || call.profile.head_redirect)
    {
        return storage::redirect(call, status, &blob);
    }
    let quoted = format!("\"{digest}\"");
    let reply = if call.request().header("if-none-match") == Some(&quoted) {
        Reply::new(304)
    } else {
        blob_body::serve(call, blob, call.profile.blob_ranges)
    };
    let reply = reply
        .with(header::ETAG, &quoted)
        .with(header::CACHE_CONTROL, "max-age=31536000");
    if call.profile.content_digest {
        reply.named("docker-content-digest", digest)
    } else {
        reply
    }
}

pub(super) fn delete(call: &Call) -> Reply {
    let digest = call.reference();
    if call.profile.delete == DeleteRule::Nothing {
        return reply::unsupported(405);
    }
    let state = &call.connection.shared.state;
    if state.remove_blob(call.repository(), digest) {
        Reply::new(202)
    } else {
        Reply::error(404, "BLOB_UNKNOWN", "blob unknown to registry")
    }
}
