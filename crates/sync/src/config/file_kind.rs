//! Distinction of native and classic files, by their keys.

use std::path::PathBuf;
use std::rc::Rc;

use crate::config::classic::MapKind;
use crate::config::document::{Node, NodeValue, Position};
use crate::config::error::{ConfigError, Problem};
use crate::config::file::ConfigFile;
use crate::config::{Input, native};
use crate::text::nearest;

/// Keys of a classic file.
const CLASSIC: [&str; 2] = ["images", "auth"];

/// Kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    /// With `version`, `rules` or `registries`.
    Native,
    /// With `images` and `auth`.
    Classic,
}

/// A file of `--config` that was read.
pub(super) struct Opened {
    /// Name for messages.
    pub(super) name: PathBuf,
    /// The text and its tree.
    pub(super) read: Result<(Rc<ConfigFile>, Node), Problem>,
}

impl Opened {
    /// Reads a file or standard input.
    pub(super) fn read(input: &Input) -> Self {
        Self {
            name: input.name().to_owned(),
            read: ConfigFile::read(input, true).and_then(parse),
        }
    }

    /// Parses a text, for fuzzing.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn from_text(name: &std::path::Path, text: &str) -> Self {
        Self {
            name: name.to_owned(),
            read: parse(ConfigFile::new(name, text, true)),
        }
    }

    /// Returns the keys at the top of the file.
    fn keys(&self) -> Vec<(&str, Position)> {
        let Ok((_, root)) = &self.read else {
            return Vec::new();
        };
        let NodeValue::Map(pairs) = &root.value else {
            return Vec::new();
        };
        let keys = pairs.iter().filter_map(|(key, _)| match &key.value {
            NodeValue::Text(text) => Some((text.as_str(), key.at)),
            _ => None,
        });
        keys.collect()
    }

    /// Returns the kind, with the key that decides it; `None` for a file that was not read. A file without known keys
    /// has the kind of the key that one of them resembles.
    ///
    /// # Errors
    /// If the file has keys of both kinds.
    fn kind(&self) -> Result<Option<(FileKind, Option<Position>)>, Problem> {
        let Ok((file, _)) = &self.read else {
            return Ok(None);
        };
        let keys = self.keys();
        let find = |known: &[&str]| keys.iter().find(|(key, _)| known.contains(key)).copied();
        let native_keys = native::file_keys();
        match (find(&native_keys), find(&CLASSIC)) {
            (Some((native, native_at)), Some((classic, classic_at))) => {
                let message = format!(
                    "the file has the native key `{native}` in line {} and the classic key `{classic}` in line {}. Write two files, or convert the classic part with image-syncer convert.",
                    native_at.line, classic_at.line
                );
                let later = std::cmp::max_by_key(native_at, classic_at, |at| at.line);
                Err(file.shown(later, message))
            }
            (Some((_, at)), None) => Ok(Some((FileKind::Native, Some(at)))),
            (None, Some((_, at))) => Ok(Some((FileKind::Classic, Some(at)))),
            (None, None) => {
                let mut keys = keys.iter();
                let is_near = keys.any(|(key, _)| {
                    nearest(key, &native_keys).is_some() && nearest(key, &CLASSIC).is_none()
                });
                let kind = if is_near {
                    FileKind::Native
                } else {
                    FileKind::Classic
                };
                Ok(Some((kind, None)))
            }
        }
    }
}

fn parse(file: ConfigFile) -> Result<(Rc<ConfigFile>, Node), Problem> {
    let is_native = native::is_native_text(file.text());
    let root = file.parse(|line| {
        if is_native {
            native::FORM
        } else {
            MapKind::Sections.of_line(line).form()
        }
    })?;
    Ok((Rc::new(file), root))
}

/// Returns the kind of all files.
///
/// # Errors
/// If a file has keys of both kinds, or two files differ in their kind.
pub(super) fn of_all(opened: &[Opened]) -> Result<FileKind, ConfigError> {
    let mut problems = Vec::new();
    let mut first: Option<(&Opened, FileKind, Option<Position>)> = None;
    for file in opened {
        let (kind, at) = match file.kind() {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        match first {
            // A file without keys fits every other one.
            Some((_, _, Some(_))) if at.is_none() => {}
            Some((earlier, other, Some(place))) if other != kind => {
                problems.push(differing((earlier, other, place), (file, kind)));
            }
            Some((_, _, Some(_))) => {}
            _ => first = Some((file, kind, at)),
        }
    }
    if problems.is_empty() {
        return Ok(first.map_or(FileKind::Classic, |(_, kind, _)| kind));
    }
    Err(ConfigError { problems })
}

fn differing(
    (first, kind, at): (&Opened, FileKind, Position),
    (second, other): (&Opened, FileKind),
) -> Problem {
    let name = |kind| match kind {
        FileKind::Native => "native",
        FileKind::Classic => "classic",
    };
    let message = format!(
        "this is a {} file, and {} is a {} one (line {}). Use files of one kind: image-syncer convert writes a classic file as a native one.",
        name(other),
        first.name.display(),
        name(kind),
        at.line
    );
    Problem {
        file: Some(second.name.clone()),
        ..Problem::outside(message)
    }
}

/// Refuses native files.
///
/// # Errors
/// If one of the files is native.
pub(super) fn refuse_native(opened: &[Opened]) -> Result<(), ConfigError> {
    if of_all(opened)? == FileKind::Classic {
        return Ok(());
    }
    let readable = opened.iter().filter(|file| file.read.is_ok());
    let problem = |file: &Opened| Problem {
        file: Some(file.name.clone()),
        ..Problem::outside("this is a native file already. Use classic files here.")
    };
    Err(ConfigError {
        problems: readable.map(problem).collect(),
    })
}
