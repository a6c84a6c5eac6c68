//! The file that `--output-success-images` names.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use sync::{Event, Listener, Outcome};

use crate::cli::ImagesFormat;
use crate::replacement::{self, Replacement};

/// The flag that asks for it.
const FLAG: &str = "--output-success-images";

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
        Replacement::of(FLAG, &path)?;
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
        let mut file = Replacement::of(FLAG, &self.path)?;
        let name = file.name();
        file.write_all(text.as_bytes())
            .and_then(|()| file.put())
            .map_err(|error| replacement::failed(FLAG, &name, &error))
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
