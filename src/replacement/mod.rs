//! Output files that replace an earlier file at the end, completely or not at all.

mod foreign_links;
mod temporary;

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use image_syncer_registry::io_clause;
use tempfile::NamedTempFile;

pub(crate) use foreign_links::refuse_foreign_link;

/// A file that is written under another name and then replaces the file at `path`. Dropped before, it changes nothing.
pub(crate) struct AtomicFile {
    path: PathBuf,
    target: Target,
}

enum Target {
    /// A file without a name in the same directory. Nothing is left of it, however the process ends.
    Unnamed(File),
    /// A temporary file in the same directory, for file systems without unnamed files.
    Temporary(NamedTempFile),
    /// The target itself, if it is not a regular file, such as a pipe or a terminal.
    Direct(File),
}

impl AtomicFile {
    /// Begins the output of `flag` at `path`. A link stays, and its target is replaced, unless another user made the link
    /// in a directory that is open to all.
    ///
    /// # Errors
    /// If no file can be written there, as far as that is known before the run.
    pub(crate) fn create(flag: &str, path: &Path) -> anyhow::Result<Self> {
        refuse_foreign_link(flag, path)?;
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if path.is_dir() {
            bail!(
                "{flag} {}: this is a directory. Name a file in it.",
                path.display()
            );
        }
        let target = target(&path).map_err(|error| {
            anyhow!(
                "{flag} {}: cannot write the file: {}. Name a file in a directory that exists and that you may write to.",
                path.display(),
                io_clause(&error)
            )
        })?;
        Ok(Self { path, target })
    }

    /// Path of the file that is replaced.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path for messages.
    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Replaces the earlier file, and keeps its mode and, if this user may do that, its owner.
    pub(crate) fn put(self) -> io::Result<()> {
        match self.target {
            Target::Unnamed(file) => {
                keep_attributes(&file, &self.path);
                file.sync_all()?;
                let name = temporary::link_in(directory_of(&self.path), &file)?;
                std::fs::rename(&name, &self.path)
                    .inspect_err(|_| drop(std::fs::remove_file(&name)))
            }
            Target::Temporary(file) => {
                keep_attributes(file.as_file(), &self.path);
                file.as_file().sync_all()?;
                file.persist(&self.path)?;
                Ok(())
            }
            Target::Direct(mut file) => file.flush(),
        }
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.target {
            Target::Temporary(file) => file.write(bytes),
            Target::Unnamed(file) | Target::Direct(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.target {
            Target::Temporary(file) => file.flush(),
            Target::Unnamed(file) | Target::Direct(file) => file.flush(),
        }
    }
}

/// Error for an output of `flag` at `name` that could not be written.
pub(crate) fn failed(flag: &str, name: &str, error: &anyhow::Error) -> anyhow::Error {
    anyhow!(
        "{flag} {name}: cannot write the file: {}. An earlier file is unchanged.",
        error
            .downcast_ref()
            .map_or_else(|| error.to_string(), io_clause)
    )
}

fn target(path: &Path) -> io::Result<Target> {
    match path.metadata() {
        Ok(metadata) if !metadata.is_file() => {
            let file = OpenOptions::new().write(true).open(path)?;
            Ok(Target::Direct(file))
        }
        _ => match temporary::unnamed_in(directory_of(path)) {
            Some(file) => Ok(Target::Unnamed(file)),
            None => temporary_file_near(path).map(Target::Temporary),
        },
    }
}

/// Gives `file` the mode and the owner of the file at `path`, if there is one.
fn keep_attributes(file: &File, path: &Path) {
    let Ok(before) = path.metadata() else { return };
    if before.is_file() {
        // Only root may change the owner, and that clears bits of the mode, so the mode is set last. A failure is no reason
        // to lose the output.
        fchown(file, Some(before.uid()), Some(before.gid())).ok();
        let mode = Permissions::from_mode(before.mode() & 0o777);
        file.set_permissions(mode).ok();
    }
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Creates a temporary file in the directory of `path`, so that it is on the same file system. It is removed when it is
/// dropped.
pub(crate) fn temporary_file_near(path: &Path) -> io::Result<NamedTempFile> {
    temporary::create_in(directory_of(path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_earlier_file_stays_until_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.json");
        std::fs::write(&path, "before").unwrap();
        let mut dropped = AtomicFile::create("--report", &path).unwrap();
        dropped.write_all(b"half").unwrap();
        drop(dropped);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
        let mut put = AtomicFile::create("--report", &path).unwrap();
        put.write_all(b"after").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
        put.put().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "after");
        assert_eq!(directory.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn an_unnamed_file_gets_its_name_at_the_end_and_the_mode_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.json");
        std::fs::write(&path, "before").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let mut put = AtomicFile::create("--report", &path).unwrap();
        put.write_all(b"after").unwrap();
        // However the process ends now, the directory stays as it was.
        assert_eq!(directory.path().read_dir().unwrap().count(), 1);
        put.put().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "after");
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(directory.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn file_systems_without_unnamed_files_use_a_temporary_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.json");
        std::fs::write(&path, "before").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        // A killed process leaves a file without a lock.
        std::fs::write(directory.path().join(".image-syncer-0"), "half").unwrap();
        let temporary = || AtomicFile {
            path: path.clone(),
            target: Target::Temporary(temporary_file_near(&path).unwrap()),
        };
        let (mut one, mut other) = (temporary(), temporary());
        one.write_all(b"one").unwrap();
        other.write_all(b"other").unwrap();
        one.put().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
        other.put().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "other");
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o640);
        assert_eq!(directory.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn an_unnamed_file_removes_the_files_of_killed_processes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.json");
        std::fs::write(directory.path().join(".image-syncer-0"), "half").unwrap();
        let mut put = AtomicFile::create("--report", &path).unwrap();
        put.write_all(b"after").unwrap();
        put.put().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "after");
        assert_eq!(directory.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn a_device_is_written_to_and_not_replaced() {
        let mut null = AtomicFile::create("--report", Path::new("/dev/null")).unwrap();
        null.write_all(b"x").unwrap();
        null.put().unwrap();
        assert!(!Path::new("/dev/null").is_file());
    }

    #[test]
    fn a_path_that_takes_no_file_is_refused_with_its_flag() {
        let said = |path: &Path| {
            let error = AtomicFile::create("--report", path).err().unwrap();
            format!("{error:#}")
        };
        assert!(said(Path::new("/")).contains("--report /: this is a directory"));
        let nowhere = said(Path::new("/no/such/directory/report.json"));
        assert!(nowhere.contains("--report /no/such/directory/report.json: cannot write the file"));
    }
}
