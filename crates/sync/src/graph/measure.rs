//! Sizes of blobs whose descriptors lack one: layers of schema 1.

use futures_util::{StreamExt, TryStreamExt, stream};
use image_syncer_registry::{Descriptor, ErrorKind};

use crate::failure::Failure;
use crate::graph::{FETCHES, SourceImage};

impl SourceImage {
    /// Returns `blobs` with their sizes: a HEAD at the source for each blob without one, since an upload needs the
    /// size.
    pub(crate) async fn measured(
        &self,
        blobs: Vec<Descriptor>,
    ) -> Result<Vec<Descriptor>, Failure> {
        if blobs.iter().all(|blob| blob.size.is_some()) {
            return Ok(blobs);
        }
        stream::iter(blobs)
            .map(|blob| self.measure(blob))
            .buffered(FETCHES)
            .try_collect()
            .await
    }

    async fn measure(&self, mut blob: Descriptor) -> Result<Descriptor, Failure> {
        if blob.size.is_none() {
            let size = self.store.blob_size(&blob).await;
            let size = size?;
            let Some(size) = size else {
                let path = self.store.repository().path();
                let action = format!("measure blob {} of {path}", blob.digest);
                let message = "neither its manifest nor the registry says how large it is";
                return Err(self.failure(ErrorKind::Protocol, action, message));
            };
            blob.size = Some(size);
        }
        Ok(blob)
    }
}
