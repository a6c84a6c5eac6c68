#![allow(clippy::unwrap_used)]

use http::{Method, StatusCode};

use super::{Cause, Error, ErrorAnswer, ErrorKind, from_answer, from_request};

fn cause(status: u16, code: &str, message: &str) -> Option<Cause> {
    from_answer(&ErrorAnswer {
        status,
        code: Some(code).filter(|code| !code.is_empty()),
        message,
        detail: "",
        errno: None,
    })
}

#[test]
fn registries_are_understood_in_their_own_words() {
    for (status, code, message, expected) in [
        (
            404,
            "NAME_UNKNOWN",
            "The repository with name 'a/b' does not exist in the registry with id '123456789012'",
            Some(Cause::RepositoryMissing),
        ),
        (
            404,
            "NAME_UNKNOWN",
            "Repository \"a\" not found",
            Some(Cause::RepositoryMissing),
        ),
        (
            401,
            "UNAUTHORIZED",
            "project mirror not found",
            Some(Cause::ProjectMissing),
        ),
        (
            404,
            "NOT_FOUND",
            "project mirror not found",
            Some(Cause::ProjectMissing),
        ),
        (
            400,
            "TAG_INVALID",
            "The image tag 'v1' already exists in the 'a' repository and cannot be overwritten because the tag is immutable.",
            Some(Cause::ImmutableTag),
        ),
        (
            412,
            "PRECONDITION",
            "Failed to process request due to 'a:v1' configured as immutable.",
            Some(Cause::ImmutableTag),
        ),
        (
            409,
            "TAG_IMMUTABLE",
            "tag is immutable",
            Some(Cause::ImmutableTag),
        ),
        (
            400,
            "MANIFEST_INVALID",
            "cannot update tag latest. The repository has enabled tag immutability",
            Some(Cause::ImmutableTag),
        ),
        (
            405,
            "REGISTRY_DISALLOWED_OPERATION",
            "The operation is disallowed on this registry, repository or image.",
            Some(Cause::ImmutableTag),
        ),
    ] {
        assert_eq!(
            cause(status, code, message),
            expected,
            "{status} {code} {message}"
        );
    }
}

#[test]
fn a_type_that_is_refused_is_no_missing_right() {
    for (status, code, message, detail) in [
        // Alibaba Cloud.
        (
            403,
            "DENIED",
            "unknown manifest class for application/vnd.oci.empty.v1+json",
            "",
        ),
        (
            401,
            "UNAUTHORIZED",
            "unknown manifest class for application/vnd.oci.empty.v1+json",
            "",
        ),
        // GitLab.
        (
            400,
            "MANIFEST_INVALID",
            "manifest invalid",
            "unknown media type: application/vnd.example.v1",
        ),
        // Quay.
        (
            400,
            "MANIFEST_INVALID",
            "manifest invalid",
            "failed to parse manifest: layer type application/vnd.docker.image.rootfs.diff.tar is not one of the allowed",
        ),
        (
            400,
            "MANIFEST_INVALID",
            "manifest invalid",
            "manifest schema version not supported",
        ),
        (405, "UNSUPPORTED", "Unsupported media type", ""),
    ] {
        let answer = ErrorAnswer {
            status,
            code: Some(code),
            message,
            detail,
            errno: None,
        };
        let cause = from_answer(&answer);
        assert_eq!(cause, Some(Cause::MediaTypeRefused), "{message} {detail}");
    }
}

#[test]
fn what_keeps_a_registry_from_taking_anything_is_understood() {
    for (status, code, message, expected) in [
        (
            403,
            "DENIED",
            "registry contains 1 repositories, limit is 1",
            Some(Cause::QuotaExceeded),
        ),
        (
            413,
            "",
            "Datastore disk usage is too high. Contact your Artifactory administrator to add additional storage space",
            Some(Cause::StorageFull),
        ),
        (
            403,
            "DENIED",
            "adding 29.0 MiB of storage resource, which when updated to current usage of 152.4 MiB will exceed the \
             configured upper limit of 10.0 MiB.",
            Some(Cause::QuotaExceeded),
        ),
        (
            403,
            "DENIED",
            "Quota has been exceeded on namespace",
            Some(Cause::QuotaExceeded),
        ),
        (
            403,
            "DENIED",
            "The system is in read only mode. Any modification is prohibited.",
            Some(Cause::ReadOnly),
        ),
        (
            405,
            "DENIED",
            "System is currently read-only. Pulls will succeed but all write operations are currently suspended.",
            Some(Cause::ReadOnly),
        ),
        (
            503,
            "",
            "System is currently read-only. Pulls will succeed but all write operations are currently suspended.",
            Some(Cause::ReadOnly),
        ),
        (
            500,
            "UNKNOWN",
            "write /data: no space left on device",
            Some(Cause::StorageFull),
        ),
        (507, "", "", Some(Cause::StorageFull)),
        (
            400,
            "",
            "Client sent an HTTP request to an HTTPS server.",
            Some(Cause::HttpsOnly),
        ),
        (413, "", "", Some(Cause::TooLarge)),
        (415, "MANIFEST_INVALID", "no", Some(Cause::MediaTypeRefused)),
        (
            400,
            "NAME_INVALID",
            "invalid repository name",
            Some(Cause::NameRefused),
        ),
    ] {
        assert_eq!(
            cause(status, code, message),
            expected,
            "{status} {code} {message}"
        );
    }
}

