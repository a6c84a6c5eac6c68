//! The one error of this crate.

mod answer;
#[cfg(test)]
mod answer_tests;
mod cause;
mod kind;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::StatusCode;

use crate::digest::Digest;
use crate::reference::{Repository, Resource};

pub(crate) use answer::{ErrorAnswer, from_answer, from_request};
pub use cause::Cause;
pub use kind::{ErrorKind, UnknownName};

/// Retries of a refusal that may be about the repository.
const DOUBTFUL_RETRIES: u32 = 2;

/// The error of all requests: what failed, at which host, during which action, after how many tries. Displays as one
/// sentence that a person can act on, without its source chain. No field contains a secret, so `Debug` is safe too. It
/// can be cloned because one failed request can fail many tasks.
#[derive(Debug, Clone)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: ErrorKind,
    /// Cause, if it is more specific than the kind.
    cause: Option<Cause>,
    action: String,
    host: String,
    repository: Option<Repository>,
    message: String,
    status: Option<StatusCode>,
    code: Option<String>,
    missing: Vec<Digest>,
    retry_after: Option<Duration>,
    until: Option<SystemTime>,
    tries: u32,
    given_up: bool,
    /// A refusal that may be transient: the host accepted the same login before.
    passing: bool,
    conflict: bool,
    /// The answer shows no sign of a registry.
    lacks_registry_signs: bool,
    /// The answer has no body, which might name another reason than the login.
    lacks_reason: bool,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// Prospect of the same request on another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retryable {
    /// It fails again.
    No,
    /// It may succeed after the usual backoff.
    Yes,
    /// It may succeed after this delay.
    After(Duration),
}

