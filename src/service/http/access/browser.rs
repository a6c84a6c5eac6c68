//! Requests of browsers: those that pages of foreign sites send are refused.

use axum::http::header::{HOST, HeaderName, ORIGIN};
use axum::http::{HeaderMap, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::service::http::problem::Problem;

/// Header that the page sends with writes. Pages of foreign sites cannot.
const OWN_HEADER: HeaderName = HeaderName::from_static("x-image-syncer");
/// Characters that are escaped in the value of a query.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses a request that a page of a foreign site sent. Programs send neither header.
pub(super) fn same_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let is_own_site = headers
        .get_all(FETCH_SITE)
        .iter()
        .all(|site| matches!(site.as_bytes(), b"same-origin" | b"none"));
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let is_own_origin = headers.get_all(ORIGIN).iter().all(|origin| {
        let origin = origin.to_str().ok();
        let origin = origin.and_then(|origin| origin.split_once("://"));
        origin.is_some_and(|(_, origin)| host.is_some_and(|host| host.eq_ignore_ascii_case(origin)))
    });
    if is_own_site && is_own_origin {
        return Ok(());
    }
    Err(Problem::forbidden(
        "the request comes from a page of another site. Send a token in the header Authorization.",
    ))
}

/// Refuses a request that nothing proves to come from a page of this service: neither the header that only its
/// scripts send, nor, outside of the API, what browsers say about the page of a form.
pub(super) fn from_own_page(headers: &HeaderMap, is_api: bool) -> Result<(), Problem> {
    let has_own_header = headers.get(OWN_HEADER).is_some_and(|value| value == "1");
    // Their values were checked before.
    let is_own_form = headers.get(FETCH_SITE).map_or_else(
        || headers.contains_key(ORIGIN),
        |site| site == "same-origin",
    );
    if has_own_header || (is_own_form && !is_api) {
        return Ok(());
    }
    Err(Problem::forbidden(
        "the header X-Image-Syncer is missing. Send it with the value 1.",
    ))
}

/// Returns the path of the login, which leads back to `uri`.
pub(super) fn login_path(uri: &Uri) -> String {
    let target = uri.path_and_query().map_or("/", |path| path.as_str());
    format!("/login?back={}", utf8_percent_encode(target, ESCAPED))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn requests_of_foreign_pages_are_refused() {
        let host = ("host", "mirror.example:8080");
        for (pairs, is_own) in [
            (&[host][..], true),
            (&[host, ("sec-fetch-site", "same-origin")], true),
            (&[host, ("sec-fetch-site", "none")], true),
            (&[host, ("sec-fetch-site", "cross-site")], false),
            (&[host, ("sec-fetch-site", "same-site")], false),
            (&[host, ("origin", "https://mirror.example:8080")], true),
            (&[host, ("origin", "https://mirror.example")], false),
            (&[host, ("origin", "https://attacker.example")], false),
            (&[host, ("origin", "null")], false),
            (&[("origin", "https://mirror.example:8080")], false),
        ] {
            assert_eq!(same_origin(&headers(pairs)).is_ok(), is_own, "{pairs:?}");
        }
    }

    #[test]
    fn a_cookie_needs_a_proof_of_the_page() {
        let own = ("x-image-syncer", "1");
        for (pairs, of_api, of_pages) in [
            (&[][..], false, false),
            (&[own], true, true),
            (&[("x-image-syncer", "0")], false, false),
            (&[("sec-fetch-site", "same-origin")], false, true),
            (&[("sec-fetch-site", "none")], false, false),
            (&[("origin", "https://mirror.example")], false, true),
        ] {
            let headers = headers(pairs);
            assert_eq!(from_own_page(&headers, true).is_ok(), of_api, "{pairs:?}");
            assert_eq!(
                from_own_page(&headers, false).is_ok(),
                of_pages,
                "{pairs:?}"
            );
        }
    }

    #[test]
    fn the_path_of_the_login_leads_back() {
        let uri: Uri = "/runs/01?state=failed&x=%2F".parse().unwrap();
        assert_eq!(
            login_path(&uri),
            "/login?back=/runs/01%3Fstate%3Dfailed%26x%3D%252F"
        );
    }
}
