//! Files of a layout wherever they are: in a directory, in an archive, or in both while an archive is written.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use image_syncer_registry::Digest;

use super::blob_path;
use super::directory::LayoutDirectory;
use crate::store::Endpoint;
use crate::store::archive::{ArchiveFiles, Content};
use crate::store::layout_format::Located;

/// Files of a layout: those of a directory, and below them those of an archive. All functions block.
#[derive(Clone, Debug)]
pub(in crate::store) struct LayoutFiles {
    endpoint: Endpoint,
    directory: Option<Arc<LayoutDirectory>>,
    archive: Option<Arc<ArchiveFiles>>,
}

impl Located for LayoutFiles {
    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl LayoutFiles {
    /// Creates a view. With neither, there are no files.
    pub(super) fn new(
        endpoint: Endpoint,
        directory: Option<Arc<LayoutDirectory>>,
        archive: Option<Arc<ArchiveFiles>>,
    ) -> Self {
        Self {
            endpoint,
            directory,
            archive,
        }
    }
    /// Returns true if there is neither a directory nor an archive.
    pub(super) fn is_nowhere(&self) -> bool {
        self.directory.is_none() && self.archive.is_none()
    }
    /// Returns the bytes of the file `name`.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is no such file.
    pub(in crate::store) fn open(&self, name: &str) -> io::Result<Content> {
        let in_archive = || match &self.archive {
            Some(archive) => archive.open(name),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        let Some(directory) = &self.directory else {
            return in_archive();
        };
        match directory.open_file(name) {
            Ok((file, length)) => Ok(Content::whole(file, length)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => in_archive(),
            Err(error) => Err(error),
        }
    }
    /// Reads the file `name`, of at most `limit` bytes.
    pub(in crate::store) fn read(&self, name: &str, limit: u64) -> io::Result<Bytes> {
        self.open(name)?.read(limit)
    }
    /// Returns the length of the file `name`; `None` if there is no such file.
    pub(in crate::store) fn length(&self, name: &str) -> io::Result<Option<u64>> {
        match self.open(name) {
            Ok(content) => Ok(Some(content.length())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
    /// Removes a damaged blob from the directory, so that it is written again. Returns false if it is in the archive.
    pub(in crate::store) fn remove_damaged(&self, digest: &Digest) -> bool {
        let Some(directory) = &self.directory else {
            return false;
        };
        if directory.open_file(&blob_path::path(digest)).is_err() {
            return false;
        }
        if let Err(error) = directory.remove(&blob_path::folder(digest), digest.encoded()) {
            tracing::warn!(%error, "the damaged blob {digest} cannot be removed");
        }
        true
    }
}