impl Error {
    /// Creates an error of `kind` during `action` (an infinitive clause: `fetch manifest library/nginx:v1`) at `host`.
    /// `message` says what happened (`the registry answered 404 Not Found`).
    pub fn new(
        kind: ErrorKind,
        action: impl Into<String>,
        host: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self(Box::new(Inner {
            kind,
            cause: None,
            action: action.into(),
            host: host.into(),
            repository: None,
            message: message.into(),
            status: None,
            code: None,
            missing: Vec::new(),
            retry_after: None,
            until: None,
            tries: 1,
            given_up: false,
            passing: false,
            conflict: false,
            lacks_registry_signs: false,
            lacks_reason: false,
            source: None,
        }))
    }
    /// Changes the kind if the place of the error says more than the answer, and removes the cause.
    #[must_use]
    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self.0.cause = None;
        self
    }
    /// Sets the cause.
    #[must_use]
    pub fn with_cause(mut self, cause: Cause) -> Self {
        self.0.cause = Some(cause);
        self
    }
    /// Sets the repository, unless one is set.
    #[must_use]
    pub fn with_repository(mut self, repository: &Repository) -> Self {
        self.0.repository.get_or_insert_with(|| repository.clone());
        self
    }
    /// Sets the repository of `resource`, if it is one, unless one is set.
    #[must_use]
    pub(crate) fn with_resource(self, resource: &Resource) -> Self {
        match resource.repository() {
            Some(repository) => self.with_repository(repository),
            None => self,
        }
    }
    /// Sets the time at which the host accepts requests again.
    #[must_use]
    pub fn with_until(mut self, until: SystemTime) -> Self {
        self.0.until = Some(until);
        self
    }
    /// Sets the action, of which the failed one was a part.
    #[must_use]
    pub(crate) fn with_action(mut self, action: impl Into<String>) -> Self {
        self.0.action = action.into();
        self
    }
    /// Returns the error for another request that was not sent because this one failed.
    #[must_use]
    pub(crate) fn shared_with(mut self, action: &str) -> Self {
        action.clone_into(&mut self.0.action);
        self.0.repository = None;
        self
    }
    /// Sets the status of the last answer.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = Some(status);
        self
    }
    /// Sets the registry's error code (`MANIFEST_UNKNOWN`).
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }
    /// Sets the digests that the registry reports as missing.
    #[must_use]
    pub fn with_missing(mut self, missing: Vec<Digest>) -> Self {
        self.0.missing = missing;
        self
    }
    /// Sets the delay that the host demands.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }
    /// Sets the number of tries so far, this one included.
    #[must_use]
    pub fn with_tries(mut self, tries: u32) -> Self {
        self.0.tries = tries;
        self
    }
    /// Marks the error as the end of all tries, so that an enclosing operation does not retry either.
    #[must_use]
    pub(crate) fn given_up(mut self) -> Self {
        self.0.given_up = true;
        self
    }
    /// Marks the error as a possible conflict with another client that writes the same content at this moment: it is
    /// transient for a few tries, for every kind.
    #[must_use]
    pub(crate) fn with_conflict(mut self) -> Self {
        self.0.conflict = true;
        self
    }
    /// Marks the error as a refusal that may be transient, because the host accepted the same login before.
    #[must_use]
    pub(crate) fn passing(mut self) -> Self {
        self.0.passing = true;
        self
    }
    /// Returns whether a refusal at try number `tries` is worth another one: one less than
    /// `retries` if the repository `is_known` to accept the login, and twice otherwise, because a right may be missing
    /// there.
    pub(crate) fn may_pass(&self, tries: u32, retries: u32, is_known: bool) -> bool {
        let is_named = self.code() == Some("DENIED") || self.cause() == Cause::ProjectMissing;
        // The last try may renew the token as well, which is a request more.
        let most = if is_known {
            retries.saturating_sub(1)
        } else {
            retries.min(DOUBTFUL_RETRIES)
        };
        !is_named && tries <= most
    }
    /// Appends a clause to the message.
    #[must_use]
    pub fn with_clause(mut self, clause: &str) -> Self {
        self.0.message.push_str("; ");
        self.0.message.push_str(clause);
        self
    }
    /// With another message, where the host itself is not what it was taken for.
    #[must_use]
    pub(crate) fn with_message(mut self, message: impl Into<String>) -> Self {
        self.0.message = message.into();
        self
    }
    /// Marks the error as an answer without any sign of a registry.
    #[must_use]
    pub(crate) fn without_registry_signs(mut self) -> Self {
        self.0.lacks_registry_signs = true;
        self
    }
    /// Marks the error as an answer without a body, which might name another reason.
    #[must_use]
    pub(crate) fn without_reason(mut self) -> Self {
        self.0.lacks_reason = true;
        self
    }
    /// Removes secrets that a server repeated, with `redact`.
    #[must_use]
    pub(crate) fn redacted(mut self, redact: impl Fn(&str) -> Cow<'_, str>) -> Self {
        if let Cow::Owned(message) = redact(&self.0.message) {
            self.0.message = message;
        }
        self
    }
    /// Sets the source. Its text must contain no secret.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }
    /// Returns the kind.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
    /// Returns the cause for a person. No program decision depends on it.
    pub fn cause(&self) -> Cause {
        self.0.cause.unwrap_or_else(|| self.0.kind.into())
    }
    /// Returns the repository, at the registry as the user wrote it, even after a redirect.
    pub fn repository(&self) -> Option<&Repository> {
        self.0.repository.as_ref()
    }
    /// Returns the time at which the host accepts requests again, for people. Programs use [`Error::retryable`].
    pub fn until(&self) -> Option<SystemTime> {
        self.0.until
    }
    /// Returns the action.
    pub fn action(&self) -> &str {
        &self.0.action
    }
    /// Returns the host that failed: as the user wrote it, or the host of a redirect or realm.
    pub fn host(&self) -> &str {
        &self.0.host
    }
    /// Returns the message without action, host and tries.
    pub fn message(&self) -> &str {
        &self.0.message
    }
    /// Returns the status of the last answer, if there was one.
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }
    /// Returns the registry's error code, if it sent one.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }
    /// Returns the missing digests of an [`ErrorKind::MissingContent`]. Some registries do not name them.
    pub fn missing(&self) -> &[Digest] {
        &self.0.missing
    }
    /// Returns the number of tries.
    pub fn tries(&self) -> u32 {
        self.0.tries
    }
    /// Returns whether the answer may come from a server that is no registry.
    pub(crate) fn lacks_registry_signs(&self) -> bool {
        self.0.lacks_registry_signs
    }
    /// Returns whether a body might name another reason.
    pub(crate) fn lacks_reason(&self) -> bool {
        self.0.lacks_reason
    }
    /// Returns whether a conflict with another client may be the reason.
    pub(crate) fn is_conflict(&self) -> bool {
        self.0.conflict
    }
    /// Returns whether all tries were used up.
    pub(crate) fn is_given_up(&self) -> bool {
        self.0.given_up
    }
    /// Returns whether another try may succeed (docs/protocol.md#retries). For a lost upload that means a new session.
    /// An error after the last try is final for the request and for the operation that it was part of.
    pub fn retryable(&self) -> Retryable {
        if self.0.given_up {
            return Retryable::No;
        }
        if let Some(delay) = self.0.retry_after
            && matches!(self.0.kind, ErrorKind::RateLimited | ErrorKind::Server)
        {
            return Retryable::After(delay);
        }
        match self.0.kind {
            _ if self.0.conflict || self.0.passing => Retryable::Yes,
            ErrorKind::RateLimited
            | ErrorKind::Connect
            | ErrorKind::Stalled
            | ErrorKind::Broken
            | ErrorKind::Server
            | ErrorKind::UploadLost => Retryable::Yes,
            _ => Retryable::No,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        write!(
            f,
            "cannot {} at {}: {}",
            inner.action, inner.host, inner.message
        )?;
        if inner.tries > 1 {
            write!(f, ", after {} tries", inner.tries)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
