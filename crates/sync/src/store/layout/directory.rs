//! Files of a layout, which are never looked for outside of its directory.
//!
//! All functions block.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::store::Endpoint;
use crate::store::layout_format::Located;

/// Beginning of the names of temporary files, which are in the directory of the layout itself.
const TEMPORARY: &str = ".image-syncer-partial-";

/// Beginning of the names of all files that this program adds to a layout while it writes to it.
pub(super) const OWN_NAMES: &str = ".image-syncer-";

/// Number of names that are tried for a temporary file.
const MAX_NAMES: u32 = 1000;

/// An open directory of a layout.
#[derive(Debug)]
pub(super) struct LayoutDirectory {
    path: PathBuf,
    /// The layout or the archive that the files belong to.
    endpoint: Endpoint,
    root: OwnedFd,
    next_temporary: AtomicU64,
}

/// A file without its final name. It is removed when it is dropped.
#[derive(Debug)]
pub(super) struct TemporaryFile {
    directory: Arc<LayoutDirectory>,
    name: String,
    file: File,
    named: bool,
}

impl Located for LayoutDirectory {
    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl LayoutDirectory {
    /// Opens the directory at `path`, whose files belong to `endpoint`.
    pub(super) fn open(path: &Path, endpoint: &Endpoint) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        Ok(Self {
            path: path.to_owned(),
            endpoint: endpoint.clone(),
            root,
            next_temporary: AtomicU64::new(0),
        })
    }
    /// Path of the directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
    /// Returns true if the path still leads to the directory, which was not removed or replaced.
    pub(super) fn is_in_place(&self) -> bool {
        let (Ok(opened), Ok(named)) = (rustix::fs::fstat(&self.root), rustix::fs::stat(&self.path))
        else {
            return false;
        };
        (opened.st_dev, opened.st_ino) == (named.st_dev, named.st_ino)
    }
    /// Opens the regular file `name`, with its length.
    ///
    /// # Errors
    /// If there is no such file, a link leads out of the layout, or it is no regular file.
    pub(super) fn open_file(&self, name: &str) -> io::Result<(File, u64)> {
        // The opening of a pipe would wait for its other end.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let file = File::from(self.open_beneath(name, flags)?);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            let why = "it is not a regular file";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok((file, metadata.len()))
    }
    /// Reads the file `name`, of at most `limit` bytes.
    pub(super) fn read(&self, name: &str, limit: u64) -> io::Result<Vec<u8>> {
        let too_long = |length: u64| {
            let why = format!("it has {length} bytes, more than the {limit} that are read");
            io::Error::new(io::ErrorKind::InvalidData, why)
        };
        let (file, length) = self.open_file(name)?;
        if length > limit {
            return Err(too_long(length));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(too_long(bytes.len() as u64));
        }
        Ok(bytes)
    }
    /// Creates the directory `name` and those above it, as far as they are missing.
    pub(super) fn create_directories(&self, name: &str) -> io::Result<()> {
        let mut parent: Option<OwnedFd> = None;
        for part in name.split('/') {
            let at = parent.as_ref().unwrap_or(&self.root).as_fd();
            match rustix::fs::mkdirat(at, part, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let opened = rustix::fs::openat(at, part, flags, Mode::empty());
            parent = Some(opened.map_err(explain)?);
        }
        Ok(())
    }
    /// Creates a temporary file.
    pub(super) fn create_temporary(self: &Arc<Self>) -> io::Result<TemporaryFile> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        for _ in 0..MAX_NAMES {
            let number = self.next_temporary.fetch_add(1, Ordering::Relaxed);
            let name = format!("{TEMPORARY}{number}");
            // The process's umask applies, as to any file.
            match rustix::fs::openat(&self.root, &name, flags, Mode::from_raw_mode(0o666)) {
                Ok(file) => {
                    return Ok(TemporaryFile {
                        directory: Arc::clone(self),
                        name,
                        file: File::from(file),
                        named: false,
                    });
                }
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
    /// Replaces the file `name` in the directory of the layout itself, completely or not at all.
    pub(super) fn replace(self: &Arc<Self>, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut temporary = self.create_temporary()?;
        temporary.file.write_all(bytes)?;
        temporary.sync()?;
        temporary.put(".", name)?;
        self.sync(".")
    }
    /// Removes the temporary files of killed processes. The caller holds the lock of the layout.
    pub(super) fn remove_abandoned(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            if name
                .to_str()
                .is_some_and(|name| name.starts_with(TEMPORARY))
            {
                match rustix::fs::unlinkat(&self.root, &name, AtFlags::empty()) {
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }
    /// Removes the file `name` in `folder`, if it exists.
    pub(super) fn remove(&self, folder: &str, name: &str) -> io::Result<()> {
        let folder = match self.open_folder(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        match rustix::fs::unlinkat(&folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
    /// Waits until the bytes of the file `name` are on the disk.
    pub(super) fn sync_file(&self, name: &str) -> io::Result<()> {
        self.open_file(name)?.0.sync_all()
    }
    /// Waits until the names in the directory `name` are on the disk.
    pub(super) fn sync(&self, name: &str) -> io::Result<()> {
        match rustix::fs::fsync(self.open_folder(name)?) {
            // Some file systems do not sync directories.
            Ok(()) | Err(Errno::INVAL | Errno::NOTSUP | Errno::NOSYS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
    /// Opens `name` for reading and writing, and creates it if it is missing. A link is not followed.
    pub(super) fn open_or_create(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mode = Mode::from_raw_mode(0o666);
        let opened = rustix::fs::openat(&self.root, name, flags | OFlags::CLOEXEC, mode);
        opened.map(File::from).map_err(explain)
    }
    /// Returns whether `file` has the name `name`.
    pub(super) fn is_at(&self, file: &File, name: &str) -> bool {
        let named = rustix::fs::statat(&self.root, name, AtFlags::SYMLINK_NOFOLLOW);
        let (Ok(opened), Ok(named)) = (rustix::fs::fstat(file), named) else {
            return false;
        };
        opened.st_dev == named.st_dev && opened.st_ino == named.st_ino
    }
    fn open_folder(&self, name: &str) -> io::Result<OwnedFd> {
        self.open_beneath(name, OFlags::RDONLY | OFlags::DIRECTORY)
    }
    /// Opens `name`. Links are followed within the layout only.
    fn open_beneath(&self, name: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::ResolveFlags;
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
            match rustix::fs::openat2(&self.root, name, flags, Mode::empty(), resolve) {
                // Old kernels, and sandboxes that do not know the call.
                Err(Errno::NOSYS | Errno::PERM) => {}
                opened => return opened.map_err(explain),
            }
        }
        self.open_without_links(name, flags)
    }
    /// Opens `name` and follows no link, for systems that cannot confine links.
    pub(super) fn open_without_links(&self, name: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let mut parent: Option<OwnedFd> = None;
        let mut parts = name.split('/').peekable();
        while let Some(part) = parts.next() {
            let at = parent.as_ref().unwrap_or(&self.root).as_fd();
            let flags = match parts.peek() {
                Some(_) => OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
                None => flags,
            };
            let opened = rustix::fs::openat(at, part, flags | OFlags::NOFOLLOW, Mode::empty());
            parent = Some(opened.map_err(explain)?);
        }
        parent.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl TemporaryFile {
    /// The open file.
    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }
    /// Waits until the bytes are on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
    /// Gives the file its final name `name` in `folder`.
    pub(super) fn put(mut self, folder: &str, name: &str) -> io::Result<()> {
        let folder = self.directory.open_folder(folder)?;
        rustix::fs::renameat(&self.directory.root, &self.name, &folder, name)?;
        self.named = true;
        Ok(())
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        if !self.named {
            // A file that stays is removed by the next process that writes to the layout.
            let _ = rustix::fs::unlinkat(&self.directory.root, &self.name, AtFlags::empty());
        }
    }
}

/// Explains the errors of refused links.
fn explain(error: Errno) -> io::Error {
    match error {
        Errno::XDEV | Errno::LOOP => {
            let why = "a symbolic link leads out of the layout, and is not followed";
            io::Error::new(io::ErrorKind::InvalidData, why)
        }
        error => error.into(),
    }
}
