//! Bytes of a blob, whole or in a range.

use http::header;

use crate::blob::Blob;
use crate::reply::Reply;
use crate::server::call::Call;

/// Serves the bytes of a blob, or a range of them.
pub(super) fn serve(call: &Call, blob: Blob, ranges: bool) -> Reply {
    if blob.chunk(0, 1).is_none() && call.request().method == http::Method::GET {
        let message = "the bytes of this blob were discarded on arrival (discard_blobs)";
        return Reply::error(500, "UNKNOWN", message);
    }
    let size = blob.size();
    let base = |status| {
        let reply = Reply::new(status).with(header::CONTENT_TYPE, "application/octet-stream");
        if ranges {
            reply.with(header::ACCEPT_RANGES, "bytes")
        } else {
            reply
        }
    };
    let asked = call.request().header("range").filter(|_| ranges);
    match asked.map(|asked| range(asked, size)) {
        None | Some(Asked::Everything) => base(200).blob(blob, 0, size),
        Some(Asked::Part(from, to)) => {
            let content_range = format!("bytes {from}-{}/{size}", to - 1);
            base(206)
                .blob(blob, from, to)
                .with(header::CONTENT_RANGE, &content_range)
        }
        Some(Asked::Nonsense) => unsatisfiable(size, "invalid range\n"),
        Some(Asked::Nothing) => unsatisfiable(size, "invalid range: failed to overlap\n")
            .with(header::CONTENT_RANGE, &format!("bytes */{size}")),
    }
}

/// Returns a 416 as distribution does: with the `Content-Length` of the blob, so that the body ends early, and with it
/// the connection.
fn unsatisfiable(size: u64, message: &'static str) -> Reply {
    let fits = size >= message.len() as u64;
    Reply::new(416)
        .bytes("text/plain; charset=utf-8", if fits { message } else { "" })
        .with(header::CONTENT_LENGTH, &size.to_string())
}

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Everything,
    /// From the first number to the second, exclusive.
    Part(u64, u64),
    /// No byte of the blob is in the range.
    Nothing,
    Nonsense,
}

/// Parses `bytes=a-b`, `bytes=a-` and `bytes=-n`. Several ranges mean the whole blob; an invalid range is refused, as
/// Go's server does.
fn range(text: &str, size: u64) -> Asked {
    if text.contains(',') {
        return Asked::Everything;
    }
    let Some((first, last)) = text
        .strip_prefix("bytes=")
        .and_then(|rest| rest.trim().split_once('-'))
    else {
        return Asked::Nonsense;
    };
    let (from, to) = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(from), Ok(last)) if last >= from => (from, last.saturating_add(1).min(size)),
        (Ok(from), Err(_)) if last.is_empty() => (from, size),
        (Err(_), Ok(count)) if first.is_empty() => (size.saturating_sub(count), size),
        _ => return Asked::Nonsense,
    };
    if from >= size || from >= to {
        Asked::Nothing
    } else {
        Asked::Part(from, to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(range("bytes=0-", 10), Asked::Part(0, 10));
        assert_eq!(range("bytes=3-5", 10), Asked::Part(3, 6));
        assert_eq!(range("bytes=3-50", 10), Asked::Part(3, 10));
        assert_eq!(range("bytes=-4", 10), Asked::Part(6, 10));
        assert_eq!(range("bytes=10-", 10), Asked::Nothing);
        assert_eq!(range("bytes=-0", 10), Asked::Nothing);
        for nonsense in ["items=0-", "bytes=5-3", "bytes=a-b", "bytes=-"] {
            assert_eq!(range(nonsense, 10), Asked::Nonsense, "{nonsense}");
        }
        assert_eq!(range("bytes=0-1,3-4", 10), Asked::Everything);
    }
}
