//! Causes of error answers: status and code first, known texts of known registries last.

use http::{Method, StatusCode};

use crate::error::{Cause, Error};

/// An error answer.
pub(crate) struct ErrorAnswer<'a> {
    /// Its status.
    pub(crate) status: u16,
    /// The first code of the registry's own.
    pub(crate) code: Option<&'a str>,
    /// Message of the first error, one short line.
    pub(crate) message: &'a str,
    /// Further details, one short line.
    pub(crate) detail: &'a str,
    /// The number of the system's error that a storage driver of distribution handed on.
    pub(crate) errno: Option<i64>,
}

/// Returns the cause of `answer`, if it is more specific than its [kind](crate::ErrorKind).
pub(crate) fn from_answer(answer: &ErrorAnswer<'_>) -> Option<Cause> {
    by_text(answer).or_else(|| by_code(answer))
}

/// Returns the cause of an error answer to a request with `method`: read and write access are different rights, and a
/// server that supports no writing method accepts no pushes.
pub(crate) fn from_request(method: &Method, error: &Error) -> Cause {
    let writes = !matches!(*method, Method::GET | Method::HEAD);
    match error.cause() {
        // Deletion is switched off more often than writing.
        Cause::ReadOnly if *method == Method::DELETE && error.code() == Some("UNSUPPORTED") => {
            Cause::Rejected
        }
        Cause::NoPullRight if writes => Cause::NoPushRight,
        // distribution in read-only mode answers a bare 405, Quay one with codes of its own. ECR's UNSUPPORTED is about
        // the document.
        Cause::Rejected
            if writes
                && *method != Method::DELETE
                && error.status() == Some(StatusCode::METHOD_NOT_ALLOWED)
                && error.code() != Some("UNSUPPORTED") =>
        {
            Cause::ReadOnly
        }
        cause => cause,
    }
}

fn by_code(answer: &ErrorAnswer<'_>) -> Option<Cause> {
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

/// Causes that the code does not name, or names wrongly. Each text comes from the registry that is named with it, in
/// the place where that registry puts it.
fn by_text(answer: &ErrorAnswer<'_>) -> Option<Cause> {
    let text = LowercaseText::of(answer);
    let LowercaseText { message, detail } = &text;
    let begins = |start: &str| text.begins(start);
    match answer.status {
        400 if text.keeps_tags(answer.code) => Some(Cause::ImmutableTag),
        // Harbor.
        412 if text.ends(" configured as immutable") => Some(Cause::ImmutableTag),
        400 if begins("client sent an http request to an https server")
            || begins("the plain http request was sent to https port") =>
        {
            Some(Cause::HttpsOnly)
        }
        // distribution's filesystem: no space, its quota, its limit for a file; read-only.
        500 if matches!(answer.errno, Some(28 | 122 | 27)) => Some(Cause::StorageFull),
        500 if answer.errno == Some(30) => Some(Cause::ReadOnly),
        // Quay, 405 or 503.
        405 | 500..=599 if begins("system is currently read-only") => Some(Cause::ReadOnly),
        500..=599 => [message, detail]
            .into_iter()
            .any(|text| is_full(text))
            .then_some(Cause::StorageFull),
        // Harbor, before it looks at who asks.
        401 | 404 if begins("project ") && text.ends(" not found") => Some(Cause::ProjectMissing),
        // Harbor; Quay.
        403 if ends_limit(message) || begins("quota has been exceeded") => {
            Some(Cause::QuotaExceeded)
        }
        // DigitalOcean: `registry contains 1 repositories, limit is 1`.
        403 if begins("registry contains ") && message.contains(", limit is ") => {
            Some(Cause::QuotaExceeded)
        }
        // Artifactory.
        413 if begins("datastore disk usage is too high") => Some(Cause::StorageFull),
        // nginx, without a client certificate, and with one that it does not accept.
        400 if begins("no required ssl certificate was sent")
            || begins("the ssl certificate error") =>
        {
            Some(Cause::ClientCertificate)
        }
        // Harbor of before 2.0.
        400 | 412 if begins("quota exceeded when processing") => Some(Cause::QuotaExceeded),
        403 | 405 if begins("the system is in read only mode") => Some(Cause::ReadOnly),
        // distribution as a cache.
        405 if answer.code == Some("UNSUPPORTED") && begins("the operation is unsupported") => {
            Some(Cause::ReadOnly)
        }
        // Under any status: Alibaba Cloud says it as a 403, of which nobody would think that it is about a type.
        400..=403 | 405..=422 if text.refuses_type() => Some(Cause::MediaTypeRefused),
        _ => None,
    }
}

/// Texts of an answer in lower case.
struct LowercaseText {
    message: String,
    detail: String,
}

impl LowercaseText {
    fn of(answer: &ErrorAnswer<'_>) -> Self {
        Self {
            message: answer.message.to_ascii_lowercase(),
            detail: answer.detail.to_ascii_lowercase(),
        }
    }
    /// Some repeat the code in words before it: `tag invalid: The image tag …`.
    fn begins(&self, start: &str) -> bool {
        let said = self.message.split_once(": ");
        self.message.starts_with(start) || said.is_some_and(|(_, said)| said.starts_with(start))
    }
    /// Returns whether the message or the detail refuses a media type.
    fn refuses_type(&self) -> bool {
        self.begins("manifest schema version not supported")
            || self
                .detail
                .starts_with("manifest schema version not supported")
            || [&self.message, &self.detail]
                .into_iter()
                .any(|text| refuses_type(text))
    }
    fn ends(&self, end: &str) -> bool {
        self.message.trim_end_matches('.').ends_with(end)
    }
    /// Returns whether a 400 answer says that a tag cannot be moved.
    fn keeps_tags(&self, code: Option<&str>) -> bool {
        let nexus = "repository does not allow updating assets";
        let is_ecr = code == Some("TAG_INVALID") && self.ends(" is immutable");
        let is_google = self.ends(" has enabled tag immutability");
        is_ecr || is_google || self.begins(nexus) || self.detail.starts_with(nexus)
    }
}

/// Returns whether `text` refuses a type of manifest, config or layer. Registries have many words for it: `unknown
/// manifest class for application/…` (Alibaba Cloud), `unknown media type: application/…` (GitLab), `layer type
/// application/… is not one of the allowed` (Quay).
fn refuses_type(text: &str) -> bool {
    const SUBJECTS: [&str; 5] = [
        "media type",
        "mediatype",
        "manifest class",
        "application/vnd.",
        "application/octet-stream",
    ];
    const REFUSALS: [&str; 7] = [
        "unknown",
        "unsupported",
        "unrecognized",
        "not supported",
        "not allowed",
        "not permitted",
        "not one of the allowed",
    ];
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    has(&SUBJECTS) && has(&REFUSALS)
}

/// `… which when updated to current usage of 1.0 GiB will exceed the configured upper limit of 1.0 GiB`.
fn ends_limit(message: &str) -> bool {
    message
        .rsplit_once("will exceed the configured upper limit of ")
        .is_some_and(|(_, limit)| limit.len() < 32)
}

/// Returns whether `text` contains the system's error for a full disk between colons: `write /data/x: no space left on
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
