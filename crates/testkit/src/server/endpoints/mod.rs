//! Endpoints, one family per file.

mod accept;
mod blob_body;
mod blobs;
mod gate;
mod invention;
mod listing;
mod location;
mod manifests;
mod mounts;
mod referrers;
mod storage;
mod tags;
mod uploads;
mod validate;

use http::{Method, header};
use serde_json::json;

use super::call::Call;
use crate::auth::{self, Auth};
use crate::log::Kind;
use crate::reply::Reply;

pub(crate) use listing::route as listing_route;
pub(crate) use storage::is_storage_path;

/// Answers an authorised request.
pub(super) async fn dispatch(call: &mut Call) -> Reply {
    if let Some((reads, writes)) = call.profile.web_server {
        let is_read = matches!(call.request().method, Method::GET | Method::HEAD);
        let status = if is_read { reads } else { writes };
        return Reply::new(status).bytes("text/html", "<html><title>nginx</title></html>");
    }
    if call.request().kind == Kind::Listing {
        return listing::answer(call).await;
    }
    if let Err(refusal) = gate::check(call) {
        return refusal;
    }
    match call.request().kind {
        Kind::Ping => Reply::new(200).bytes("application/json; charset=utf-8", "{}"),
        Kind::ManifestHead | Kind::ManifestGet => manifests::get(call),
        Kind::ManifestPut => manifests::put(call).await,
        Kind::ManifestDelete => manifests::delete(call),
        Kind::BlobHead | Kind::BlobGet => blobs::get(call),
        Kind::BlobDelete => blobs::delete(call),
        Kind::UploadPost => uploads::start(call).await,
        Kind::Mount => mounts::mount(call),
        Kind::UploadPatch => uploads::patch(call).await,
        Kind::UploadPut => uploads::close(call).await,
        Kind::UploadStatus => uploads::status(call),
        Kind::UploadCancel => uploads::cancel(call),
        Kind::Tags => tags::list(call),
        Kind::Catalog => tags::catalog(call),
        Kind::Referrers => referrers::list(call),
        Kind::Storage => storage::get(call),
        Kind::Listing | Kind::Token | Kind::Other => other(call),
    }
}

fn other(call: &Call) -> Reply {
    match call.request().path.as_str() {
        "/" => Reply::new(200).with(header::CACHE_CONTROL, "no-cache"),
        "/v2" => Reply::new(301).location("/v2/").bytes(
            "text/html; charset=utf-8",
            "<a href=\"/v2/\">Moved Permanently</a>.\n\n",
        ),
        path if path.ends_with("/blobs/uploads/") && call.request().method != Method::GET => {
            let message = "blob upload unknown to registry";
            Reply::error(404, "BLOB_UPLOAD_UNKNOWN", message)
        }
        path if call.request().repository.is_some() => Reply::new(405)
            .with(header::ALLOW, allowed(path))
            .bytes("text/plain; charset=utf-8", "Method not allowed\n"),
        _ => not_found(),
    }
}

/// Returns the methods of an endpoint.
fn allowed(path: &str) -> &'static str {
    if path.contains("/manifests/") {
        "DELETE, GET, HEAD, PUT"
    } else if path.ends_with("/blobs/uploads/") {
        "POST"
    } else if path.contains("/blobs/uploads/") {
        "DELETE, GET, HEAD, PATCH, PUT"
    } else if path.contains("/blobs/") {
        "DELETE, GET, HEAD"
    } else {
        "GET"
    }
}

/// Answers a request for an unknown path.
fn not_found() -> Reply {
    Reply::new(404).bytes("text/plain; charset=utf-8", "404 page not found\n")
}

/// Answers a request for a token.
pub(super) async fn token(call: &mut Call) -> Reply {
    let Ok(body) = call.body.all(64 * 1024).await else {
        return Reply::new(400).json(&json!({"error": "invalid_request"}));
    };
    let shared = &call.connection.shared;
    let Auth::Bearer(access, rules) = &*shared.auth() else {
        return Reply::new(404);
    };
    let office = auth::Office {
        access,
        rules,
        tokens: &shared.tokens,
        signer: shared.signer.as_ref(),
        exists: &|name| shared.state.lock().repositories.contains_key(name),
    };
    auth::answer_token(&office, call.request(), &body)
}
