//! Uploads of blobs to a layout.

use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;
use image_syncer_registry::{BlobSource, Descriptor, Digest, Error, Presence};

use super::Layout;
use crate::keyed::{KeyedLock, KeyedLockGuard};
use crate::store::layout_format::LayoutError;

/// An upload of a blob. A second upload of the same blob waits for the first.
pub(crate) struct LayoutUpload {
    layout: Arc<Layout>,
    blob: Descriptor,
    turn: Option<Turn>,
}

struct Turn {
    _guard: KeyedLockGuard<Arc<KeyedLock<Digest>>, Digest>,
    /// Another upload has written the blob meanwhile.
    is_written: bool,
}

impl LayoutUpload {
    /// Opens an upload. Nothing is written yet.
    pub(crate) fn open(layout: &Arc<Layout>, blob: &Descriptor) -> Self {
        Self {
            layout: Arc::clone(layout),
            blob: blob.clone(),
            turn: None,
        }
    }
    /// Waits for the end of another upload of the same blob.
    ///
    /// # Errors
    /// If the layout cannot be read or locked.
    pub(crate) async fn reserve(&mut self) -> Result<(), LayoutError> {
        if self.turn.is_some() {
            return Ok(());
        }
        let table = Arc::clone(&self.layout.blobs);
        let mut waiting = pin!(table.lock_owned(self.blob.digest.clone()));
        let (guard, waited) = match waiting.as_mut().now_or_never() {
            Some(guard) => (guard, false),
            None => (waiting.await, true),
        };
        // Without a wait, the blob is written even if there is one: it may be damaged.
        let is_written = waited && self.layout.head_blob(&self.blob).await? == Presence::Present;
        self.turn = Some(Turn {
            _guard: guard,
            is_written,
        });
        Ok(())
    }
    /// Writes the bytes of `source`, whose errors are returned unchanged.
    ///
    /// # Errors
    /// If the bytes do not match the digest, or cannot be written.
    pub(crate) async fn send(mut self, source: &dyn BlobSource) -> Result<(), Error> {
        self.reserve().await?;
        if self.turn.as_ref().is_some_and(|turn| turn.is_written) {
            return Ok(());
        }
        let writer = self.layout.writer().await?;
        let bytes = source.open(0).await?;
        writer.write_blob(&self.blob, bytes).await.map(drop)
    }
}
