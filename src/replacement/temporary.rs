//! Temporary files in the directory of the file that they replace.
//!
//! Their names are `.image-syncer-0`, `.image-syncer-1` and so on. A process holds a lock on each for as long as it uses
//! it. So a file without a lock belonged to a process that was killed, and the next process that writes to the
//! directory removes it. Several processes never take a file from each other.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use tempfile::{NamedTempFile, TempPath};

/// Number of names that all processes share in a directory.
const SHARED_NAMES: u32 = 32;

/// Number of names that a process has for itself, for when the shared ones are in use.
const OWN_NAMES: u32 = 1_000;

/// Locks a file for this process without waiting: [`File::try_lock`], except in tests.
type TryLock = fn(&File) -> Result<(), TryLockError>;

/// Creates a temporary file in `directory`. It is removed when it is dropped.
pub(crate) fn create_in(directory: &Path) -> io::Result<NamedTempFile> {
    create_locked_in(directory, File::try_lock)
}

fn create_locked_in(directory: &Path, try_lock: TryLock) -> io::Result<NamedTempFile> {
    let create = |name: &Path| create_locked(name, try_lock);
    let (file, name) = with_free_name(directory, try_lock, create)?;
    Ok(NamedTempFile::from_parts(
        file,
        TempPath::try_from_path(name)?,
    ))
}

/// Creates a file without a name in `directory`. Returns `None` on systems and file systems that have no such files, or
/// where it could not get a name later.
#[cfg(target_os = "linux")]
pub(super) fn unnamed_in(directory: &Path) -> Option<File> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(directory, flags, Mode::from_raw_mode(0o666)).ok()?);
    by_number(&file).exists().then_some(file)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn unnamed_in(_: &Path) -> Option<File> {
    None
}

/// Gives `file`, which has no name, a temporary one in `directory` and returns it.
pub(super) fn link_in(directory: &Path, file: &File) -> io::Result<PathBuf> {
    use rustix::fs::{AtFlags, CWD, linkat};
    // A file that has a name and no lock looks like one of a killed process.
    file.try_lock().ok();
    let ((), name) = with_free_name(directory, File::try_lock, |name| {
        linkat(CWD, by_number(file), CWD, name, AtFlags::SYMLINK_FOLLOW)?;
        Ok(Some(()))
    })?;
    Ok(name)
}