#[test]
fn a_text_in_the_wrong_place_tells_nothing() {
    for (status, code, message) in [
        // An invalid name of a tag.
        (400, "TAG_INVALID", "manifest tag did not match URI"),
        (
            403,
            "DENIED",
            "see the project quota has been exceeded page",
        ),
        (
            404,
            "MANIFEST_UNKNOWN",
            "manifest project not found: project x",
        ),
        (500, "UNKNOWN", "no space left on device driver"),
        (503, "NAME_UNKNOWN", "upstream is down"),
        (401, "NAME_UNKNOWN", "log in"),
        (
            404,
            "MANIFEST_UNKNOWN",
            "manifest unknown to us, of application/vnd.oci.image.index.v1+json",
        ),
        (403, "DENIED", "requested access to the resource is denied"),
        // Not the type, but what it is said to be.
        (
            400,
            "TAG_INVALID",
            "if present, mediaType in manifest should be 'application/vnd.oci.image.index.v1+json'",
        ),
    ] {
        assert_eq!(
            cause(status, code, message),
            None,
            "{status} {code} {message}"
        );
    }
}

#[test]
fn what_stands_in_the_detail_is_read() {
    let answer = |status, detail, errno| {
        from_answer(&ErrorAnswer {
            status,
            code: Some("UNKNOWN"),
            message: "unknown error",
            detail,
            errno,
        })
    };
    let nexus = "Repository does not allow updating assets: docker-hosted";
    assert_eq!(answer(400, nexus, None), Some(Cause::ImmutableTag));
    assert_eq!(answer(500, "", Some(28)), Some(Cause::StorageFull));
    assert_eq!(answer(500, "", Some(30)), Some(Cause::ReadOnly));
    assert_eq!(answer(500, "", Some(2)), None);
}

#[test]
fn writing_is_another_right_than_reading() {
    let cause = |method, kind, status, code: Option<&str>| {
        let error = Error::new(kind, "push", "r.example", "no")
            .with_status(StatusCode::from_u16(status).unwrap());
        let error = match code {
            Some(code) => error.with_code(code),
            None => error,
        };
        from_request(&method, &error)
    };
    let denied = |method| cause(method, ErrorKind::Denied, 403, None);
    assert_eq!(denied(Method::HEAD), Cause::NoPullRight);
    assert_eq!(denied(Method::PUT), Cause::NoPushRight);
    let rejected = |method, status, code| cause(method, ErrorKind::Rejected, status, code);
    assert_eq!(rejected(Method::POST, 405, None), Cause::ReadOnly);
    // Quay, where pushes are disabled.
    let disabled = rejected(Method::POST, 405, Some("METHOD NOT ALLOWED"));
    assert_eq!(disabled, Cause::ReadOnly);
    assert_eq!(rejected(Method::POST, 400, None), Cause::Rejected);
    assert_eq!(rejected(Method::GET, 405, None), Cause::Rejected);
    assert_eq!(
        rejected(Method::PUT, 405, Some("UNSUPPORTED")),
        Cause::Rejected
    );
}

#[test]
fn names_of_causes_are_stable() {
    assert_eq!(Cause::ALL.first().unwrap().name(), "login-refused");
    assert_eq!(
        Cause::CertificateNotYetValid.name(),
        "certificate-not-yet-valid"
    );
    assert_eq!(Cause::Other.to_string(), "other");
    assert_eq!(
        Cause::ALL.last(),
        Some(&Cause::Other),
        "a cause after the last"
    );
    let names = Cause::ALL.iter().map(|cause| cause.name());
    let names: std::collections::HashSet<&str> = names.collect();
    assert_eq!(names.len(), Cause::ALL.len());
    let is_kebab = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    };
    assert!(names.into_iter().all(is_kebab));
}
