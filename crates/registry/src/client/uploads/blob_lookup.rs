//! HEAD of a blob at the destination of its upload.

use http::{Method, StatusCode};

use crate::auth::ScopeSet;
use crate::client::blob_request::{blob_request, leads_to_blob_request};
use crate::client::call_outcome::CallOutcome;
use crate::client::request_context::RequestContext;
use crate::client::{Client, ranges};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind};
use crate::reference::Repository;

/// A blob that exists.
pub(super) struct StoredBlob {
    /// Its length, if the registry states one.
    pub(super) length: Option<u64>,
}

/// Returns the blob as described by the registry; `None` if the answer does not say that it exists. One try; only a
/// rate limit is returned as an error.
pub(super) async fn head_blob(
    client: &Client,
    context: &mut RequestContext,
    repository: &Repository,
    digest: &Digest,
) -> Result<Option<StoredBlob>, Error> {
    let request = blob_request(Method::HEAD, repository, digest, "look for blob")
        .scopes(ScopeSet::push(repository))
        .follow(false);
    let mut outcome = client.once(context, &request).await;
    if let Ok(CallOutcome::Answer(response)) = &outcome
        && leads_to_blob_request(response)
    {
        let request = request.clone().follow(true);
        outcome = Box::pin(client.once(context, &request)).await;
    }
    let response = match outcome {
        Ok(CallOutcome::Answer(response)) => response,
        Ok(CallOutcome::Refused(_)) => return Ok(None),
        Err(error) => return only_rate_limit(error),
    };
    let status = response.status;
    if status == StatusCode::TOO_MANY_REQUESTS {
        return only_rate_limit(request.failure(response).await);
    }
    let length = ranges::content_length(&response.headers);
    response.body.drain().await;
    Ok(match status {
        // A redirect to the storage of the blob, which states its length.
        _ if status.is_redirection() => Some(StoredBlob { length: None }),
        _ if status.is_success() => Some(StoredBlob { length }),
        _ => None,
    })
}

fn only_rate_limit<T>(error: Error) -> Result<Option<T>, Error> {
    match error.kind() {
        ErrorKind::RateLimited => Err(error),
        _ => Ok(None),
    }
}
