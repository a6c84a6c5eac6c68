//! Writing of blobs and manifests.
//!
//! A file is written under a temporary name, hashed on the way, and gets its final name when it is complete. So a
//! process that is killed leaves no damaged blob.
//!
//! Everything is on the disk before an `index.json` names it. Large files are synced as soon as they are written. Small
//! ones are synced together before the next `index.json` ([`LayoutWriter::sync`]): a disk that syncs 200 files a second
//! one after the other syncs thousands at the same time.

use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use image_syncer_registry::{BlobStream, Descriptor, Digest, Error, ErrorKind, Hasher};

use super::blob_path;
use super::directory::{LayoutDirectory, TemporaryFile};
use super::run_blocking;
use super::write_lock::WriteLock;
use crate::lock::lock;
use crate::store::layout_format::{LayoutError, Located};

/// Bytes that are written at a time.
const CHUNK: usize = 256 * 1024;

/// Length from which on a file is synced by itself.
const LARGE: u64 = 1024 * 1024;

/// Number of small files that are synced at the same time.
const SYNCS: usize = 64;

/// The right to write to a layout, for as long as it lives.
pub(in crate::store) struct LayoutWriter {
    directory: Arc<LayoutDirectory>,
    _lock: WriteLock,
    /// Directories of blobs that exist.
    folders: Mutex<HashSet<String>>,
    /// Files that are not on the disk yet.
    unsynced: Mutex<Vec<Digest>>,
    has_written: AtomicBool,
}

/// A blob that is being written.
pub(super) struct PartialBlob {
    file: TemporaryFile,
    hasher: Hasher,
    length: u64,
}

impl LayoutWriter {
    /// Creates the writer of a layout whose lock is held.
    pub(super) fn new(directory: Arc<LayoutDirectory>, lock: WriteLock) -> Self {
        Self {
            directory,
            _lock: lock,
            folders: Mutex::default(),
            unsynced: Mutex::default(),
            has_written: false.into(),
        }
    }
    /// The directory of the layout.
    pub(super) fn directory(&self) -> &Arc<LayoutDirectory> {
        &self.directory
    }
    /// Returns true if a blob or a manifest was written.
    pub(super) fn has_written(&self) -> bool {
        self.has_written.load(Ordering::Acquire)
    }
    /// Writes `blob` from `bytes`. An error of the stream is returned unchanged.
    ///
    /// # Errors
    /// If the bytes do not match the digest, or cannot be written.
    pub(super) async fn write_blob(
        self: &Arc<Self>,
        blob: &Descriptor,
        mut bytes: BlobStream,
    ) -> Result<(), Error> {
        let (mut partial, mut batch, mut gathered) = (None, Vec::new(), 0);
        while let Some(next) = bytes.next().await {
            let next = next?;
            gathered += next.len();
            batch.push(next);
            if gathered >= CHUNK {
                gathered = 0;
                let batch = std::mem::take(&mut batch);
                let appended = self.append(&blob.digest, partial.take(), batch).await?;
                let size = bytes.size().get().filter(|size| appended.length > *size);
                if let Some(size) = size {
                    let why = format!("more than {size} bytes came");
                    return Err(self.error(ErrorKind::Corrupt, &blob.digest, why).into());
                }
                partial = Some(appended);
            }
        }
        let (writer, digest) = (Arc::clone(self), blob.digest.clone());
        let ended = run_blocking(&self.directory, move |_| {
            writer.complete(&digest, partial, &batch)
        });
        ended.await.map_err(Error::from)
    }
    /// Waits until all files and their names are on the disk.
    ///
    /// # Errors
    /// If one could not be written. It is tried again the next time.
    pub(super) async fn sync(self: &Arc<Self>) -> Result<(), LayoutError> {
        let unsynced = std::mem::take(&mut *lock(&self.unsynced));
        let synced = stream::iter(unsynced.iter().cloned().map(|digest| {
            run_blocking(&self.directory, move |directory| {
                let synced = directory.sync_file(&blob_path::path(&digest));
                synced.map_err(|error| directory.error(action(&digest), &error))
            })
        }));
        let synced = synced.buffer_unordered(SYNCS).try_collect::<()>().await;
        if let Err(error) = synced {
            lock(&self.unsynced).extend(unsynced);
            return Err(error);
        }
        let folders: Vec<String> = lock(&self.folders).iter().cloned().collect();
        run_blocking(&self.directory, move |directory| {
            let synced = folders.iter().try_for_each(|folder| directory.sync(folder));
            synced.map_err(|error| directory.error("write blobs", &error))
        })
        .await
    }
    async fn append(
        self: &Arc<Self>,
        digest: &Digest,
        partial: Option<PartialBlob>,
        batch: Vec<Bytes>,
    ) -> Result<PartialBlob, LayoutError> {
        let (writer, digest) = (Arc::clone(self), digest.clone());
        run_blocking(&self.directory, move |_| {
            let mut partial = writer.begin(&digest, partial)?;
            let appended = partial.append(&batch);
            appended.map_err(|error| writer.directory.error(action(&digest), &error))?;
            Ok(partial)
        })
        .await
    }
    /// Writes a blob whose last bytes are `batch`. Blocks.
    ///
    /// # Errors
    /// If the bytes do not match the digest, or cannot be written.
    pub(super) fn complete(
        &self,
        digest: &Digest,
        partial: Option<PartialBlob>,
        batch: &[Bytes],
    ) -> Result<(), LayoutError> {
        let failed = |error: &io::Error| self.directory.error(action(digest), error);
        let mut partial = self.begin(digest, partial)?;
        partial.append(batch).map_err(|error| failed(&error))?;
        let PartialBlob {
            file,
            hasher,
            length,
        } = partial;
        let found = hasher.finish();
        if found != *digest {
            let why = format!("the {length} bytes that came have the digest {found}");
            return Err(self.error(ErrorKind::Corrupt, digest, why));
        }
        if length >= LARGE {
            file.sync().map_err(|error| failed(&error))?;
        }
        file.put(&blob_path::folder(digest), digest.encoded())
            .map_err(|error| failed(&error))?;
        self.has_written.store(true, Ordering::Release);
        if length < LARGE {
            lock(&self.unsynced).push(digest.clone());
        }
        Ok(())
    }
    /// Returns `partial`, or a new blob. Blocks.
    fn begin(
        &self,
        digest: &Digest,
        partial: Option<PartialBlob>,
    ) -> Result<PartialBlob, LayoutError> {
        if let Some(partial) = partial {
            return Ok(partial);
        }
        let hasher = Hasher::new(digest)
            .map_err(|error| self.error(ErrorKind::Rejected, digest, error.to_string()))?;
        let folder = blob_path::folder(digest);
        let create = || {
            if !lock(&self.folders).contains(&folder) {
                self.directory.create_directories(&folder)?;
                lock(&self.folders).insert(folder);
            }
            self.directory.create_temporary()
        };
        let file = create().map_err(|error| self.directory.error(action(digest), &error))?;
        Ok(PartialBlob {
            file,
            hasher,
            length: 0,
        })
    }
    fn error(&self, kind: ErrorKind, digest: &Digest, why: String) -> LayoutError {
        LayoutError::new(kind, action(digest), self.directory.endpoint(), why)
    }
}

impl PartialBlob {
    fn append(&mut self, batch: &[Bytes]) -> io::Result<()> {
        for bytes in batch {
            self.file.file().write_all(bytes)?;
            self.hasher.update(bytes);
            self.length = self.length.saturating_add(bytes.len() as u64);
        }
        Ok(())
    }
}

fn action(digest: &Digest) -> String {
    format!("write blob {digest}")
}
