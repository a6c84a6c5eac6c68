//! Answer to `GET /v2/`, by which a registry is known.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};

use crate::auth::challenge::{self, Challenge};

const API_VERSION: &str = "docker-distribution-api-version";

/// Answer to `GET /v2/` without a login.
#[derive(Clone, Debug)]
pub(super) struct BaseAnswer {
    pub(super) status: StatusCode,
    /// The login that the registry asks for, if it does.
    pub(super) challenge: Option<Challenge>,
    /// The answer cannot come from a registry.
    pub(super) is_no_registry: bool,
}

impl BaseAnswer {
    pub(super) fn new(status: StatusCode, headers: &HeaderMap) -> Self {
        let challenge = (status == StatusCode::UNAUTHORIZED)
            .then(|| challenge::best(headers))
            .flatten();
        Self {
            status,
            is_no_registry: challenge.is_none() && is_no_registry(status, headers),
            challenge,
        }
    }
}

/// Returns whether an answer to `GET /v2/` without a challenge cannot come from a registry.
pub(crate) fn is_no_registry(status: StatusCode, headers: &HeaderMap) -> bool {
    !has_registry_signs(headers) && is_telling(status) && !is_empty_success(status, headers)
}

/// Returns whether an answer has a header that web servers do not send, or a document that registries send.
pub(crate) fn has_registry_signs(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    headers.contains_key(API_VERSION) || content_type.is_some_and(|it| it.contains("json"))
}

/// Returns whether an answer with this status comes from the server of the path, and not from a limit, a login page or a
/// gateway before it.
pub(crate) fn is_telling(status: StatusCode) -> bool {
    match status.as_u16() {
        401 | 407 | 408 | 413 | 425 | 429 | 431 | 499 => false,
        200..=299 | 400..=499 | 501 => true,
        _ => false,
    }
}

/// Returns whether the answer holds nothing: some registries say no more than that they exist.
fn is_empty_success(status: StatusCode, headers: &HeaderMap) -> bool {
    let length = headers.get(CONTENT_LENGTH);
    let is_empty = length.is_some_and(|length| length == "0");
    status.is_success() && (is_empty || !headers.contains_key(CONTENT_TYPE))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_web_server_is_told_from_a_registry() {
        let html = ("content-type", "text/html");
        let version = (API_VERSION, "registry/2.0");
        for (status, headers, is_no_registry) in [
            (404, vec![html], true),
            (404, vec![], true),
            (404, vec![("content-type", "text/plain")], true),
            (405, vec![html], true),
            (200, vec![html], true),
            (200, vec![html, version], false),
            (200, vec![("content-type", "application/json")], false),
            (404, vec![("content-type", "application/json")], false),
            (200, vec![], false),
            (200, vec![html, ("content-length", "0")], false),
            (301, vec![html], false),
            (401, vec![html], false),
            (401, vec![("www-authenticate", "Basic realm=x")], false),
            (429, vec![html], false),
            (502, vec![html], false),
        ] {
            let map = headers
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect::<HeaderMap>();
            let answer = BaseAnswer::new(StatusCode::from_u16(status).unwrap(), &map);
            assert_eq!(
                answer.is_no_registry, is_no_registry,
                "{status} {headers:?}"
            );
        }
    }
}
