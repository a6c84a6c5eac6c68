//! Reading a blob: resumed where it breaks, verified before its last byte is handed on.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::BoxFuture;

use crate::error::Error;

/// The bytes of a blob as they come. The end of the stream means that all of it came and is what it should be.
pub type BlobStream = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

/// Where the bytes of an upload come from. An upload opens it when the destination is ready for bytes, and again
/// when they must be sent anew or from where the destination says it stands.
pub trait BlobSource: Send + Sync {
    /// The bytes from `offset` on.
    fn open(&self, offset: u64) -> BoxFuture<'_, Result<BlobStream, Error>>;
}

/// A blob being read.
pub struct BlobReader {}

impl BlobReader {
    /// The next bytes, or `None` at the end. The last bytes are given only when the digest and the length of the
    /// whole are right; else [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt), which names host, digest expected and found.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        todo!()
    }
    /// As a stream.
    pub fn into_stream(self) -> BlobStream {
        todo!()
    }
}
