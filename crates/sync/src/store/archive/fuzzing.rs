//! Entry points for fuzzing: archives, and the `manifest.json` of those of Docker.

use image_syncer_registry::manifest::MAX_MANIFEST_BYTES;
use tar::{Builder, Header};

use super::{ArchiveOptions, Archives, MANIFEST_FILE};
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

/// Opens an archive of `docker save` whose `manifest.json` is `data`, and which has a config and a layer.
///
/// # Panics
/// If an error has no bound.
pub fn docker_manifest(data: &[u8]) {
    const CONFIG: &str = r#"{"rootfs":{"diff_ids":["sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"]}}"#;
    let files: [(&str, &[u8]); 3] = [
        ("config.json", CONFIG.as_bytes()),
        ("layer.tar", b"abc"),
        (MANIFEST_FILE, data),
    ];
    let mut builder = Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = Header::new_ustar();
        header.set_size(bytes.len() as u64);
        if builder.append_data(&mut header, name, bytes).is_err() {
            return;
        }
    }
    if let Ok(bytes) = builder.into_inner() {
        archive(&bytes);
    }
}
