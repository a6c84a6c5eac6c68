//! Mistakes in files.

use std::path::PathBuf;

/// All mistakes found; displays them one after the other, each with its snippet.
#[derive(Debug, thiserror::Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n"))]
pub struct ConfigError {
    /// At least one.
    pub problems: Vec<Problem>,
}

/// One mistake.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The file, if it is in one.
    pub file: Option<PathBuf>,
    /// Line and column, both from 1, where known.
    pub position: Option<(usize, usize)>,
    /// What is wrong and what to write instead.
    pub message: String,
    /// The place, drawn; without secrets.
    pub snippet: Option<String>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, _f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}
