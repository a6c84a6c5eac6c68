//! Archives of images: an OCI image layout in a tar file, also with the `manifest.json` of Docker, and the older archives
//! of `docker save` that have nothing else.
//!
//! An archive is scanned once, headers only. After that, its files are read at their offsets, many at a time. A compressed
//! archive, and standard input, are first unpacked into a file without a name ([`spool`]). Archives of the older form get
//! the manifests that they lack in memory ([`docker`]).
//!
//! It is written as a layout ([`crate::store::layout`]), and packed at the end.

mod content;
mod docker;
mod entries;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod open;
mod progress;
mod spool;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use image_syncer_registry::{Digest, ErrorKind};

pub(in crate::store) use content::Content;
pub(in crate::store) use docker::{DOCKER_CONFIG, MANIFEST_FILE, SavedImage};
use entries::{Cut, Entries};
pub use open::{ArchiveOptions, Archives};
pub(in crate::store) use progress::WorkProgress;

use crate::store::Endpoint;
use crate::store::layout_format::{LayoutError, blob_path};

/// The files of an archive that was opened for reading.
#[derive(Debug)]
pub(crate) struct ArchiveFiles {
    endpoint: Endpoint,
    file: Arc<File>,
    entries: Entries,
    is_unpacked: bool,
    /// Files that the archive lacks and that were made from others.
    made: HashMap<String, Made>,
}

/// A file that an archive lacks.
#[derive(Debug)]
enum Made {
    /// Its bytes.
    Bytes(Bytes),
    /// The name of the entry with its bytes.
    Entry(String),
}

impl ArchiveFiles {
    /// The archive, as the user named it.
    pub(in crate::store) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
    /// Returns the bytes of the file `name`.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is no such file.
    pub(in crate::store) fn open(&self, name: &str) -> io::Result<Content> {
        let name = match self.made.get(name) {
            Some(Made::Bytes(bytes)) => return Ok(Content::Memory(bytes.clone())),
            Some(Made::Entry(entry)) => entry,
            None => name,
        };
        let (start, length) = self.entries.find(name)?;
        Ok(Content::Range {
            file: Arc::clone(&self.file),
            start,
            length,
        })
    }
    /// Returns true if Docker finds the images of the archive.
    pub(in crate::store) fn is_for_docker(&self) -> bool {
        self.entries.has(MANIFEST_FILE)
    }
    /// Returns true if the archive is compressed, and was unpacked to be read.
    pub(in crate::store) fn is_unpacked(&self) -> bool {
        self.is_unpacked
    }
    /// Returns the digests of all blobs, in no order.
    fn blobs(&self) -> impl Iterator<Item = Digest> {
        self.entries.names().filter_map(blob_path::digest_at)
    }
    fn cut(&self) -> Option<&Cut> {
        self.entries.cut.as_ref()
    }
    fn error(&self, kind: ErrorKind, why: impl Into<String>) -> LayoutError {
        LayoutError::new(kind, "read images", &self.endpoint, why)
    }
}
