//! A file that takes the place of another at the end, whole or not at all.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use registry::io_clause;
use tempfile::NamedTempFile;

/// What `path` will hold: written to a temporary file beside it until it is put in place; dropped before, it leaves
/// everything as it was.
pub(crate) struct Replacement {
    path: PathBuf,
    target: Target,
}

enum Target {
    Beside(NamedTempFile),
    /// Not a regular file, such as a pipe or a terminal: there is nothing to replace.
    Itself(File),
}

impl Replacement {
    /// Begins to write what `flag` wants at `path`. What a link points to is replaced, not the link.
    ///
    /// # Errors
    /// When no file can be written there, as far as that can be told beforehand: better now than after hours.
    pub(crate) fn of(flag: &str, path: &Path) -> anyhow::Result<Self> {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if path.is_dir() {
            bail!(
                "{flag} {}: this is a directory: name a file in it",
                path.display()
            );
        }
        let target = target(&path).map_err(|error| {
            anyhow!(
                "{flag} {}: no file can be written there, {}: name one in a directory that exists and may be written to",
                path.display(),
                io_clause(&error)
            )
        })?;
        Ok(Self { path, target })
    }

    /// Where it goes.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where it goes, as people read it.
    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Puts it in place.
    pub(crate) fn put(self) -> io::Result<()> {
        match self.target {
            Target::Beside(file) => {
                file.as_file().sync_all()?;
                file.persist(&self.path)?;
                Ok(())
            }
            Target::Itself(mut file) => file.flush(),
        }
    }
}

impl Write for Replacement {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.target {
            Target::Beside(file) => file.write(bytes),
            Target::Itself(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.target {
            Target::Beside(file) => file.flush(),
            Target::Itself(file) => file.flush(),
        }
    }
}

/// What to say where what `flag` wants at `name` could not be written.
pub(crate) fn failed(flag: &str, name: &str, error: &anyhow::Error) -> anyhow::Error {
    anyhow!(
        "{flag} {name}: it could not be written, and what was there is as it was: {}",
        error
            .downcast_ref()
            .map_or_else(|| error.to_string(), io_clause)
    )
}

fn target(path: &Path) -> io::Result<Target> {
    match path.metadata() {
        Ok(metadata) if !metadata.is_file() => {
            let file = OpenOptions::new().write(true).open(path)?;
            Ok(Target::Itself(file))
        }
        _ => beside(path).map(Target::Beside),
    }
}

/// A file beside `path`, on the same file system; removed when it is dropped.
pub(crate) fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    // What the process's umask leaves of it, as for any file; a temporary file alone would be the owner's only.
    tempfile::Builder::new()
        .prefix(".image-syncer-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_was_there_stays_until_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.json");
        std::fs::write(&path, "before").unwrap();
        let mut dropped = Replacement::of("--report", &path).unwrap();
        dropped.write_all(b"half").unwrap();
        drop(dropped);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
        let mut put = Replacement::of("--report", &path).unwrap();
        put.write_all(b"after").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
        put.put().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "after");
        assert_eq!(directory.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_regular_file_is_written_to() {
        let mut null = Replacement::of("--report", Path::new("/dev/null")).unwrap();
        null.write_all(b"x").unwrap();
        null.put().unwrap();
        assert!(!Path::new("/dev/null").is_file());
    }

    #[test]
    fn a_place_that_takes_no_file_is_refused_by_flag_and_path() {
        let said = |path: &Path| {
            let error = Replacement::of("--report", path).err().unwrap();
            format!("{error:#}")
        };
        assert!(said(Path::new("/")).contains("--report /: this is a directory"));
        let nowhere = said(Path::new("/no/such/directory/report.json"));
        assert!(
            nowhere.contains("--report /no/such/directory/report.json: no file can be written")
        );
    }
}
