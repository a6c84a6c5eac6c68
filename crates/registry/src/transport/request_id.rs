//! Identifiers of requests in answers, for questions to the registry's operators.

use http::HeaderMap;

use crate::text;
use crate::transport::redact::SecretRedactor;

/// Headers with an identifier, in order of precedence: those of most registries and proxies, then those of clouds and
/// object stores.
const HEADERS: [&str; 14] = [
    "x-request-id",
    "x-amzn-requestid",
    "x-amz-request-id",
    "x-ms-correlation-request-id",
    "x-ms-request-id",
    "x-github-request-id",
    "x-goog-request-id",
    "x-guploader-uploadid",
    "x-cloud-trace-context",
    "x-oss-request-id",
    "x-cos-request-id",
    "x-obs-request-id",
    "x-correlation-id",
    "cf-ray",
];

/// Maximum number of characters of an identifier.
const LONGEST: usize = 128;

/// Returns the identifier in `headers`, without secrets that it may repeat.
pub(super) fn find(headers: &HeaderMap, redactor: &SecretRedactor) -> Option<String> {
    HEADERS.iter().find_map(|name| {
        let text = headers.get(*name)?.to_str().ok()?;
        let id = text::clean(&redactor.redact(text), LONGEST);
        (!id.is_empty()).then_some(id)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                let value = HeaderValue::from_bytes(value).unwrap();
                (http::HeaderName::from_static(name), value)
            })
            .collect()
    }

    fn found(pairs: &[(&'static str, &[u8])]) -> Option<String> {
        find(&headers(pairs), &SecretRedactor::default())
    }

    #[test]
    fn the_first_header_that_names_the_request_counts() {
        assert_eq!(found(&[]), None);
        assert_eq!(found(&[("x-request-id", b"")]), None);
        for name in HEADERS {
            assert_eq!(found(&[(name, b"4f-1")]).as_deref(), Some("4f-1"), "{name}");
        }
        let both: [(&'static str, &[u8]); 2] = [("cf-ray", b"ray"), ("x-request-id", b"own")];
        assert_eq!(found(&both).as_deref(), Some("own"));
    }

    #[test]
    fn it_is_short_printable_and_no_secret() {
        assert_eq!(found(&[("x-request-id", b"\xff\xfe")]), None);
        assert_eq!(found(&[("x-request-id", b"a\tb")]).as_deref(), Some("a b"));
        let long = found(&[("x-request-id", &[b'x'; 4000])]).unwrap();
        assert_eq!(long.chars().count(), LONGEST);

        let redactor = SecretRedactor::default();
        redactor.learn_authorization("Bearer s3cret-token");
        let echo = headers(&[("x-request-id", b"for s3cret-token")]);
        assert_eq!(find(&echo, &redactor).as_deref(), Some("for ***"));
    }
}
