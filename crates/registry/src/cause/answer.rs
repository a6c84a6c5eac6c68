//! What an answer that is no success is about: status and code first, known texts of known registries last.

use http::{Method, StatusCode};

use crate::cause::Cause;
use crate::error::Error;

/// What is known of an answer.
pub(crate) struct Answer<'a> {
    /// Its status.
    pub(crate) status: u16,
    /// The first code of the registry's own.
    pub(crate) code: Option<&'a str>,
    /// What it says of that, on one line and short.
    pub(crate) message: &'a str,
    /// What it says besides, the same.
    pub(crate) detail: &'a str,
    /// The number of the system's error that a storage driver of distribution handed on.
    pub(crate) errno: Option<i64>,
}

/// What `answer` is about, where it tells more than its [kind](crate::ErrorKind).
pub(crate) fn of_answer(answer: &Answer<'_>) -> Option<Cause> {
    by_text(answer).or_else(|| by_code(answer))
}

/// What the answer to a request with `method` is about, as far as the method tells: the right to write is another than
/// that to read, and a server that knows no method to write with takes no pushes.
pub(crate) fn of_request(method: &Method, error: &Error) -> Cause {
    let writes = !matches!(*method, Method::GET | Method::HEAD);
    match error.cause() {
        Cause::NoPullRight if writes => Cause::NoPushRight,
        // distribution in read-only mode answers a bare 405.
        Cause::Rejected
            if writes
                && error.status() == Some(StatusCode::METHOD_NOT_ALLOWED)
                && error.code().is_none() =>
        {
            Cause::ReadOnly
        }
        cause => cause,
    }
}

fn by_code(answer: &Answer<'_>) -> Option<Cause> {
    Some(match (answer.status, answer.code.unwrap_or_default()) {
        (407, _) => Cause::ProxyLogin,
        (413, _) => Cause::TooLarge,
        (415, _) => Cause::MediaTypeRefused,
        (507, _) => Cause::StorageFull,
        (500..=599, _) => return None,
        // Quay's word, and Azure's for what is locked.
        (_, "TAG_IMMUTABLE" | "REGISTRY_DISALLOWED_OPERATION") => Cause::ImmutableTag,
        (_, "READONLY") => Cause::ReadOnly,
        (_, "PROJECTPOLICYVIOLATION") => Cause::Policy,
        (401 | 429, _) => return None,
        (_, "NAME_UNKNOWN") => Cause::RepositoryMissing,
        (_, "NAME_INVALID") => Cause::NameRefused,
        (_, "MANIFEST_INVALID" | "MANIFEST_UNVERIFIED") => Cause::ManifestInvalid,
        (_, "DIGEST_INVALID" | "SIZE_INVALID") => Cause::Corrupt,
        (_, "BLOB_UNKNOWN") => Cause::ContentMissing,
        _ => return None,
    })
}

/// Where a code does not tell it, or tells something else. Each text is one that is known of the registry named with it,
/// and stands where that registry puts it.
fn by_text(answer: &Answer<'_>) -> Option<Cause> {
    let message = answer.message.to_ascii_lowercase();
    let detail = answer.detail.to_ascii_lowercase();
    // Some repeat the code in words: `tag invalid: The image tag …`.
    let said = message
        .split_once(": ")
        .map_or(message.as_str(), |(_, said)| said);
    let begins = |text: &str| message.starts_with(text) || said.starts_with(text);
    let ends = |text: &str| message.trim_end_matches('.').ends_with(text);
    match answer.status {
        400 if begins("client sent an http request to an https server")
            || begins("the plain http request was sent to https port") =>
        {
            Some(Cause::HttpsOnly)
        }
        // distribution's filesystem: no space, its quota, its limit for a file; read-only.
        500 if matches!(answer.errno, Some(28 | 122 | 27)) => Some(Cause::StorageFull),
        500 if answer.errno == Some(30) => Some(Cause::ReadOnly),
        500..=599 => [&message, &detail]
            .iter()
            .any(|text| is_full(text))
            .then_some(Cause::StorageFull),
        // Harbor, before it looks at who asks.
        401 | 404 if begins("project ") && ends(" not found") => Some(Cause::ProjectMissing),
        // Harbor; Quay.
        403 if ends_limit(&message) || begins("quota has been exceeded") => {
            Some(Cause::QuotaExceeded)
        }
        // DigitalOcean: `registry contains 1 repositories, limit is 1`.
        403 if begins("registry contains ") && message.contains(", limit is ") => {
            Some(Cause::QuotaExceeded)
        }
        // Artifactory.
        413 if begins("datastore disk usage is too high") => Some(Cause::StorageFull),
        // Harbor of before 2.0.
        400 | 412 if begins("quota exceeded when processing") => Some(Cause::QuotaExceeded),
        403 | 405 if begins("the system is in read only mode") => Some(Cause::ReadOnly),
        // ECR.
        400 if answer.code == Some("TAG_INVALID") && ends(" is immutable") => {
            Some(Cause::ImmutableTag)
        }
        // Google.
        400 if ends(" has enabled tag immutability") => Some(Cause::ImmutableTag),
        // Nexus.
        400 if begins("repository does not allow updating assets")
            || detail.starts_with("repository does not allow updating assets") =>
        {
            Some(Cause::ImmutableTag)
        }
        // Harbor.
        412 if ends(" configured as immutable") => Some(Cause::ImmutableTag),
        // distribution as a cache.
        405 if answer.code == Some("UNSUPPORTED") && begins("the operation is unsupported") => {
            Some(Cause::ReadOnly)
        }
        400..=422
            if begins("unsupported media type")
                || begins("manifest schema version not supported") =>
        {
            Some(Cause::MediaTypeRefused)
        }
        _ => None,
    }
}

/// `… which when updated to current usage of 1.0 GiB will exceed the configured upper limit of 1.0 GiB`.
fn ends_limit(message: &str) -> bool {
    message
        .rsplit_once("will exceed the configured upper limit of ")
        .is_some_and(|(_, limit)| limit.len() < 32)
}

/// What systems say of a disk that is full, as an error of its own between colons: `write /data/x: no space left on
/// device`.
fn is_full(text: &str) -> bool {
    let mut parts = text.split([':', ';', '(', ')']).map(str::trim);
    parts.any(|part| {
        matches!(
            part,
            "no space left on device" | "disk quota exceeded" | "file too large"
        )
    })
}
