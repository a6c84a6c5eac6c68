//! Errors of shared work.

/// Error of the server that holds shared work. Displays as a sentence that names the server, and what to do.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ShareError {
    message: String,
    #[cfg_attr(not(all(feature = "service", feature = "share")), allow(dead_code))]
    is_away: bool,
}

impl ShareError {
    /// Creates an error with this sentence, which has no secret.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            is_away: false,
        }
    }

    /// Creates an error of a server that could not be reached for too long.
    #[cfg(feature = "share")]
    pub(crate) fn away(message: impl Into<String>) -> Self {
        Self {
            is_away: true,
            ..Self::new(message)
        }
    }

    /// Returns true if the server could not be reached, so that the same may succeed later.
    #[cfg(all(feature = "service", feature = "share"))]
    pub(crate) fn is_away(&self) -> bool {
        self.is_away
    }
}
