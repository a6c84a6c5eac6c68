//! Entry point for fuzzing: archives, with their `manifest.json`.

use image_syncer_registry::manifest::MAX_MANIFEST_BYTES;

use super::{ArchiveOptions, Archives};
use crate::store::layout_format::{INDEX_FILE, blob_path};
use crate::store::{ArchiveFormat, Endpoint, FilePath};

/// Opens an archive as far as it goes, and reads its index and its manifests.
///
/// # Panics
/// If an error has no bound.
pub fn archive(data: &[u8]) {
    let Ok(folder) = tempfile::tempdir() else {
        return;
    };
    let path = folder.path().join("images.tar");
    if std::fs::write(&path, data).is_err() {
        return;
    }
    let path = FilePath::new(&path);
    let endpoint = Endpoint::Archive(ArchiveFormat::Oci, path.clone());
    let archives = Archives::new(ArchiveOptions {
        temp: None,
        partial: true,
    });
    let files = match archives.open(&endpoint, &path) {
        Ok(Some(files)) => files,
        Ok(None) => return,
        Err(error) => {
            assert!(error.to_string().len() <= 4096, "{error}");
            return;
        }
    };
    let blobs = files.blobs().map(|digest| blob_path::path(&digest));
    for name in blobs.chain([INDEX_FILE.to_owned()]) {
        if let Ok(content) = files.open(&name) {
            let read = content.read(MAX_MANIFEST_BYTES);
            assert!(read.is_err() || content.length() <= MAX_MANIFEST_BYTES);
        }
    }
}
