//! Requests for one blob.

use http::Method;
use http::header::LOCATION;
use url::Url;

use crate::auth::ScopeSet;
use crate::client::request::RequestSpec;
use crate::digest::Digest;
use crate::reference::Repository;
use crate::transport::Response;

/// Returns a request that reads or looks up a blob.
pub(super) fn blob_request(
    method: Method,
    repository: &Repository,
    digest: &Digest,
    verb: &str,
) -> RequestSpec {
    RequestSpec::new(
        method,
        repository,
        ScopeSet::pull(repository),
        format!("blobs/{digest}"),
        format!("{verb} {digest} of {}", repository.path()),
    )
}

/// Returns whether the answer redirects to another request for the blob, which says nothing about its existence: at the
/// host that it came from, or at another registry under the same API path (a vanity name). Other redirects lead to
/// storage.
pub(super) fn leads_to_blob_request(response: &Response) -> bool {
    let is_same_request = |target: &Url| {
        let name = |url: &Url| {
            let path = url.path().strip_prefix("/v2/")?;
            path.rsplit_once("/blobs/")
                .map(|(_, digest)| digest.to_owned())
        };
        name(target).is_some_and(|digest| name(&response.url) == Some(digest))
    };
    response.status.is_redirection()
        && response
            .headers
            .get(LOCATION)
            .and_then(|location| response.url.join(location.to_str().ok()?).ok())
            .is_none_or(|target| {
                target.origin() == response.url.origin() || is_same_request(&target)
            })
}
