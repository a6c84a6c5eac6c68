//! A file that takes the place of another at the end, whole or not at all.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use image_syncer_registry::io_clause;
use tempfile::NamedTempFile;

/// Names that are tried for a file before it takes the place of another.
const NAMES: u32 = 1_000;

/// What `path` will hold: written to a temporary file beside it until it is put in place; dropped before, it leaves
/// everything as it was.
pub(crate) struct AtomicFile {
    path: PathBuf,
    target: Target,
}

enum Target {
    /// A file without a name in the same directory: nothing is left of it, however the process ends.
    Unnamed(File),
    /// The same on file systems that have no such files.
    Beside(NamedTempFile),
    /// Not a regular file, such as a pipe or a terminal: there is nothing to replace.
    Itself(File),
}

impl AtomicFile {
    /// Begins to write what `flag` wants at `path`. What a link points to is replaced, not the link; a link that another
    /// user made in a directory that is open to all is not followed.
    ///
    /// # Errors
    /// When no file can be written there, as far as that can be told beforehand: better now than after hours.
    pub(crate) fn create(flag: &str, path: &Path) -> anyhow::Result<Self> {
        refuse_foreign_link(flag, path)?;
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

    /// Puts it in place, with the mode and, where this user may give files away, the owner of the file before it.
    pub(crate) fn put(self) -> io::Result<()> {
        match self.target {
            Target::Unnamed(file) => {
                keep_attributes(&file, &self.path);
                file.sync_all()?;
                let name = link(&file, directory_of(&self.path))?;
                std::fs::rename(&name, &self.path)
                    .inspect_err(|_| drop(std::fs::remove_file(&name)))
            }
            Target::Beside(file) => {
                keep_attributes(file.as_file(), &self.path);
                file.as_file().sync_all()?;
                file.persist(&self.path)?;
                Ok(())
            }
            Target::Itself(mut file) => file.flush(),
        }
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.target {
            Target::Beside(file) => file.write(bytes),
            Target::Unnamed(file) | Target::Itself(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.target {
            Target::Beside(file) => file.flush(),
            Target::Unnamed(file) | Target::Itself(file) => file.flush(),
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
        _ => match unnamed(directory_of(path)) {
            Some(file) => Ok(Target::Unnamed(file)),
            None => temporary_file_near(path).map(Target::Beside),
        },
    }
}

/// Returns a file without a name in `directory`; nothing where the system has none, or could not name it later.
#[cfg(target_os = "linux")]
fn unnamed(directory: &Path) -> Option<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(directory, flags, Mode::from_raw_mode(0o666)).ok()?);
    by_number(&file).exists().then_some(file)
}

#[cfg(not(target_os = "linux"))]
fn unnamed(_: &Path) -> Option<File> {
    None
}

/// The path of an open file that has no name.
fn by_number(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Gives `file`, which has no name, one in `directory` that nothing else has.
fn link(file: &File, directory: &Path) -> io::Result<PathBuf> {
    use rustix::fs::{AtFlags, CWD, linkat};
    let process = std::process::id();
    for number in 0..NAMES {
        let name = directory.join(format!(".image-syncer-{process}-{number}"));
        match linkat(CWD, by_number(file), CWD, &name, AtFlags::SYMLINK_FOLLOW) {
            Ok(()) => return Ok(name),
            Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Gives `file` the mode and the owner of what is at `path`, if it is a file.
fn keep_attributes(file: &File, path: &Path) {
    let Ok(before) = path.metadata() else { return };
    if before.is_file() {
        // Only root gives files away; the mode is set last, as that takes bits away from it. Neither is a reason to
        // lose what was written.
        fchown(file, Some(before.uid()), Some(before.gid())).ok();
        let mode = Permissions::from_mode(before.mode() & 0o777);
        file.set_permissions(mode).ok();
    }
}

/// Refuses what `flag` names at `path` where another user decides what file that is.
pub(crate) fn refuse_foreign_link(flag: &str, path: &Path) -> anyhow::Result<()> {
    if is_foreign_link(path) {
        bail!(
            "{flag} {}: this is a symbolic link of another user in a directory that is open to all, and is not \
             followed: name another file",
            path.display()
        );
    }
    Ok(())
}

/// Returns whether `path` is a symbolic link that another user made in a directory that is open to all: the same rule as
/// Linux has with `fs.protected_symlinks`.
fn is_foreign_link(path: &Path) -> bool {
    const STICKY_AND_OPEN: u32 = 0o1002;
    let (Ok(link), Ok(directory)) = (path.symlink_metadata(), directory_of(path).metadata()) else {
        return false;
    };
    link.is_symlink()
        && directory.mode() & STICKY_AND_OPEN == STICKY_AND_OPEN
        && link.uid() != rustix::process::geteuid().as_raw()
        && link.uid() != directory.uid()
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// A file beside `path`, on the same file system; removed when it is dropped.
pub(crate) fn temporary_file_near(path: &Path) -> io::Result<NamedTempFile> {
    // What the process's umask leaves of it, as for any file; a temporary file alone would be the owner's only.
    tempfile::Builder::new()
        .prefix(".image-syncer-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory_of(path))
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
    fn nothing_has_a_name_before_it_is_put_and_the_mode_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.json");
        std::fs::write(&path, "before").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let mut put = AtomicFile::create("--report", &path).unwrap();
        put.write_all(b"after").unwrap();
        // Whatever ends the process now leaves the directory as it was.
        assert_eq!(directory.path().read_dir().unwrap().count(), 1);
        put.put().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "after");
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(directory.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn a_link_of_another_user_in_a_directory_open_to_all_is_refused() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let open = directory.path().join("open");
        std::fs::create_dir(&open).unwrap();
        let (link, victim) = (open.join("report.json"), directory.path().join("victim"));
        std::fs::write(&victim, "theirs").unwrap();
        std::os::unix::fs::symlink(&victim, &link).unwrap();
        std::os::unix::fs::lchown(&link, Some(65_534), None).unwrap();
        let said = |mode| {
            std::fs::set_permissions(&open, Permissions::from_mode(mode)).unwrap();
            AtomicFile::create("--report", &link)
                .err()
                .map(|error| error.to_string())
        };
        assert!(
            said(0o1777)
                .unwrap()
                .contains("a symbolic link of another user")
        );
        assert_eq!(said(0o755), None);
        std::os::unix::fs::lchown(&link, Some(0), None).unwrap();
        assert_eq!(said(0o1777), None);
    }

    #[test]
    fn what_is_no_regular_file_is_written_to() {
        let mut null = AtomicFile::create("--report", Path::new("/dev/null")).unwrap();
        null.write_all(b"x").unwrap();
        null.put().unwrap();
        assert!(!Path::new("/dev/null").is_file());
    }

    #[test]
    fn a_place_that_takes_no_file_is_refused_by_flag_and_path() {
        let said = |path: &Path| {
            let error = AtomicFile::create("--report", path).err().unwrap();
            format!("{error:#}")
        };
        assert!(said(Path::new("/")).contains("--report /: this is a directory"));
        let nowhere = said(Path::new("/no/such/directory/report.json"));
        assert!(
            nowhere.contains("--report /no/such/directory/report.json: no file can be written")
        );
    }
}
