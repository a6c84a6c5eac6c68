//! The storage host that blob GETs are redirected to, like S3 or a CDN behind real registries.

use http::header;

use super::blob_body;
use crate::blob::Blob;
use crate::digest;
use crate::reply::Reply;
use crate::server::call::Call;

const PREFIX: &str = "/storage/";

/// Returns true for the path of a signed URL.
pub(crate) fn is_storage_path(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// Redirects to a signed URL, which is valid for this method only.
pub(super) fn redirect(call: &Call, status: u16, blob: &Blob) -> Reply {
    let base = call.connection.shared.bases().storage;
    let digest = blob.digest();
    let signature = sign(call.request().method.as_str(), digest);
    let location = format!("{base}{PREFIX}{digest}?X-Expires=1200&X-Signature={signature}");
    Reply::new(status).location(&location).bytes(
        "text/html; charset=utf-8",
        format!("<a href=\"{location}\">Temporary Redirect</a>.\n\n"),
    )
}

fn sign(method: &str, digest: &str) -> String {
    digest::sha256(format!("{method} {digest}").as_bytes()).replace(':', "%2B")
}

/// Serves the bytes behind a signed URL. As in S3, a second credential is an error, and `Docker-Content-Digest` is
/// absent.
pub(super) fn get(call: &Call) -> Reply {
    let request = call.request();
    let refuse = |status, code: &str| {
        let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
        Reply::new(status).bytes("application/xml", body)
    };
    if request.headers.contains_key(header::AUTHORIZATION) {
        return refuse(400, "InvalidArgument");
    }
    let digest = request.path.strip_prefix(PREFIX).unwrap_or_default();
    let signature = sign(request.method.as_str(), digest);
    let query = request.query.as_deref().unwrap_or_default();
    if query != format!("X-Expires=1200&X-Signature={signature}") {
        return refuse(403, "SignatureDoesNotMatch");
    }
    let found = call
        .connection
        .shared
        .state
        .lock()
        .blobs
        .get(digest)
        .cloned();
    match found {
        Some(blob) => blob_body::serve(call, blob, call.profile.blob_ranges),
        None => refuse(404, "NoSuchKey"),
    }
}
