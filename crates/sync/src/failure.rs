//! Failures of images and rules, in a form that can be shared, counted and printed.

use std::time::SystemTime;

use image_syncer_registry::{Cause, ErrorKind, Repository};
use serde::{Deserialize, Serialize};

/// End of the copy at which a failure occurred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The source registry or its content.
    Source,
    /// The destination registry.
    Destination,
    /// This program or its environment.
    Local,
}

/// Party that can resolve a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Responsibility {
    /// The operators of the source registry, or those who push to it.
    Source,
    /// The operators of the destination registry.
    Destination,
    /// The administrators of logins and rights: 401, 403, a credential file or helper that failed.
    Credentials,
    /// Nobody; it passes with time: 429.
    RateLimit,
    /// The authors of the rules.
    Rules,
    /// This program or this machine.
    Internal,
    /// Nobody: the run was interrupted.
    Interrupted,
}

/// Request that failed at a registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedRequest {
    /// Action, as an infinitive clause: `push manifest mirror/nginx:v1`.
    pub action: String,
    /// Repository of the request, if it has one, at the registry as the user wrote it. The host that failed may be
    /// another one, such as a token server or storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<Repository>,
    /// Time at which the host accepts requests again, if it says so.
    #[serde(
        rename = "until_unix_ns",
        with = "crate::serde_time::unix_nanoseconds",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub until: Option<SystemTime>,
}

/// Failure of an image or a whole rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// End of the copy at which it occurred.
    pub side: Side,
    /// Kind of the error, if a registry was involved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<ErrorKind>,
    /// Cause, which decides on the hint.
    pub cause: Cause,
    /// Host that failed; empty if none was involved.
    pub host: String,
    /// Request that failed, if a registry was involved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Box<FailedRequest>>,
    /// One sentence with the action, the error and the number of tries.
    pub reason: String,
    /// Number of tries.
    pub tries: u32,
    /// Status of the last response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The registry's error code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// True if the run was interrupted before the image was finished.
    pub interrupted: bool,
}

