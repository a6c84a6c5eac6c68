//! Range headers of registries: `Content-Range` of a download, `Range` of an upload.

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE};

/// `Content-Range` of a 206 or a 416 (RFC 9110, section 14.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ContentRange {
    /// First and last byte; `None` in a 416.
    pub(super) bytes: Option<(u64, u64)>,
    /// Length of the whole, if stated.
    pub(super) total: Option<u64>,
}

/// Reads `Content-Range: bytes a-b/total`; `None` if it is missing or malformed.
pub(super) fn content_range(headers: &HeaderMap) -> Option<ContentRange> {
    let value = headers.get(CONTENT_RANGE)?.to_str().ok()?.trim();
    let (unit, rest) = value.split_once(' ')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (range, total) = rest.trim().split_once('/')?;
    let total = match total.trim() {
        "*" => None,
        text => Some(text.parse().ok()?),
    };
    let bytes = match range.trim() {
        "*" => None,
        text => {
            let (first, last) = text.split_once('-')?;
            let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            if first > last || total.is_some_and(|total| last >= total) {
                return None;
            }
            Some((first, last))
        }
    };
    Some(ContentRange { bytes, total })
}

/// Reads `Content-Length`; `None` if it is missing or malformed.
pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// Counting of bytes in the `Range` of upload answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum RangeStyle {
    /// `0-b`, where b is the last stored byte; `0-0` if nothing is stored.
    #[default]
    Inclusive,
    /// Quay: `bytes=0--1` if nothing is stored, and one too many in the status of a session.
    Quay,
}

impl RangeStyle {
    /// Detects the style from the answer to the opening POST: only Quay says `bytes=0--1`.
    pub(super) fn from_headers(headers: &HeaderMap) -> Self {
        match range_end(headers) {
            Some(end) if end < 0 => Self::Quay,
            _ => Self::Inclusive,
        }
    }

    /// Returns the number of bytes in the session by the `Range` of a status answer; `None` if it states none. `0-0`
    /// counts as nothing: most servers mean that, and a guess that is too low costs a byte, where one that is too high
    /// costs the session.
    pub(super) fn stored_by_status(self, headers: &HeaderMap) -> Option<u64> {
        let end = u64::try_from(range_end(headers)?).unwrap_or(0);
        Some(match self {
            _ if end == 0 => 0,
            Self::Inclusive => end.saturating_add(1),
            Self::Quay => end,
        })
    }
}

/// Returns the number of bytes in the session by the `Range` of the answer to a PATCH; `None` if it states none. (`0-0`
/// says nothing: servers that do not count send it, and it could mean one byte.)
pub(super) fn stored_by_patch(headers: &HeaderMap) -> Option<u64> {
    match range_end(headers)? {
        end if end <= 0 => None,
        end => u64::try_from(end).ok()?.checked_add(1),
    }
}

/// Reads the `b` of `0-b`, with or without `bytes=` or `bytes ` in front; may be -1.
fn range_end(headers: &HeaderMap) -> Option<i64> {
    let value = headers.get(RANGE)?.to_str().ok()?.trim();
    let value = value
        .strip_prefix("bytes")
        .map_or(value, |rest| rest.trim_start_matches(['=', ' ']));
    let (start, end) = value.split_once('-')?;
    if start.trim() != "0" {
        return None;
    }
    end.trim().parse().ok().filter(|end| *end >= -1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use http::header::HeaderName;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn reads_content_ranges() {
        for (text, expected) in [
            ("bytes 5-9/10", Some((Some((5, 9)), Some(10)))),
            ("Bytes 0-0/*", Some((Some((0, 0)), None))),
            ("bytes */10", Some((None, Some(10)))),
            ("bytes 9-5/10", None),
            ("bytes 5-10/10", None),
            ("items 5-9/10", None),
            ("bytes 5-9", None),
            ("5-9/10", None),
            ("bytes a-b/c", None),
            ("bytes 0-99999999999999999999/*", None),
        ] {
            let read = content_range(&headers(CONTENT_RANGE, text));
            let expected = expected.map(|(bytes, total)| ContentRange { bytes, total });
            assert_eq!(read, expected, "{text}");
        }
        assert_eq!(content_range(&HeaderMap::new()), None);
    }

    #[test]
    fn reads_what_a_session_holds() {
        use RangeStyle::{Inclusive, Quay};
        for (text, dialect, by_status, by_patch) in [
            ("0-0", Inclusive, Some(0), None),
            ("0-9", Inclusive, Some(10), Some(10)),
            ("bytes=0-9", Inclusive, Some(10), Some(10)),
            ("bytes 0-9", Inclusive, Some(10), Some(10)),
            ("bytes=0--1", Quay, Some(0), None),
            ("bytes=0-9", Quay, Some(9), Some(10)),
            ("0-9", Quay, Some(9), Some(10)),
            ("5-9", Inclusive, None, None),
            ("0--2", Inclusive, None, None),
            ("0-x", Inclusive, None, None),
            ("", Inclusive, None, None),
            (
                "0-9223372036854775807",
                Inclusive,
                Some(1 << 63),
                Some(1 << 63),
            ),
            ("0-9223372036854775808", Inclusive, None, None),
        ] {
            let headers = headers(RANGE, text);
            assert_eq!(
                dialect.stored_by_status(&headers),
                by_status,
                "{text} {dialect:?}"
            );
            assert_eq!(stored_by_patch(&headers), by_patch, "{text}");
        }
    }

    #[test]
    fn knows_quay_by_its_opening() {
        assert_eq!(
            RangeStyle::from_headers(&headers(RANGE, "bytes=0--1")),
            RangeStyle::Quay
        );
        assert_eq!(
            RangeStyle::from_headers(&headers(RANGE, "0-0")),
            RangeStyle::Inclusive
        );
        assert_eq!(
            RangeStyle::from_headers(&HeaderMap::new()),
            RangeStyle::Inclusive
        );
    }
}
