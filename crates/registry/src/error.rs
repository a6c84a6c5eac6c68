//! The one error of this crate.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::StatusCode;

use crate::cause::Cause;
use crate::digest::Digest;
use crate::reference::Repository;
use crate::transport::RetryPolicy;
use crate::transport::SecretRedactor;

/// Retries of a refusal that may be about the repository.
const DOUBTFUL_RETRIES: u32 = 2;

/// What went wrong, at which host, while doing what, after how many tries. Displays as one sentence that a person
/// can act on, without its source chain; holds no secret in any field, so `Debug` is safe too. Clones, since what
/// is asked for once on behalf of many tasks fails for all of them.
#[derive(Debug, Clone)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: ErrorKind,
    /// What it is, where that is more than the kind says.
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
    /// A refusal that may pass: the host accepted the same login before.
    passing: bool,
    conflict: bool,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// The kinds of failure that callers tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// 404, or what a registry says instead of it.
    NotFound,
    /// 401 after everything was tried, or a token server that refuses the credential.
    Unauthorized,
    /// 403.
    Denied,
    /// 429.
    RateLimited,
    /// The name does not resolve, nothing listens, the proxy refuses.
    Connect,
    /// The certificate is not trusted, or the port does not speak TLS.
    Tls,
    /// No byte for the stall time, or no answer within the limit for answers.
    Stalled,
    /// The connection broke before the exchange was over.
    Broken,
    /// 5xx and the statuses of proxies that mean "later".
    Server,
    /// The manifest names blobs or children that the repository lacks; see [`Error::missing`].
    MissingContent,
    /// The registry refuses what was sent and would refuse it again (400, 405, 409, 412, 413, 415, 422).
    Rejected,
    /// The upload session is gone or out of step; a new one may do.
    UploadLost,
    /// The bytes are not those that their digest or size promised.
    Corrupt,
    /// The answer makes no sense: not a registry, a document of no known shape, a limit passed.
    Protocol,
    /// Something unsafe was asked of us and refused: a redirect, a realm, a downgrade.
    Refused,
    /// A credential file or helper failed.
    Credentials,
    /// The work was cancelled.
    Cancelled,
}

/// Whether the same request may succeed when it is made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retryable {
    /// It would fail again.
    No,
    /// After the usual backoff.
    Yes,
    /// Not before this long.
    After(Duration),
}

