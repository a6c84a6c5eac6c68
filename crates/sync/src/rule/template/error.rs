//! Errors of templates.

use crate::rule::RuleError;

/// Error of a text that is not a template, with its place in the text.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{message}")]
pub struct TemplateError {
    /// Number of bytes before the error.
    pub offset: usize,
    /// The reason, and what to write.
    pub message: String,
}

impl TemplateError {
    pub(super) fn new(offset: usize, message: impl Into<String>) -> Self {
        Self {
            offset,
            message: message.into(),
        }
    }

    /// Moves the error by the length of a text in front.
    pub(super) fn after(self, offset: usize) -> Self {
        Self {
            offset: self.offset + offset,
            ..self
        }
    }
}

impl From<TemplateError> for RuleError {
    fn from(error: TemplateError) -> Self {
        Self(error.message)
    }
}
