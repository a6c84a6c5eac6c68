//! The directory of an OCI image layout.

use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A layout in progress: a directory beside the final one, which takes its place at the end.
pub(super) struct Layout {
    directory: TempDir,
    output: PathBuf,
}

/// A stored blob.
pub(super) struct Blob {
    media_type: &'static str,
    pub(super) digest: String,
    size: usize,
}

impl Blob {
    /// Returns the descriptor.
    pub(super) fn descriptor(&self) -> Value {
        json!({"mediaType": self.media_type, "digest": self.digest, "size": self.size})
    }
}

impl Layout {
    /// Starts a layout. Refuses a directory with other contents.
    pub(super) fn create(output: &Path) -> Result<Self> {
        let is_empty = fs::read_dir(output).is_ok_and(|mut files| files.next().is_none());
        if output.exists() && !is_empty && !output.join("oci-layout").is_file() {
            bail!(
                "{} has other contents than an OCI layout: name another directory",
                output.display()
            );
        }
        let parent = match output.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let failure = || format!("cannot write to {}", parent.display());
        fs::create_dir_all(parent).with_context(failure)?;
        let directory = tempfile::Builder::new()
            .prefix(".container-image-")
            .permissions(Permissions::from_mode(0o755))
            .tempdir_in(parent)
            .with_context(failure)?;
        fs::create_dir_all(directory.path().join("blobs/sha256")).with_context(failure)?;
        Ok(Self {
            directory,
            output: output.to_owned(),
        })
    }

    /// Stores a blob.
    pub(super) fn add(&mut self, media_type: &'static str, bytes: &[u8]) -> Result<Blob> {
        let digest = sha256(bytes);
        self.write(&format!("blobs/{}", digest.replace(':', "/")), bytes)?;
        Ok(Blob {
            media_type,
            digest,
            size: bytes.len(),
        })
    }

    /// Stores a blob of JSON.
    pub(super) fn add_json(&mut self, media_type: &'static str, value: &Value) -> Result<Blob> {
        self.add(media_type, value.to_string().as_bytes())
    }

    /// Names the image and moves the layout to its final place.
    pub(super) fn finish(self, image: &Blob, name: &str) -> Result<()> {
        let mut descriptor = image.descriptor();
        if let Some(descriptor) = descriptor.as_object_mut() {
            let names = json!({
                "io.containerd.image.name": name,
                "org.opencontainers.image.ref.name": name,
            });
            descriptor.insert("annotations".to_owned(), names);
        }
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [descriptor],
        });
        self.write("index.json", index.to_string().as_bytes())?;
        let version = json!({"imageLayoutVersion": "1.0.0"});
        self.write("oci-layout", version.to_string().as_bytes())?;
        let failure = || format!("cannot replace {}", self.output.display());
        if self.output.exists() {
            fs::remove_dir_all(&self.output).with_context(failure)?;
        }
        fs::rename(self.directory.path(), &self.output).with_context(failure)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.directory.path().join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Returns the digest of `bytes`.
pub(super) fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let mut text = "sha256:".to_owned();
    for byte in digest.as_ref() {
        // Writing to a string never fails.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
