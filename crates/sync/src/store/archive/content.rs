//! Bytes of one file of a layout or an archive.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::io::Errno;

/// Bytes of one file: a file of its own, a part of an archive, or bytes in memory.
#[derive(Clone, Debug)]
pub(in crate::store) enum Content {
    /// A part of a file.
    Range {
        /// The file.
        file: Arc<File>,
        /// Offset of the first byte.
        start: u64,
        /// Number of bytes.
        length: u64,
    },
    /// Bytes in memory.
    Memory(Bytes),
}

impl Content {
    /// Creates the content of a whole file of `length` bytes.
    pub(in crate::store) fn whole(file: File, length: u64) -> Self {
        Self::Range {
            file: Arc::new(file),
            start: 0,
            length,
        }
    }
    /// Returns the number of bytes.
    pub(in crate::store) fn length(&self) -> u64 {
        match self {
            Self::Range { length, .. } => *length,
            Self::Memory(bytes) => bytes.len() as u64,
        }
    }
    /// Reads `most` bytes from `position` on; fewer only at the end, or where the file was cut. Blocks.
    pub(in crate::store) fn read_at(&self, position: u64, most: u64) -> io::Result<Bytes> {
        let most = most.min(self.length().saturating_sub(position));
        let most = usize::try_from(most).map_err(io::Error::other)?;
        match self {
            Self::Memory(bytes) => {
                let start = usize::try_from(position).map_err(io::Error::other)?;
                let end = start.saturating_add(most);
                Ok(bytes
                    .get(start..end)
                    .map_or_else(Bytes::new, |part| bytes.slice_ref(part)))
            }
            Self::Range { file, start, .. } => {
                let mut chunk = Vec::with_capacity(most);
                while chunk.len() < most {
                    let offset = start
                        .saturating_add(position)
                        .saturating_add(chunk.len() as u64);
                    match rustix::io::pread(file, spare_capacity(&mut chunk), offset) {
                        Ok(0) => break,
                        Ok(_) | Err(Errno::INTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                // The allocation may be larger than was requested.
                chunk.truncate(most);
                Ok(chunk.into())
            }
        }
    }
    /// Reads all bytes, at most `limit`. Blocks.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] if there are more.
    pub(in crate::store) fn read(&self, limit: u64) -> io::Result<Bytes> {
        let length = self.length();
        if length > limit {
            let why = format!("it has {length} bytes, more than the {limit} that are read");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        self.read_at(0, length)
    }
}
