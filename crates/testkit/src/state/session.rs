//! Upload sessions.

use bytes::{Bytes, BytesMut};

use crate::blob::Blob;
use crate::digest::{self, Hasher};

/// Handling of the bytes of uploads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Uploads {
    /// They are hashed and kept.
    Kept,
    /// They are hashed and discarded.
    Hashed,
    /// They are discarded, and the client's digest is trusted.
    Believed,
}

/// The bytes of one upload so far.
pub(crate) struct Session {
    pub(crate) repository: String,
    /// The received bytes, unless blob bytes are discarded.
    stored: Option<BytesMut>,
    size: u64,
    hasher: Hasher,
    uploads: Uploads,
    /// Number of accepted `PATCH` requests.
    pub(crate) patches: u64,
    /// Size after the first PATCH, which ECR's `Range` always shows.
    pub(crate) first_patch: u64,
}

impl Session {
    pub(crate) fn new(repository: &str, algorithm: &str, uploads: Uploads) -> Self {
        Self {
            repository: repository.to_owned(),
            stored: (uploads == Uploads::Kept).then(BytesMut::new),
            size: 0,
            hasher: Hasher::new(algorithm),
            uploads,
            patches: 0,
            first_patch: 0,
        }
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        if self.uploads != Uploads::Believed {
            self.hasher.update(bytes);
        }
        if let Some(stored) = &mut self.stored {
            stored.extend_from_slice(bytes);
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Returns the uploaded blob if it has this digest, or else the digest that it has.
    pub(crate) fn finish(&mut self, wanted: &str) -> Result<Blob, String> {
        let Some(algorithm) = digest::algorithm(wanted) else {
            return Err(self.hasher.finish());
        };
        let actual = if self.uploads == Uploads::Believed {
            wanted.to_owned()
        } else if algorithm == self.hasher.algorithm() {
            self.hasher.finish()
        } else {
            // The session was opened without `digest-algorithm`, so only one digest was computed.
            let stored = self.stored.as_deref().unwrap_or_default();
            digest::same_algorithm(wanted, stored).unwrap_or_default()
        };
        if actual != wanted {
            return Err(actual);
        }
        Ok(match self.stored.take() {
            Some(stored) => Blob::with_digest(actual, Bytes::from(stored)),
            None => Blob::discarded(actual, self.size),
        })
    }
}
