//! The file that `--output-success-images` names.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, bail};
use sync::{Event, Listener, Outcome};
use tempfile::NamedTempFile;

use crate::cli::ImagesFormat;

/// Collects what is at its destination, copied now or there before, and writes it down at the end.
pub(crate) struct ImagesFile {
    path: PathBuf,
    format: ImagesFormat,
    images: Mutex<BTreeMap<String, BTreeSet<String>>>,
}

impl ImagesFile {
    /// Collects for `path`.
    ///
    /// # Errors
    /// When the file cannot be written, as far as that can be told beforehand: better now than after hours.
    pub(crate) fn new(path: PathBuf, format: ImagesFormat) -> anyhow::Result<Self> {
        // What a link points to is replaced, not the link.
        let path = path.canonicalize().unwrap_or(path);
        if path.is_dir() {
            bail!(
                "--output-success-images {}: this is a directory: name a file in it",
                path.display()
            );
        }
        beside(&path).with_context(|| {
            format!(
                "--output-success-images {}: no file can be written there; name one in a directory that exists and \
                 may be written to",
                path.display()
            )
        })?;
        Ok(Self {
            path,
            format,
            images: Mutex::default(),
        })
    }

    /// Writes the file, in one piece or not at all.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let text = {
            let images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
            match self.format {
                ImagesFormat::Json => serde_json::to_string_pretty(&*images)? + "\n",
                ImagesFormat::Yaml => sync::config::to_yaml(&*images)?,
            }
        };
        self.replace(text.as_bytes())
            .with_context(|| format!("cannot write {}", self.path.display()))
    }

    fn replace(&self, bytes: &[u8]) -> std::io::Result<()> {
        let mut file = beside(&self.path)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        Ok(())
    }
}

impl Listener for ImagesFile {
    fn event(&self, event: &Event) {
        let Event::ImageFinished {
            image,
            outcome: Outcome::Copied(_) | Outcome::Unchanged { .. },
            ..
        } = event
        else {
            return;
        };
        self.images
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(image.source.clone())
            .or_default()
            .insert(image.destination.clone());
    }
}

/// A file beside `path` that can take its place; removed when it is dropped instead.
fn beside(path: &Path) -> std::io::Result<NamedTempFile> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    // What the process's umask leaves of it, as for any file; a temporary file alone would be the owner's only.
    tempfile::Builder::new()
        .prefix(".image-syncer-")
        .permissions(std::fs::Permissions::from_mode(0o666))
        .tempfile_in(directory)
}
