//! Checks for things that a correct client never does.

use http::Method;

use super::call::Call;
use super::connection::Role;
use crate::image::media;
use crate::log::{Authorization, Kind, Request};

/// Checks the head of a request.
pub(crate) fn request(call: &Call) {
    let request = call.request();
    let storage = call.connection.role == Role::Storage;
    for problem in problems(request, storage) {
        call.connection
            .shared
            .problem(format!("{}: {problem}", request.line()));
    }
}

fn problems(request: &Request, storage: bool) -> Vec<String> {
    let mut problems = Vec::new();
    if storage && request.authorization != Authorization::None {
        let scheme = request.authorization.scheme();
        problems.push(format!("a credential ({scheme}) at the storage host"));
    }
    if storage && request.headers.contains_key("cookie") {
        problems.push("a cookie at the storage host".to_owned());
    }
    match request.kind {
        Kind::ManifestGet | Kind::ManifestHead => {
            let missing = unaccepted(request);
            if !missing.is_empty() {
                let missing = missing.join(", ");
                problems.push(format!("Accept does not have {missing}"));
            }
        }
        Kind::UploadPost
        | Kind::Mount
        | Kind::UploadPatch
        | Kind::UploadPut
        | Kind::UploadStatus
        | Kind::UploadCancel => upload(request, &mut problems),
        Kind::ManifestPut if request.header("content-type").is_none() => {
            problems.push("a manifest without Content-Type".to_owned());
        }
        _ => {}
    }
    problems
}

fn upload(request: &Request, problems: &mut Vec<String>) {
    let accept = request.header("accept").unwrap_or_default();
    if accept.contains("manifest") || accept.contains("image.index") {
        problems.push("manifest types in the Accept of an upload".to_owned());
    }
    let chunked = request.headers.contains_key("transfer-encoding");
    // Over HTTP/2 the end of the stream shows that there is no body.
    let http1 = request.version < http::Version::HTTP_2;
    let says_length = chunked || request.header("content-length").is_some();
    if request.method == Method::POST && http1 && !says_length {
        problems.push("a POST without Content-Length".to_owned());
    }
    if let Some(range) = request.header("content-range") {
        if !is_upload_range(range) {
            problems.push(format!("Content-Range \"{range}\" is not of the form a-b"));
        }
        if request.header("content-length").is_none() {
            problems.push("Content-Range without Content-Length".to_owned());
        }
    }
}

/// Returns true for `a-b` with two numbers, a ≤ b.
pub(crate) fn is_upload_range(range: &str) -> bool {
    upload_range(range).is_some()
}

/// Returns the two ends of `a-b`.
pub(crate) fn upload_range(range: &str) -> Option<(u64, u64)> {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (first, last) = range.split_once('-')?;
    if !digits(first) || !digits(last) {
        return None;
    }
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

/// Returns the media types that a manifest request does not accept, so that it may get a converted manifest.
fn unaccepted(request: &Request) -> Vec<&'static str> {
    let accepted: Vec<String> = request
        .headers
        .get_all("accept")
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(|item| item.split(';').next().unwrap_or_default().trim().to_owned())
        .collect();
    [
        media::OCI_INDEX,
        media::OCI_MANIFEST,
        media::DOCKER_LIST,
        media::DOCKER_MANIFEST,
    ]
    .into_iter()
    .filter(|wanted| !accepted.iter().any(|a| a == wanted))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upload_ranges() {
        assert_eq!(upload_range("0-9"), Some((0, 9)));
        for wrong in [
            "bytes 0-9",
            "bytes=0-9",
            "0-9/10",
            "9-0",
            "-9",
            "0-",
            "+1-2",
        ] {
            assert_eq!(upload_range(wrong), None, "{wrong}");
        }
    }
}
