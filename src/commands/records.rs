//! The command `records`, and the records file of a run.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use image_syncer_registry::{Registry, Repository};
use image_syncer_sync::inventory::records::{
    Records, RecordsError, RecordsMaintenance, RecordsOverview,
};
use image_syncer_sync::settings::Intent;

use crate::cli::{RecordsAction, Remembering};
use crate::escape;
use crate::exit::Exit;
use crate::ui::{LineLabel, LineWriter, Log, Printer, units};

/// The flag that names the file.
const FLAG: &str = "--records";

/// Path of the file below the user's state directory.
const DEFAULT: &str = "image-syncer/records.sqlite3";

/// Executes `image-syncer records …`.
pub(super) fn execute(action: &RecordsAction, printer: &Printer) -> anyhow::Result<Exit> {
    let path = match &action.file().records {
        Some(path) => path.clone(),
        None => default_path(|name| std::env::var_os(name)).context(
            "the path of the records file is unknown: neither HOME nor XDG_STATE_HOME is set. Write --records FILE.",
        )?,
    };
    let text = match action {
        RecordsAction::Show { .. } => shown(&path, &RecordsMaintenance::open(&path)?.overview()?),
        RecordsAction::Prune { older_than, .. } => {
            let dropped = RecordsMaintenance::open(&path)?.prune(*older_than)?;
            format!("{} dropped\n", units::count(dropped, "record"))
        }
        RecordsAction::Forget { place, .. } => {
            let (registry, repository) = parse_scope(place)?;
            let dropped =
                RecordsMaintenance::open(&path)?.forget(&registry, repository.as_ref())?;
            format!("{} dropped\n", units::count(dropped, "record"))
        }
    };
    printer.out(&escape::block(&text));
    Ok(Exit::Done)
}

/// Returns the records file of a run, with its flag or name; `None` if the run has none.
pub(super) fn file(flags: &Remembering) -> Option<(&'static str, PathBuf)> {
    if flags.no_records {
        return None;
    }
    if let Some(path) = &flags.records {
        return Some((FLAG, path.clone()));
    }
    Some(("records file", default_path(|name| std::env::var_os(name))?))
}

/// Opens the records of a run. A warning says why a requested file cannot be used. A run that does not copy opens
/// existing records only.
pub(super) fn open(
    flags: &Remembering,
    intent: Intent,
    lines: &LineWriter,
    log: &Log,
) -> Option<Arc<Records>> {
    if flags.no_records {
        return None;
    }
    let Some((name, path)) = file(flags) else {
        tracing::info!("no records: neither HOME nor XDG_STATE_HOME is set");
        return None;
    };
    let opened = if name == FLAG || intent != Intent::Copy {
        Ok(path)
    } else {
        make_directory_of(&path).map(|()| path)
    };
    let opened = opened.and_then(|path| {
        let tell = error_reporter(lines, log);
        Ok(match intent {
            Intent::Copy => Some(Records::open(&path, tell)?),
            Intent::Plan | Intent::Check => Records::open_to_read(&path, tell)?,
        })
    });
    match opened {
        Ok(records) => records.map(Arc::new),
        Err(error) => {
            let text = format!("{error}; this run uses no records");
            lines.print(LineLabel::Warning, &text);
            None
        }
    }
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
fn default_path(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let given = |name: &str| {
        let value = variable(name).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    };
    let state = given("XDG_STATE_HOME").filter(|path| path.is_absolute());
    let state = state.or_else(|| Some(given("HOME")?.join(".local/state")))?;
    Some(state.join(DEFAULT))
}

/// Creates the directory of a file in the user's state directory, for the user alone, as that specification demands.
fn make_directory_of(path: &Path) -> anyhow::Result<()> {
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

/// Returns the registry, or the repository, of `place`.
fn parse_scope(place: &str) -> anyhow::Result<(Registry, Option<Repository>)> {
    if place.contains('/') {
        let repository = Repository::parse(place)?;
        return Ok((repository.registry().clone(), Some(repository)));
    }
    let registry = Registry::parse(place)
        .with_context(|| format!("a repository of it is written {place}/REPOSITORY"))?;
    Ok((registry, None))
}

fn shown(path: &Path, overview: &RecordsOverview) -> String {
    let mut text = format!("{}: {}\n", path.display(), units::bytes(overview.bytes));
    for holdings in &overview.registries {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}: {}, {}, {}",
            holdings.registry,
            if holdings.repositories == 1 {
                "1 repository".to_owned()
            } else {
                format!("{} repositories", units::grouped(holdings.repositories))
            },
            units::count(holdings.blobs, "blob"),
            units::count(holdings.tags, "tag"),
        );
    }
    let _ = match overview.oldest_days {
        Some(0) => writeln!(text, "the oldest record was seen today"),
        Some(days) => {
            let days = units::count(days, "day");
            writeln!(text, "the oldest record was seen {days} ago")
        }
        None => writeln!(text, "nothing is recorded"),
    };
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

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

    #[test]
    fn a_host_is_a_registry_and_a_path_makes_it_a_repository() {
        let (registry, repository) = parse_scope("r.example:5000").unwrap();
        assert_eq!((registry.as_str(), repository), ("r.example:5000", None));
        let (registry, repository) = parse_scope("r.example/a/b").unwrap();
        assert_eq!(registry.as_str(), "r.example");
        assert_eq!(repository.unwrap().path(), "a/b");
        let error = format!("{:#}", parse_scope("mirror").unwrap_err());
        assert!(error.contains("mirror"), "{error}");
    }
}
