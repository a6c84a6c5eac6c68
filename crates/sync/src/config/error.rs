//! Mistakes in files.

use std::path::PathBuf;

/// All mistakes of the files. Displays each with its snippet.
#[derive(Debug, thiserror::Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n"))]
pub struct ConfigError {
    /// At least one.
    pub problems: Vec<Problem>,
}

/// A mistake or a warning.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The file, if the problem is in one.
    pub file: Option<PathBuf>,
    /// Line and column, both from 1, if known.
    pub position: Option<(usize, usize)>,
    /// The reason, and what to write instead.
    pub message: String,
    /// The line with marks below the position, without secrets.
    pub snippet: Option<String>,
}

impl Problem {
    /// Returns a mistake outside of files.
    pub(super) fn outside(message: impl Into<String>) -> Self {
        Self {
            file: None,
            position: None,
            message: message.into(),
            snippet: None,
        }
    }
}

/// `file:line:column: message`, and the snippet below it.
impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}", file.display())?;
            if let Some((line, column)) = self.position {
                write!(f, ":{line}:{column}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.message)?;
        if let Some(snippet) = &self.snippet {
            write!(f, "\n{snippet}")?;
        }
        Ok(())
    }
}
