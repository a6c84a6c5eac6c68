//! Paths to kinds of requests.

use http::Method;

use crate::log::{Kind, query_value};

/// The endpoint and the names in a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) kind: Kind,
    pub(crate) repository: Option<String>,
    pub(crate) reference: Option<String>,
}

/// Parses a method, a path and a query.
pub(crate) fn route(method: &Method, path: &str, query: Option<&str>) -> Route {
    let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
    let Some(rest) = path.strip_prefix("/v2/") else {
        return other();
    };
    if rest.is_empty() && matches!(*method, Method::GET | Method::HEAD) {
        return Route {
            kind: Kind::Ping,
            ..other()
        };
    }
    if rest == "_catalog" && *method == Method::GET {
        return Route {
            kind: Kind::Catalog,
            ..other()
        };
    }
    if let Some(name) = rest.strip_suffix("/tags/list") {
        return with(name, None, of(method, &[(Method::GET, Kind::Tags)]));
    }
    if let Some((name, reference)) = parts(rest, "/manifests/") {
        return with(name, Some(reference), of(method, MANIFESTS));
    }
    for suffix in ["/blobs/uploads/", "/blobs/uploads"] {
        if let Some(name) = rest.strip_suffix(suffix) {
            return start(method, name, query);
        }
    }
    if let Some((name, session)) = parts(rest, "/blobs/uploads/") {
        return with(name, Some(session), of(method, SESSIONS));
    }
    if let Some((name, digest)) = parts(rest, "/blobs/") {
        return with(name, Some(digest), of(method, BLOBS));
    }
    if let Some((name, digest)) = parts(rest, "/referrers/") {
        let kind = of(method, &[(Method::GET, Kind::Referrers)]);
        return with(name, Some(digest), kind);
    }
    other()
}

const MANIFESTS: &[(Method, Kind)] = &[
    (Method::HEAD, Kind::ManifestHead),
    (Method::GET, Kind::ManifestGet),
    (Method::PUT, Kind::ManifestPut),
    (Method::DELETE, Kind::ManifestDelete),
];

const BLOBS: &[(Method, Kind)] = &[
    (Method::HEAD, Kind::BlobHead),
    (Method::GET, Kind::BlobGet),
    (Method::DELETE, Kind::BlobDelete),
];

const SESSIONS: &[(Method, Kind)] = &[
    (Method::GET, Kind::UploadStatus),
    (Method::HEAD, Kind::UploadStatus),
    (Method::PATCH, Kind::UploadPatch),
    (Method::PUT, Kind::UploadPut),
    (Method::DELETE, Kind::UploadCancel),
];

fn start(method: &Method, name: &str, query: Option<&str>) -> Route {
    match query_value(query, "mount") {
        _ if *method != Method::POST => with(name, None, Kind::Other),
        Some(digest) => with(name, Some(&digest), Kind::Mount),
        None => with(name, None, Kind::UploadPost),
    }
}

fn of(method: &Method, kinds: &[(Method, Kind)]) -> Kind {
    kinds
        .iter()
        .find(|(m, _)| m == method)
        .map_or(Kind::Other, |(_, kind)| *kind)
}

/// Splits at the last `middle`. Exactly one component must follow.
fn parts<'a>(rest: &'a str, middle: &str) -> Option<(&'a str, &'a str)> {
    let (name, last) = rest.rsplit_once(middle)?;
    (!name.is_empty() && !last.is_empty() && !last.contains('/')).then_some((name, last))
}

fn with(name: &str, reference: Option<&str>, kind: Kind) -> Route {
    Route {
        kind,
        repository: Some(name.to_owned()),
        reference: reference.map(str::to_owned),
    }
}

fn other() -> Route {
    Route {
        kind: Kind::Other,
        repository: None,
        reference: None,
    }
}

/// Returns true for a repository name that the specification allows.
pub(crate) fn is_name(name: &str) -> bool {
    name.len() <= 255 && name.split('/').all(is_component)
}

fn is_component(component: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    let separators = component.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    alphanumeric(first)
        && alphanumeric(last)
        && separators
            .filter(|s| !s.is_empty())
            .all(|s| matches!(s, "." | "_" | "__") || s.bytes().all(|b| b == b'-'))
}

/// Returns true for a tag that the specification allows.
pub(crate) fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let kind = |method: Method, path: &str| route(&method, path, None).kind;
        assert_eq!(kind(Method::GET, "/v2/"), Kind::Ping);
        assert_eq!(kind(Method::GET, "/v2"), Kind::Other);
        assert_eq!(kind(Method::GET, "/v2/_catalog"), Kind::Catalog);
        assert_eq!(kind(Method::HEAD, "/v2/a/manifests/v1"), Kind::ManifestHead);
        assert_eq!(kind(Method::POST, "/v2/a/manifests/v1"), Kind::Other);
        assert_eq!(kind(Method::POST, "/v2/a/blobs/uploads/"), Kind::UploadPost);
        assert_eq!(
            kind(Method::PATCH, "/v2/a/blobs/uploads/x"),
            Kind::UploadPatch
        );
        assert_eq!(kind(Method::GET, "/v2/a/tags/list"), Kind::Tags);
        let mount = route(
            &Method::POST,
            "/v2/a/b/blobs/uploads/",
            Some("from=x&mount=d"),
        );
        assert_eq!(mount, with("a/b", Some("d"), Kind::Mount));
    }

    #[test]
    fn repositories_may_be_called_like_endpoints() {
        let odd = route(&Method::GET, "/v2/manifests/blobs/tags/manifests/v1", None);
        assert_eq!(
            odd,
            with("manifests/blobs/tags", Some("v1"), Kind::ManifestGet)
        );
        let odd = route(&Method::GET, "/v2/blobs/uploads/blobs/sha256:1", None);
        assert_eq!(odd, with("blobs/uploads", Some("sha256:1"), Kind::BlobGet));
    }

    #[test]
    fn names() {
        for name in ["a", "a/b", "a.b", "a_b", "a__b", "a---b", "a0/1b"] {
            assert!(is_name(name), "{name}");
        }
        for name in [
            "", "A", "a/", "/a", "a..b", "a___b", "-a", "a-", "a//b", "a.-b",
        ] {
            assert!(!is_name(name), "{name}");
        }
        assert!(is_tag("v1.0_x-Y") && is_tag("_x"));
        assert!(!is_tag(".x") && !is_tag("") && !is_tag(&"x".repeat(129)) && !is_tag("a+b"));
    }
}
