//! The directory that a layout or an archive is written to, which one process holds at a time.

use std::path::Path;
use std::sync::Arc;

use image_syncer_registry::ErrorKind;

use super::directory::LayoutDirectory;
use super::index_file::Contents;
use super::write_lock::WriteLock;
use super::{Layout, run_blocking};
use crate::lock::lock;
use crate::store::FilePath;
use crate::store::layout_format::LayoutError;

/// Maximum number of directories that are locked in turn, each after its predecessor was removed.
const MAX_TRIES: u32 = 16;

impl Layout {
    /// Locks the directory. That of an archive is removed by the process that held the lock, and created again then.
    ///
    /// # Errors
    /// If it cannot be created, has other files, or another process holds the lock.
    pub(super) async fn lock_directory(
        &self,
    ) -> Result<(Arc<LayoutDirectory>, WriteLock), LayoutError> {
        self.reserve_archive().await?;
        let mut tries = 1;
        loop {
            let known = lock(&self.directory).clone();
            let directory = match known {
                Some(directory) => Ok(directory),
                None => self.create_directory().await,
            };
            let (is_there, locked) = match directory {
                Err(error) => (error.kind() != ErrorKind::NotFound, Err(error)),
                Ok(directory) => {
                    let locked = lock_layout(&directory).await;
                    let is_there = run_blocking(&directory, |it| Ok(it.is_in_place())).await?;
                    (is_there, locked.map(|write_lock| (directory, write_lock)))
                }
            };
            if self.archive.is_none() || is_there || tries == MAX_TRIES {
                return locked;
            }
            tries += 1;
            *lock(&self.directory) = None;
        }
    }
    /// Reserves the file of an archive, which keeps processes apart that gather in different directories.
    async fn reserve_archive(&self) -> Result<(), LayoutError> {
        let Some(archive) = self.archive.clone() else {
            return Ok(());
        };
        let reserved = tokio::task::spawn_blocking(move || archive.target().map(drop)).await;
        reserved.unwrap_or_else(|_| Err(LayoutError::lost("write images", &self.endpoint)))
    }
    async fn create_directory(&self) -> Result<Arc<LayoutDirectory>, LayoutError> {
        let (archive, endpoint) = (self.archive.clone(), self.endpoint.clone());
        let created = tokio::task::spawn_blocking(move || {
            let path = if let Some(archive) = &archive {
                archive.target()?.folder().to_owned()
            } else {
                let path = endpoint.path().map(FilePath::as_written);
                path.unwrap_or(Path::new("")).to_owned()
            };
            std::fs::create_dir_all(&path)
                .and_then(|()| LayoutDirectory::open(&path, &endpoint))
                .map_err(|error| {
                    let action = format!("create {}", path.display());
                    LayoutError::io(action, &endpoint, &error)
                })
        });
        let created = created.await;
        let lost = || Err(LayoutError::lost("create the layout", &self.endpoint));
        let created = created.unwrap_or_else(|_| lost());
        let directory = Arc::new(created?);
        *lock(&self.directory) = Some(Arc::clone(&directory));
        Ok(directory)
    }
}

/// Waits for the lock of a layout. Another process may have put something else there, which is not touched.
async fn lock_layout(directory: &Arc<LayoutDirectory>) -> Result<WriteLock, LayoutError> {
    run_blocking(directory, |directory| Contents::read(directory).map(drop)).await?;
    WriteLock::acquire(directory).await
}
