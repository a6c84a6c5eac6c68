//! Reading of blobs: measured before the first byte, verified before the last one.
//!
//! The rules are those of blobs from registries: the digest identifies the blob, and a caller that passes the bytes on
//! never completes a wrong blob. A descriptor whose size differs from that of the file may be wrong, as those of some
//! builders are; the file is then verified before it is read.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use image_syncer_registry::{BlobSize, BlobStream, Descriptor, Digest, Error, ErrorKind, Hasher};

use super::files::LayoutFiles;
use super::{blob_path, run_blocking};
use crate::store::archive::Content;
use crate::store::layout_format::{LayoutError, Located};

/// Bytes that are read at a time.
const CHUNK: u64 = 256 * 1024;

/// A blob that is being read.
struct BlobFile {
    files: Arc<LayoutFiles>,
    digest: Digest,
    content: Content,
    length: u64,
    position: u64,
    /// `None` if the reading began within the blob, which cannot be verified then.
    hasher: Option<Hasher>,
    ended: bool,
}

/// Opens a stream of the bytes of `blob` from `offset` on.
///
/// # Errors
/// If the blob is missing, has another size, or has a digest that cannot be verified.
pub(super) async fn open(
    files: &Arc<LayoutFiles>,
    blob: &Descriptor,
    offset: u64,
) -> Result<BlobStream, LayoutError> {
    let blob = blob.clone();
    let file = run_blocking(files, move |files| BlobFile::open(files, &blob, offset));
    let file = file.await?;
    let size = BlobSize::known(file.length);
    let bytes = stream::try_unfold(file, |file| async move {
        let files = Arc::clone(&file.files);
        let next = run_blocking(&files, move |_| file.next());
        next.await.map_err(Error::from)
    });
    Ok(BlobStream::new(bytes).with_size(&size))
}

/// Reads a whole blob of at most `limit` bytes.
///
/// # Errors
/// If the blob is missing, too long, or damaged.
pub(super) async fn read(
    files: &Arc<LayoutFiles>,
    blob: &Descriptor,
    limit: u64,
) -> Result<Bytes, LayoutError> {
    let blob = blob.clone();
    run_blocking(files, move |files| {
        let file = BlobFile::open(files, &blob, 0)?;
        if file.length > limit {
            let why = format!(
                "it has {} bytes, more than the {limit} that are read",
                file.length
            );
            return Err(file.error(ErrorKind::Protocol, why));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(file.length).unwrap_or_default());
        let mut rest = file;
        while let Some((chunk, file)) = rest.next()? {
            bytes.extend_from_slice(&chunk);
            rest = file;
        }
        Ok(bytes.into())
    })
    .await
}

impl BlobFile {
    fn open(files: &Arc<LayoutFiles>, blob: &Descriptor, offset: u64) -> Result<Self, LayoutError> {
        let digest = &blob.digest;
        let failed = |error: &io::Error| files.error(action(digest), error).of_part();
        let refuse = |kind, why| LayoutError::new(kind, action(digest), files.endpoint(), why);
        let opened = files.open(&blob_path::path(digest));
        let content = opened.map_err(|error| failed(&error))?;
        let length = content.length();
        let hasher =
            Hasher::new(digest).map_err(|error| refuse(ErrorKind::Protocol, error.to_string()))?;
        let mut blob_file = Self {
            files: Arc::clone(files),
            digest: digest.clone(),
            content,
            length,
            position: 0,
            hasher: Some(hasher.clone()),
            ended: false,
        };
        if let Some(size) = blob.known_size().filter(|size| *size != length) {
            let found = blob_file.digest_of_file().map_err(|error| failed(&error))?;
            if found != *digest {
                let why = format!("it is damaged: the file has {length} bytes instead of {size}");
                return Err(refuse(ErrorKind::Corrupt, why));
            }
            blob_file.hasher = Some(hasher);
        }
        if offset > 0 {
            if offset > length {
                let why = format!("it has {length} bytes, and byte {offset} was requested");
                return Err(refuse(ErrorKind::Protocol, why));
            }
            blob_file.hasher = None;
            blob_file.position = offset;
        }
        Ok(blob_file)
    }
    /// Computes the digest of the whole file.
    fn digest_of_file(&mut self) -> io::Result<Digest> {
        let Some(mut hasher) = self.hasher.take() else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let mut position = 0;
        loop {
            let chunk = self.content.read_at(position, CHUNK)?;
            if chunk.is_empty() {
                return Ok(hasher.finish());
            }
            position = position.saturating_add(chunk.len() as u64);
            hasher.update(&chunk);
        }
    }
    /// Reads the next bytes. Returns `None` at the end of a blob that is complete.
    fn next(mut self) -> Result<Option<(Bytes, Self)>, LayoutError> {
        if self.ended {
            return Ok(None);
        }
        let chunk = self.content.read_at(self.position, CHUNK);
        let chunk = chunk.map_err(|error| self.files.error(action(&self.digest), &error))?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&chunk);
        }
        self.position = self.position.saturating_add(chunk.len() as u64);
        if self.position < self.length && chunk.is_empty() {
            let (position, length) = (self.position, self.length);
            let why = format!("the file was cut to {position} of {length} bytes while it was read");
            return Err(self.error(ErrorKind::Corrupt, why));
        }
        if self.position >= self.length {
            self.ended = true;
            if let Some(found) = self.hasher.take().map(Hasher::finish)
                && found != self.digest
            {
                let length = self.length;
                let why = format!("it is damaged: its {length} bytes have the digest {found}");
                return Err(self.error(ErrorKind::Corrupt, why));
            }
        }
        Ok((!chunk.is_empty()).then_some((chunk, self)))
    }
    fn error(&self, kind: ErrorKind, why: String) -> LayoutError {
        LayoutError::new(kind, action(&self.digest), self.files.endpoint(), why)
    }
}

fn action(digest: &Digest) -> String {
    format!("read blob {digest}")
}