impl Failure {
    /// Creates a failure from a registry's error at one of the two ends.
    pub fn registry(side: Side, error: &image_syncer_registry::Error) -> Self {
        let cause = match error.cause() {
            // A refused read at a destination means a missing push right: GHCR refuses the first lookup.
            Cause::NoPullRight if side == Side::Destination => Cause::NoPushRight,
            cause => cause,
        };
        Self {
            side,
            kind: Some(error.kind()),
            cause,
            host: error.host().to_owned(),
            request: Some(Box::new(FailedRequest {
                action: error.action().to_owned(),
                repository: error.repository().cloned(),
                until: error.until(),
            })),
            reason: error.to_string(),
            tries: error.tries(),
            status: error.status().map(|status| status.as_u16()),
            code: error.code().map(str::to_owned),
            interrupted: error.kind() == ErrorKind::Cancelled,
        }
    }
    /// Returns the repository of the request, if it has one.
    pub fn repository(&self) -> Option<&Repository> {
        self.request.as_ref()?.repository.as_ref()
    }
    /// Time at which the host accepts requests again, if it says so.
    pub fn until(&self) -> Option<SystemTime> {
        self.request.as_ref()?.until
    }
    /// Returns the party that can resolve it.
    pub fn class(&self) -> Responsibility {
        use ErrorKind::{Credentials, Denied, RateLimited, Unauthorized};
        match self.cause {
            _ if self.interrupted => return Responsibility::Interrupted,
            Cause::TagConflict | Cause::TagExists => return Responsibility::Rules,
            _ => {}
        }
        match (self.kind, self.side) {
            (Some(Unauthorized | Denied | Credentials), _) if !self.is_about_content_or_place() => {
                Responsibility::Credentials
            }
            (Some(RateLimited), _) => Responsibility::RateLimit,
            (_, Side::Source) => Responsibility::Source,
            (_, Side::Destination) => Responsibility::Destination,
            (_, Side::Local) => Responsibility::Internal,
        }
    }
    /// Returns whether the cause of a 401 or 403 is something else than a login or a right.
    fn is_about_content_or_place(&self) -> bool {
        matches!(
            self.cause,
            Cause::ProjectMissing
                | Cause::QuotaExceeded
                | Cause::ReadOnly
                | Cause::Policy
                | Cause::MediaTypeRefused
                | Cause::AttestationsRefused
                | Cause::ReferrerRefused
        )
    }
    /// Creates a failure of this program without a registry.
    pub fn local(reason: impl Into<String>) -> Self {
        Self {
            side: Side::Local,
            kind: None,
            cause: Cause::Other,
            host: String::new(),
            request: None,
            reason: reason.into(),
            tries: 1,
            status: None,
            code: None,
            interrupted: false,
        }
    }
    /// Creates a failure of an image whose tag an earlier rule writes.
    pub(crate) fn tag_conflict(reason: String) -> Self {
        Self {
            cause: Cause::TagConflict,
            ..Self::local(reason)
        }
    }
    /// Creates a failure of an image whose tag exists at the destination with another digest, and is kept.
    pub(crate) fn tag_exists(reason: String) -> Self {
        Self {
            cause: Cause::TagExists,
            ..Self::local(reason)
        }
    }
    /// Returns true if the registry hides the repository from a login that it accepts. A missing or wrong login has
    /// another cause.
    pub(crate) fn hides_repository(&self) -> bool {
        let refused = matches!(self.kind, Some(ErrorKind::Unauthorized | ErrorKind::Denied));
        refused && self.cause == Cause::NoPushRight
    }
    /// Returns the failure of a comparison that this failure prevents.
    #[must_use]
    pub(crate) fn not_compared(self) -> Self {
        let reason = format!("not compared: {}", self.reason);
        Self { reason, ..self }
    }
    /// Creates a failure from the payload of a panic.
    pub fn panicked(payload: &(dyn std::any::Any + Send)) -> Self {
        let text = match (
            payload.downcast_ref::<&str>(),
            payload.downcast_ref::<String>(),
        ) {
            (Some(text), _) => text,
            (None, Some(text)) => text.as_str(),
            (None, None) => "it left no message",
        };
        Self::internal(text)
    }
    /// Creates a failure for a defect of this program; `what` describes it.
    pub fn internal(what: &str) -> Self {
        let reason =
            format!("internal error: {what}; this is a defect of image-syncer, please report it");
        Self {
            cause: Cause::Defect,
            ..Self::local(reason)
        }
    }
    /// Creates a failure of an interrupted image.
    pub fn interrupted() -> Self {
        Self {
            interrupted: true,
            cause: Cause::Interrupted,
            ..Self::local("interrupted before it was finished")
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.reason)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_class_says_who_has_to_do_something() {
        use ErrorKind::{Cancelled, Corrupt, Credentials, Denied, Server, Unauthorized};
        let at = |side, kind| {
            let error = image_syncer_registry::Error::new(kind, "push", "r.example", "no");
            Failure::registry(side, &error).class()
        };
        for side in [Side::Source, Side::Destination] {
            assert_eq!(at(side, Unauthorized), Responsibility::Credentials);
            assert_eq!(at(side, Denied), Responsibility::Credentials);
            assert_eq!(at(side, Credentials), Responsibility::Credentials);
            assert_eq!(at(side, ErrorKind::RateLimited), Responsibility::RateLimit);
            assert_eq!(at(side, Cancelled), Responsibility::Interrupted);
        }
        let quota = image_syncer_registry::Error::new(Denied, "push", "r.example", "no")
            .with_cause(Cause::QuotaExceeded);
        let quota = Failure::registry(Side::Destination, &quota);
        assert_eq!(quota.class(), Responsibility::Destination);
        assert_eq!(at(Side::Source, Corrupt), Responsibility::Source);
        assert_eq!(at(Side::Destination, Server), Responsibility::Destination);
        assert_eq!(
            Failure::internal("it broke").class(),
            Responsibility::Internal
        );
        let conflict = Failure::tag_conflict("two rules".to_owned());
        assert_eq!(conflict.class(), Responsibility::Rules);
        let exists = Failure::tag_exists("another digest".to_owned());
        assert_eq!(exists.class(), Responsibility::Rules);
        assert_eq!(Failure::interrupted().class(), Responsibility::Interrupted);
    }

    #[test]
    fn a_failure_knows_what_its_error_knew() {
        let until = SystemTime::UNIX_EPOCH;
        let error = image_syncer_registry::Error::new(
            ErrorKind::Denied,
            "push manifest a/b:v1",
            "r.example",
            "no",
        )
        .with_repository(&Repository::parse("r.example/a/b").unwrap())
        .with_until(until);
        let failure = Failure::registry(Side::Source, &error);
        assert_eq!(failure.cause, Cause::NoPullRight);
        assert_eq!(failure.repository().unwrap().path(), "a/b");
        assert_eq!(failure.until(), Some(until));
        assert_eq!(failure.request.unwrap().action, "push manifest a/b:v1");
        // A refused read at a destination means a missing push right.
        let failure = Failure::registry(Side::Destination, &error);
        assert_eq!(failure.cause, Cause::NoPushRight);
        assert_eq!(Failure::local("x").cause, Cause::Other);
        assert_eq!(Failure::internal("x").cause, Cause::Defect);
        assert_eq!(Failure::interrupted().cause, Cause::Interrupted);
    }

    #[test]
    fn a_panic_reads_as_a_sentence_whatever_it_left() {
        for payload in [
            Box::new("the table is empty") as Box<dyn std::any::Any + Send>,
            Box::new("the table is empty".to_owned()),
        ] {
            let failure = Failure::panicked(&*payload);
            assert_eq!(
                failure.reason,
                "internal error: the table is empty; this is a defect of image-syncer, please report it"
            );
            assert_eq!((failure.side, failure.interrupted), (Side::Local, false));
        }
        let failure = Failure::panicked(&7_u8);
        assert!(failure.reason.contains("it left no message"));
    }
}
