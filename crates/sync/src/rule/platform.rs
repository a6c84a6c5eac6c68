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

/// As it would be written on the command line: `--os linux --arch amd64,arm64:v8`; empty where every platform passes.
impl std::fmt::Display for PlatformFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut separator = "";
        for (flag, items) in [("--os", &self.os), ("--arch", &self.arch)] {
            if items.is_empty() {
                continue;
            }
            write!(f, "{separator}{flag} ")?;
            for (position, (name, detail)) in items.iter().enumerate() {
                write!(f, "{}{name}", if position > 0 { "," } else { "" })?;
                if let Some(detail) = detail {
                    write!(f, ":{detail}")?;
                }
            }
            separator = " ";
        }
        Ok(())
    }
}