impl Error {
    /// An error of `kind` while doing `action` (an infinitive clause: `fetch manifest library/nginx:v1`) at `host`;
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
            source: None,
        }))
    }
    /// As another kind, where the place that it happened at tells more than the answer. What it was taken for before
    /// is forgotten.
    #[must_use]
    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self.0.cause = None;
        self
    }
    /// As what it is, where that is more than the kind says.
    #[must_use]
    pub fn with_cause(mut self, cause: Cause) -> Self {
        self.0.cause = Some(cause);
        self
    }
    /// About this repository, unless it is known to be about another.
    #[must_use]
    pub fn with_repository(mut self, repository: &Repository) -> Self {
        self.0.repository.get_or_insert_with(|| repository.clone());
        self
    }
    /// With the time from which on the host lets requests in again.
    #[must_use]
    pub fn with_until(mut self, until: SystemTime) -> Self {
        self.0.until = Some(until);
        self
    }
    /// While doing another `action`, of which this was a part.
    #[must_use]
    pub(crate) fn with_action(mut self, action: impl Into<String>) -> Self {
        self.0.action = action.into();
        self
    }
    /// The same error for a request that was not made, since this one found out on its behalf.
    #[must_use]
    pub(crate) fn shared_with(mut self, action: &str) -> Self {
        action.clone_into(&mut self.0.action);
        self.0.repository = None;
        self
    }
    /// With the status of the last answer.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = Some(status);
        self
    }
    /// With the registry's error code (`MANIFEST_UNKNOWN`).
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }
    /// With the digests that the registry says are missing.
    #[must_use]
    pub fn with_missing(mut self, missing: Vec<Digest>) -> Self {
        self.0.missing = missing;
        self
    }
    /// With the time that the host asks to be left alone.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }
    /// With the number of tries made so far, this one included.
    #[must_use]
    pub fn with_tries(mut self, tries: u32) -> Self {
        self.0.tries = tries;
        self
    }
    /// As the end of all tries: whatever this was one step of does not try again in its turn.
    #[must_use]
    pub(crate) fn given_up(mut self) -> Self {
        self.0.given_up = true;
        self
    }
    /// Marks the error as a possible conflict with another client that writes the same content at this moment: it is
    /// transient for a few tries, whatever its kind.
    #[must_use]
    pub(crate) fn with_conflict(mut self) -> Self {
        self.0.conflict = true;
        self
    }
    /// As a refusal that may pass, since the host accepted the same login before.
    #[must_use]
    pub(crate) fn passing(mut self) -> Self {
        self.0.passing = true;
        self
    }
    /// Tells if a refusal at the try with number `tries` is worth another: as often as `retry` says where the same
    /// repository `is_known` to let the login in, and else twice, since a right may be missing there.
    pub(crate) fn may_pass(&self, tries: u32, retry: RetryPolicy, is_known: bool) -> bool {
        let is_named = self.code() == Some("DENIED") || self.cause() == Cause::ProjectMissing;
        // The last try may renew the token as well, which is a request more.
        let most = if is_known {
            retry.retries.saturating_sub(1)
        } else {
            retry.retries.min(DOUBTFUL_RETRIES)
        };
        !is_named && tries <= most
    }
    /// With a further clause behind what happened.
    #[must_use]
    pub fn with_clause(mut self, clause: &str) -> Self {
        self.0.message.push_str("; ");
        self.0.message.push_str(clause);
        self
    }
    /// Without the secrets that a server repeated.
    #[must_use]
    pub(crate) fn redacted(mut self, redactor: &SecretRedactor) -> Self {
        if let Cow::Owned(message) = redactor.redact(&self.0.message) {
            self.0.message = message;
        }
        self
    }
    /// With the cause. Its text must hold no secret.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }
    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
    /// What it is, in terms of what a person has to do about it. Decides nothing.
    pub fn cause(&self) -> Cause {
        self.0.cause.unwrap_or_else(|| self.0.kind.into())
    }
    /// The repository that it is about, where it is about one: at the registry as the user wrote it, wherever that led.
    pub fn repository(&self) -> Option<&Repository> {
        self.0.repository.as_ref()
    }
    /// When the host lets requests in again, where it says so: for people; [`Error::retryable`] is for programs.
    pub fn until(&self) -> Option<SystemTime> {
        self.0.until
    }
    /// What was being done.
    pub fn action(&self) -> &str {
        &self.0.action
    }
    /// The host that failed, as the user wrote it, or the host that a redirect or a realm led to.
    pub fn host(&self) -> &str {
        &self.0.host
    }
    /// What happened, without action, host and tries.
    pub fn message(&self) -> &str {
        &self.0.message
    }
    /// The status of the last answer, if there was one.
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }
    /// The registry's error code, if it gave one.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }
    /// For [`ErrorKind::MissingContent`]: what the registry says is missing; may be empty, as not all say.
    pub fn missing(&self) -> &[Digest] {
        &self.0.missing
    }
    /// How many times it was tried.
    pub fn tries(&self) -> u32 {
        self.0.tries
    }
    /// Returns whether a conflict with another client may be the reason.
    pub(crate) fn is_conflict(&self) -> bool {
        self.0.conflict
    }
    /// True if all tries were used up.
    pub(crate) fn is_given_up(&self) -> bool {
        self.0.given_up
    }
    /// Tells if trying again may help (docs/protocol.md#retries); for a lost upload that is trying with a new session.
    /// What was tried as often as it may be is not worth another try, of this or of what it was a step of.
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
