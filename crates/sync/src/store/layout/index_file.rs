//! The file `index.json`: its reading, and its writing behind the changes in memory.

use std::io;

use image_syncer_registry::{Digest, ErrorKind};
use serde::Deserialize;

use super::directory::{LayoutDirectory, OWN_NAMES};
use crate::store::layout_format::{
    INDEX_FILE, LAYOUT_FILE, LayoutError, LayoutIndex, Located, MAX_INDEX_BYTES,
};

/// Maximum length of [`LAYOUT_FILE`].
const MAX_LAYOUT_BYTES: u64 = 64 * 1024;

const ACTION: &str = "open the layout";

/// Contents of a directory.
pub(super) enum Contents {
    /// No file that matters.
    Empty,
    /// The beginning of a layout whose writer was killed: it has no `index.json`.
    Begun,
    /// A layout.
    Layout(LayoutIndex),
}

/// The roots of a layout in memory, ahead of the file.
pub(super) struct IndexState {
    pub(super) index: LayoutIndex,
    /// Number of changes.
    changes: u64,
    /// Number of changes that are in the file.
    written: u64,
    /// Names of the images that are not in the file yet.
    unwritten: Vec<String>,
    /// A task writes the file after a while.
    pub(super) is_scheduled: bool,
    /// The last write failed.
    pub(super) has_failed: bool,
}

/// The document at one moment.
pub(super) struct Snapshot {
    pub(super) bytes: Vec<u8>,
    changes: u64,
    names: usize,
}

#[derive(Deserialize)]
struct LayoutFile {
    #[serde(rename = "imageLayoutVersion")]
    version: String,
}

impl Contents {
    /// Reads `oci-layout` and `index.json`. Blocks.
    ///
    /// # Errors
    /// If the directory is no layout and not empty, or a file cannot be read.
    pub(super) fn read(directory: &LayoutDirectory) -> Result<Self, LayoutError> {
        let failed = |file: &str, error: &io::Error| directory.error(format!("read {file}"), error);
        let mut mark = directory.read(LAYOUT_FILE, MAX_LAYOUT_BYTES);
        if is_missing(&mark) {
            let is_empty = is_empty(directory).map_err(|e| directory.error(ACTION, &e))?;
            if is_empty {
                return Ok(Self::Empty);
            }
            // Another process may have begun a layout since.
            mark = directory.read(LAYOUT_FILE, MAX_LAYOUT_BYTES);
        }
        match mark {
            Ok(bytes) => check_version(directory, &bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let why = "the directory is not empty and is no OCI layout: it has no file oci-layout. Name a layout, an empty directory, or one that does not exist";
                let endpoint = directory.endpoint();
                return Err(LayoutError::new(ErrorKind::Rejected, ACTION, endpoint, why));
            }
            Err(error) => return Err(failed(LAYOUT_FILE, &error)),
        }
        let bytes = match directory.read(INDEX_FILE, MAX_INDEX_BYTES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Begun),
            read => read.map_err(|error| failed(INDEX_FILE, &error))?,
        };
        let index = LayoutIndex::parse(&bytes).map_err(|error| {
            let (action, endpoint) = (format!("read {INDEX_FILE}"), directory.endpoint());
            LayoutError::new(ErrorKind::Protocol, action, endpoint, error.to_string())
        })?;
        Ok(Self::Layout(index))
    }
}

fn is_missing<T>(read: &io::Result<T>) -> bool {
    let error = read.as_ref().err();
    error.is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

impl IndexState {
    /// Creates the state of a file with these roots.
    pub(super) fn new(index: LayoutIndex) -> Self {
        Self {
            index,
            changes: 0,
            written: 0,
            unwritten: Vec::new(),
            is_scheduled: false,
            has_failed: false,
        }
    }
    /// Notes a change for the image `name`.
    pub(super) fn changed(&mut self, name: String) {
        self.changes += 1;
        self.unwritten.push(name);
    }
    /// Returns whether the file lacks changes.
    pub(super) fn is_dirty(&self) -> bool {
        self.changes > self.written
    }
    /// Returns the names of the images that are not in the file.
    pub(super) fn unwritten(&self) -> &[String] {
        &self.unwritten
    }
    /// Returns the document, or `None` if the file has it.
    pub(super) fn snapshot(
        &self,
        directory: &LayoutDirectory,
    ) -> Result<Option<Snapshot>, LayoutError> {
        if !self.is_dirty() {
            return Ok(None);
        }
        let refuse = |why: String| {
            let action = format!("write {INDEX_FILE}");
            LayoutError::new(ErrorKind::Rejected, action, directory.endpoint(), why)
        };
        let bytes = self.index.to_bytes().map_err(|e| refuse(e.to_string()))?;
        if bytes.len() as u64 > MAX_INDEX_BYTES {
            let length = bytes.len();
            let why = format!(
                "it would have {length} bytes, more than the {MAX_INDEX_BYTES} that are read. Use several layouts"
            );
            return Err(refuse(why));
        }
        Ok(Some(Snapshot {
            bytes,
            changes: self.changes,
            names: self.unwritten.len(),
        }))
    }
    /// Notes that the file has the document of `snapshot`.
    pub(super) fn is_written(&mut self, snapshot: &Snapshot) {
        self.written = snapshot.changes;
        self.unwritten
            .drain(..snapshot.names.min(self.unwritten.len()));
    }
    /// Returns the digests of all roots with their media types.
    pub(super) fn roots(&self) -> Vec<(Digest, String)> {
        let roots = self.index.roots();
        roots
            .map(|root| (root.digest.clone(), root.media_type.clone()))
            .collect()
    }
}

fn check_version(directory: &LayoutDirectory, bytes: &[u8]) -> Result<(), LayoutError> {
    let refuse = |why: String| {
        let action = format!("read {LAYOUT_FILE}");
        Err(LayoutError::new(
            ErrorKind::Protocol,
            action,
            directory.endpoint(),
            why,
        ))
    };
    match serde_json::from_slice::<LayoutFile>(bytes) {
        Ok(file) if file.version.starts_with("1.") => Ok(()),
        Ok(file) => {
            let version = image_syncer_registry::clean_text(&file.version, 40);
            refuse(format!(
                "the layout has version {version}, and only version 1 is supported"
            ))
        }
        Err(_) => refuse("it states no imageLayoutVersion".to_owned()),
    }
}

/// Returns whether the directory has no files but those of a killed writer.
fn is_empty(directory: &LayoutDirectory) -> io::Result<bool> {
    for entry in std::fs::read_dir(directory.path())? {
        let name = entry?.file_name();
        if !name
            .to_str()
            .is_some_and(|name| name.starts_with(OWN_NAMES))
        {
            return Ok(false);
        }
    }
    Ok(true)
}
