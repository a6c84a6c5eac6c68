//! The records file of a run.

use std::ffi::OsString;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::anyhow;
use image_syncer_sync::inventory::records::{Records, RecordsError};
use image_syncer_sync::settings::Intent;

use crate::run::collisions::Named;
use crate::ui::{LineLabel, LineWriter, Log};

/// Path of the file below the user's state directory.
const DEFAULT: &str = "image-syncer/records.sqlite3";

/// Records of earlier runs that a run uses.
#[derive(Clone, Debug, Default)]
pub(crate) enum RecordsChoice {
    /// No records.
    #[default]
    Unused,
    /// No records, as the user's state directory is unknown.
    Unknown,
    /// The file in the user's state directory, which is created if it is missing.
    Default(PathBuf),
    /// The file that the user named.
    Named(PathBuf),
}

impl RecordsChoice {
    /// Returns the file in the user's state directory, if that is known.
    pub(crate) fn from_env() -> Self {
        default_path(|name| std::env::var_os(name)).map_or(Self::Unknown, Self::Default)
    }

    /// Returns the file with its flag or name, if there is one.
    pub(crate) fn named(&self) -> Option<Named<'_>> {
        match self {
            Self::Unused | Self::Unknown => None,
            Self::Default(path) => Some(("records file", path)),
            Self::Named(path) => Some(("--records", path)),
        }
    }

    /// Opens the records. A warning says why a requested file cannot be used. A run that does not copy opens existing
    /// records only.
    pub(crate) fn open(
        &self,
        intent: Intent,
        lines: &LineWriter,
        log: &Log,
    ) -> Option<Arc<Records>> {
        let (path, is_default) = match self {
            Self::Unused => return None,
            Self::Unknown => {
                tracing::info!("no records: neither HOME nor XDG_STATE_HOME is set");
                return None;
            }
            Self::Default(path) => (path, true),
            Self::Named(path) => (path, false),
        };
        match open_file(path, is_default, intent, error_reporter(lines, log)) {
            Ok(records) => records.map(Arc::new),
            Err(error) => {
                let text = format!("{error}; this run uses no records");
                lines.print(LineLabel::Warning, &text);
                None
            }
        }
    }
}

fn open_file(
    path: &Path,
    is_default: bool,
    intent: Intent,
    tell: impl Fn(&RecordsError) + Send + Sync + 'static,
) -> anyhow::Result<Option<Records>> {
    if intent != Intent::Copy {
        // A copy would create the file.
        let empty = || Records::empty().map(Some);
        return Ok(Records::open_to_read(path, tell)?.map_or_else(empty, |it| Ok(Some(it)))?);
    }
    if is_default {
        make_directory_of(path)?;
    }
    Ok(Some(Records::open(path, tell)?))
}

/// Tells of trouble that comes while a run goes on, from whichever thread.
fn error_reporter(lines: &LineWriter, log: &Log) -> impl Fn(&RecordsError) + Send + Sync + 'static {
    let (lines, log) = (lines.clone(), log.clone());
    move |error| {
        let _entered = log.attach();
        let text = format!("{error}; this run goes on without it");
        lines.print(LineLabel::Warning, &text);
    }
}

/// Returns the file in the user's state directory (XDG Base Directory Specification). A relative `XDG_STATE_HOME` is
/// ignored.
pub(crate) fn default_path(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let given = |name: &str| {
        let value = variable(name).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    };
    let state = given("XDG_STATE_HOME").filter(|path| path.is_absolute());
    let state = state.or_else(|| Some(given("HOME")?.join(".local/state")))?;
    Some(state.join(DEFAULT))
}

/// Creates the directory of a file in the user's state directory, for the user alone, as that specification demands.
pub(crate) fn make_directory_of(path: &Path) -> anyhow::Result<()> {
    let Some(directory) = path.parent() else {
        return Ok(());
    };
    let mut builder = std::fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(directory);
    made.map_err(|error| {
        anyhow!(
            "records file {}: cannot create its directory: {}. Name another file with --records FILE, or use --no-records.",
            path.display(),
            image_syncer_registry::io_clause(&error)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_in_the_state_directory() {
        let path = |variables: &'static [(&str, &str)]| {
            default_path(|name| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| OsString::from(value))
            })
        };
        let expected = |text: &str| Some(PathBuf::from(text));
        assert_eq!(
            path(&[("XDG_STATE_HOME", "/state"), ("HOME", "/home/u")]),
            expected("/state/image-syncer/records.sqlite3")
        );
        for state in ["", "relative/state"] {
            let found = default_path(|name| match name {
                "XDG_STATE_HOME" => Some(OsString::from(state)),
                _ => Some(OsString::from("/home/u")),
            });
            let home = "/home/u/.local/state/image-syncer/records.sqlite3";
            assert_eq!(found, expected(home), "{state:?}");
        }
        assert_eq!(path(&[("HOME", "")]), None);
        assert_eq!(path(&[]), None);
    }
}
