//! Errors of shared work.

/// Error of the server that holds shared work. Displays as a sentence that names the server, and what to do.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ShareError {
    message: String,
}

impl ShareError {
    /// Creates an error with this sentence, which has no secret.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}