/// Returns the path of an open file that needs no name.
fn by_number(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Removes the files of killed processes from `directory`, then calls `create` with one name after the other, until one
/// is free. `create` returns `None` if it lost the name to another process.
fn with_free_name<T>(
    directory: &Path,
    try_lock: TryLock,
    create: impl Fn(&Path) -> io::Result<Option<T>>,
) -> io::Result<(T, PathBuf)> {
    let shared =
        || (0..SHARED_NAMES).map(|number| directory.join(format!(".image-syncer-{number}")));
    shared().for_each(|name| remove_if_abandoned(&name, try_lock));
    let process = std::process::id();
    let own =
        (0..OWN_NAMES).map(|number| directory.join(format!(".image-syncer-{process}-{number}")));
    for name in shared().chain(own) {
        match create(&name) {
            Ok(Some(created)) => return Ok((created, name)),
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Creates and locks the file `name`. Returns `None` if another process removed it in between.
fn create_locked(name: &Path, try_lock: TryLock) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    // The process's umask applies, as to any file.
    options.read(true).write(true).create_new(true).mode(0o666);
    let file = options.open(name)?;
    match try_lock(&file) {
        Ok(()) => Ok(is_at(&file, name).then_some(file)),
        // Another process checks whether the file is abandoned, and is about to remove it.
        Err(TryLockError::WouldBlock) => Ok(None),
        // Without locks no process removes a file of another.
        Err(TryLockError::Error(_)) => Ok(Some(file)),
    }
}

/// Removes the file `name` if it is a temporary file of a killed process of this user.
fn remove_if_abandoned(name: &Path, try_lock: TryLock) {
    // Locks on NFS need a file that is open for writing.
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(file) = rustix::fs::open(name, flags, Mode::empty()).map(File::from) else {
        return;
    };
    let is_own = |metadata: std::fs::Metadata| {
        metadata.is_file() && metadata.uid() == rustix::process::geteuid().as_raw()
    };
    if file.metadata().is_ok_and(is_own) && try_lock(&file).is_ok() && is_at(&file, name) {
        std::fs::remove_file(name).ok();
    }
}

/// Returns whether `file` has the name `name`.
fn is_at(file: &File, name: &Path) -> bool {
    let (Ok(opened), Ok(named)) = (file.metadata(), name.symlink_metadata()) else {
        return false;
    };
    opened.dev() == named.dev() && opened.ino() == named.ino()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = directory.read_dir().unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn files_in_use_have_different_names_and_are_removed_when_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let one = create_in(directory.path()).unwrap();
        let other = create_in(directory.path()).unwrap();
        assert_eq!(
            names(directory.path()),
            [".image-syncer-0", ".image-syncer-1"]
        );
        drop(one);
        assert_eq!(names(directory.path()), [".image-syncer-1"]);
        let third = create_in(directory.path()).unwrap();
        assert_eq!(
            names(directory.path()),
            [".image-syncer-0", ".image-syncer-1"]
        );
        drop((other, third));
        assert_eq!(names(directory.path()), [""; 0]);
    }

    #[test]
    fn files_of_killed_processes_are_removed_and_those_in_use_stay() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        // A killed process leaves files without locks.
        for name in [".image-syncer-0", ".image-syncer-2", ".image-syncer-31"] {
            std::fs::write(path(name), "abandoned").unwrap();
        }
        let in_use = File::create(path(".image-syncer-1")).unwrap();
        in_use.lock().unwrap();
        std::fs::write(path(".image-syncer-other"), "not ours").unwrap();
        let created = create_in(directory.path()).unwrap();
        assert_eq!(created.path(), path(".image-syncer-0"));
        assert_eq!(created.as_file().metadata().unwrap().len(), 0);
        let left = [".image-syncer-0", ".image-syncer-1", ".image-syncer-other"];
        assert_eq!(names(directory.path()), left);
        assert!(is_at(&in_use, &path(".image-syncer-1")));
    }

    #[test]
    fn file_systems_without_locks_have_temporary_files_too() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let without_locks: TryLock =
            |_| Err(TryLockError::Error(io::ErrorKind::Unsupported.into()));
        let create = || create_locked_in(directory.path(), without_locks).unwrap();
        // Without a lock, nobody knows if the process that uses a file was killed.
        std::fs::write(path(".image-syncer-0"), "in use").unwrap();
        let (one, other) = (create(), create());
        assert_eq!(one.path(), path(".image-syncer-1"));
        assert_eq!(other.path(), path(".image-syncer-2"));
        std::fs::write(one.path(), "one").unwrap();
        one.persist(path("report.json")).unwrap();
        assert_eq!(std::fs::read(path("report.json")).unwrap(), b"one");
        drop(other);
        assert_eq!(names(directory.path()), [".image-syncer-0", "report.json"]);
        // A process has names for itself when the shared ones are in use.
        for number in 1..SHARED_NAMES {
            std::fs::write(path(&format!(".image-syncer-{number}")), "in use").unwrap();
        }
        let process = std::process::id();
        let own = [0, 1].map(|number| path(&format!(".image-syncer-{process}-{number}")));
        let (one, other) = (create(), create());
        assert_eq!([one.path(), other.path()], own);
        drop((one, other));
        let left = names(directory.path());
        assert_eq!(left.len(), 33, "{left:?}");
        assert_eq!(std::fs::read(path(".image-syncer-0")).unwrap(), b"in use");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_another_process_removes_at_its_creation_is_not_used() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        // The other process holds the lock while it checks whether the file is abandoned.
        let is_checked: TryLock = |file| {
            let name = std::fs::read_link(by_number(file)).unwrap();
            if name.ends_with(".image-syncer-0") {
                std::fs::remove_file(name).unwrap();
                return Err(TryLockError::WouldBlock);
            }
            file.try_lock()
        };
        let created = create_locked_in(directory.path(), is_checked).unwrap();
        assert_eq!(created.path(), path(".image-syncer-1"));
        assert_eq!(names(directory.path()), [".image-syncer-1"]);
    }

    #[test]
    fn links_and_pipes_with_a_temporary_name_are_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("victim"), "theirs").unwrap();
        std::os::unix::fs::symlink(path("victim"), path(".image-syncer-0")).unwrap();
        let (kind, mode) = (rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600));
        rustix::fs::mknodat(rustix::fs::CWD, path(".image-syncer-1"), kind, mode, 0).unwrap();
        let created = create_in(directory.path()).unwrap();
        assert_eq!(created.path(), path(".image-syncer-2"));
        assert_eq!(std::fs::read_to_string(path("victim")).unwrap(), "theirs");
        assert_eq!(names(directory.path()).len(), 4);
    }

    #[test]
    fn many_writers_at_once_never_share_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let write = |writer: usize| {
            for round in 0..50 {
                let text = format!("{writer}-{round}");
                let file = create_in(directory.path()).unwrap();
                std::fs::write(file.path(), &text).unwrap();
                let target = directory.path().join(&text);
                file.persist(&target).unwrap();
                assert_eq!(std::fs::read_to_string(&target).unwrap(), text);
            }
        };
        std::thread::scope(|scope| {
            (0..8).for_each(|writer| drop(scope.spawn(move || write(writer))));
        });
        assert_eq!(names(directory.path()).len(), 8 * 50);
    }
}
