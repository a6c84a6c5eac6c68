//! Errors of stores.

use image_syncer_registry::{Digest, Error, ErrorKind};

use crate::failure::{Failure, Side};

/// Error of a call to a store, with the side of the copy on which it occurred. Displays as one sentence.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{error}")]
pub struct StoreError {
    side: Side,
    error: Error,
}

impl StoreError {
    /// Creates an error of a source.
    pub fn source(error: Error) -> Self {
        let side = Side::Source;
        Self { side, error }
    }
    /// Creates an error of a destination.
    pub fn destination(error: Error) -> Self {
        let side = Side::Destination;
        Self { side, error }
    }
    /// Returns the side of the copy.
    pub fn side(&self) -> Side {
        self.side
    }
    /// Returns the kind.
    pub fn kind(&self) -> ErrorKind {
        self.error.kind()
    }
    /// Returns the content that the store named as missing.
    pub fn missing(&self) -> &[Digest] {
        self.error.missing()
    }
    /// Returns the error without its side.
    pub fn error(&self) -> &Error {
        &self.error
    }
    /// Returns the error without its side, for a stream of bytes.
    pub fn into_error(self) -> Error {
        self.error
    }
    /// Changes the error, and keeps the side.
    #[must_use]
    pub(crate) fn map(self, change: impl FnOnce(Error) -> Error) -> Self {
        Self {
            error: change(self.error),
            ..self
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::registry(error.side, &error.error)
    }
}
