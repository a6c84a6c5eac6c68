//! Paths of layouts and archives.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Path of standard input or standard output.
const STANDARD_STREAM: &str = "-";

/// Path of a directory or a file. It is shown as the user wrote it; two spellings of one absolute path are equal.
#[derive(Clone, Debug)]
pub struct FilePath(Arc<Spellings>);

/// In one allocation, so that endpoints of registries stay small.
#[derive(Debug)]
struct Spellings {
    written: PathBuf,
    absolute: PathBuf,
}

impl FilePath {
    /// Creates a path, which is relative to the working directory if it is not absolute. `-` is a standard stream.
    pub fn new(written: &Path) -> Self {
        let absolute = match written.to_str() {
            Some(STANDARD_STREAM) => written.to_owned(),
            _ => std::path::absolute(written).unwrap_or_else(|_| written.to_owned()),
        };
        Self(Arc::new(Spellings {
            absolute,
            written: written.to_owned(),
        }))
    }
    /// Returns true for `-`: standard input as a source, standard output as a destination.
    pub fn is_standard_stream(&self) -> bool {
        self.0.written.to_str() == Some(STANDARD_STREAM)
    }
    /// Returns the path as the user wrote it.
    pub fn as_written(&self) -> &Path {
        &self.0.written
    }
    /// Returns the absolute path, with links and `..` as they are.
    pub fn absolute(&self) -> &Path {
        &self.0.absolute
    }
}

impl PartialEq for FilePath {
    fn eq(&self, other: &Self) -> bool {
        self.0.absolute == other.0.absolute
    }
}

impl Eq for FilePath {}

impl Hash for FilePath {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.absolute.hash(state);
    }
}

impl PartialOrd for FilePath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for FilePath {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.absolute.cmp(&other.0.absolute)
    }
}
