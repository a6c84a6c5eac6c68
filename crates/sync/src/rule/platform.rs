//! Platform filters (compat.md section 5).

use registry::Platform;

/// Which platforms to copy: `--os` and `--arch`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlatformFilter {
    #[allow(dead_code)]
    os: Vec<(String, Option<String>)>,
    #[allow(dead_code)]
    arch: Vec<(String, Option<String>)>,
}

/// Why a text is not a platform item.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct PlatformError(pub String);

impl PlatformFilter {
    /// Reads the items of `--os` (`os[:os.version]`) and `--arch` (`arch[:variant]`), each possibly a comma list.
    pub fn parse(_os: &[String], _arch: &[String]) -> Result<Self, PlatformError> {
        todo!()
    }
    /// Whether every platform passes.
    pub fn is_empty(&self) -> bool {
        self.os.is_empty() && self.arch.is_empty()
    }
    /// Whether an image of `platform` is copied: lists are AND-ed, items OR-ed, exact and case-sensitive; what a
    /// platform does not say passes.
    pub fn accepts(&self, _platform: &Platform) -> bool {
        todo!()
    }
}
