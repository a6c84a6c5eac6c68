//! Rules: one source selector and its destinations (compat.md sections 3 to 5).

mod destination;
mod platform;
mod source;

use std::path::PathBuf;
use std::sync::Arc;

use registry::Repository;

pub use destination::{Destination, Naming};
pub use platform::{PlatformError, PlatformFilter};
pub use source::{Pattern, Select, Source};

/// One source and where it goes.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The source as the user wrote it: the rule's name in messages and reports.
    pub name: Arc<str>,
    /// Where it was written.
    pub location: Option<Location>,
    /// What to copy.
    pub source: Source,
    /// Where to; never empty.
    pub destinations: Vec<Destination>,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
}

/// Why a text is not a rule. Reads as a sentence that says what to write instead.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct RuleError(pub String);

impl Rule {
    /// A rule from the two texts of the classic files; `defaults` is the repository that an empty destination
    /// stands for, already worked out, or why there is none.
    pub fn parse(
        _source: &str,
        _destinations: &[&str],
        _default_destination: &dyn Fn(&Repository) -> Result<Repository, RuleError>,
    ) -> Result<Self, RuleError> {
        todo!()
    }
}
