//! Entry points for fuzzing the client; see [`crate::fuzzing`].

#![allow(
    clippy::missing_panics_doc,
    reason = "to panic where a promise is broken is what they are for"
)]

use http::header::{CONTENT_LENGTH, CONTENT_RANGE, LINK, RANGE};
use url::Url;

use crate::client::ranges::RangeStyle;
use crate::client::{checked_url, links, ranges};
use crate::fuzzing::{assert_is_short, headers};

/// Reads `Link` headers, one in each line. The next page is written in one of them.
pub fn links(data: &[u8]) {
    if let Ok(Some(next)) = links::next(&headers(&LINK, data)) {
        assert!(String::from_utf8_lossy(data).contains(next));
        assert!(!next.contains('>'));
    }
}

/// Reads `Content-Range`, `Content-Length` and both forms of `Range`.
pub fn ranges(data: &[u8]) {
    if let Some(range) = ranges::content_range(&headers(&CONTENT_RANGE, data))
        && let Some((first, last)) = range.bytes
    {
        assert!(first <= last);
        assert!(range.total.is_none_or(|total| last < total));
    }
    ranges::content_length(&headers(&CONTENT_LENGTH, data));
    let headers = headers(&RANGE, data);
    let dialect = RangeStyle::from_headers(&headers);
    let by_status = dialect.stored_by_status(&headers);
    if let Some(by_patch) = ranges::stored_by_patch(&headers) {
        assert!(by_patch >= 2 && by_status.is_some());
    }
}

/// Resolves upload locations and next pages. Addresses of the registry are on its host.
pub fn addresses(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for base in ["https://r.io/", "http://127.0.0.1:5000/"] {
        let Ok(base) = Url::parse(base) else { continue };
        match checked_url::resolve(&base, &base, &text) {
            Ok(address) => {
                let url = &address.url;
                assert!(matches!(url.scheme(), "http" | "https") && url.has_host());
                assert!(url.username().is_empty() && url.password().is_none());
                assert!(!address.home || url.origin() == base.origin());
            }
            Err(error) => assert_is_short(&error),
        }
    }
}
