//! Errors of layouts and archives.

use std::io;

use image_syncer_registry::{Cause, Digest, Error, ErrorKind, io_clause};

use crate::store::Endpoint;

/// Failed action on a layout or an archive. Displays as a clause that a person can act on: `cannot read blob sha256:… in oci:DIR: …`.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot {action} in {endpoint}: {why}")]
pub(crate) struct LayoutError {
    kind: ErrorKind,
    /// Cause, which decides on the hint: most hints are about registries.
    cause: Cause,
    action: String,
    endpoint: Endpoint,
    why: String,
    missing: Vec<Digest>,
}

impl LayoutError {
    /// Creates an error of `action` (an infinitive clause) on `endpoint`, a layout or an archive.
    pub(crate) fn new(
        kind: ErrorKind,
        action: impl Into<String>,
        endpoint: &Endpoint,
        why: impl Into<String>,
    ) -> Self {
        let cause = match kind {
            ErrorKind::NotFound | ErrorKind::Corrupt | ErrorKind::MissingContent => kind.into(),
            _ => Cause::Other,
        };
        Self {
            kind,
            cause,
            action: action.into(),
            endpoint: endpoint.clone(),
            why: why.into(),
            missing: Vec::new(),
        }
    }
    /// Creates the error of a failed system call.
    pub(crate) fn io(action: impl Into<String>, endpoint: &Endpoint, error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::InvalidData => ErrorKind::Corrupt,
            _ => ErrorKind::Rejected,
        };
        let error_of_layout = Self::new(kind, action, endpoint, io_clause(error));
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self {
                cause: Cause::StorageFull,
                ..error_of_layout
            },
            _ => error_of_layout,
        }
    }
    /// Adds a sentence that says what the user can do.
    #[must_use]
    pub(crate) fn with_advice(self, advice: &str) -> Self {
        Self {
            why: format!("{}. {advice}", self.why),
            ..self
        }
    }
    /// States that a part of an image is missing, if something is.
    #[must_use]
    pub(crate) fn of_part(self) -> Self {
        match self.kind {
            ErrorKind::NotFound => Self {
                cause: Cause::ContentMissing,
                ..self
            },
            _ => self,
        }
    }
    /// Creates the error of an action whose thread ended without a result.
    pub(crate) fn lost(action: &str, endpoint: &Endpoint) -> Self {
        let why = "the thread that did it ended early";
        Self::new(ErrorKind::Broken, action, endpoint, why)
    }
    /// Creates the error of a manifest whose blobs are not all there.
    pub(crate) fn incomplete(
        action: impl Into<String>,
        endpoint: &Endpoint,
        missing: Vec<Digest>,
    ) -> Self {
        let named: Vec<&str> = missing.iter().take(3).map(Digest::as_str).collect();
        let more = match missing.len().saturating_sub(named.len()) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let why = format!("it lacks {}{more}", named.join(", "));
        Self {
            missing,
            ..Self::new(ErrorKind::MissingContent, action, endpoint, why)
        }
    }
    /// Returns the kind.
    pub(crate) fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl From<LayoutError> for Error {
    fn from(error: LayoutError) -> Self {
        let host = error.endpoint.to_string();
        Self::new(error.kind, error.action, host, error.why)
            .with_cause(error.cause)
            .with_missing(error.missing)
    }
}

/// Files with the endpoint that they belong to, for errors.
pub(in crate::store) trait Located: Send + Sync + 'static {
    /// Returns the endpoint, as the user named it.
    fn endpoint(&self) -> &Endpoint;
    /// Creates the error of a failed system call during `action`.
    fn error(&self, action: impl Into<String>, error: &io::Error) -> LayoutError {
        LayoutError::io(action, self.endpoint(), error)
    }
}
