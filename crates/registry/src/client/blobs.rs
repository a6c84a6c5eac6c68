//! Blobs (protocol.md section 2.4).

use bytes::Bytes;

use crate::client::{BlobReader, Client};
use crate::error::Error;
use crate::manifest::Descriptor;
use crate::reference::Repository;

impl Client {
    /// Whether `repository` has the blob, by HEAD. A redirect answers yes and is not followed.
    pub async fn has_blob(
        &self,
        _repository: &Repository,
        _descriptor: &Descriptor,
    ) -> Result<bool, Error> {
        todo!()
    }
    /// Opens the blob for reading from byte `offset`. The reader resumes what breaks, and hashes and measures
    /// what it reads when it starts at 0.
    pub async fn open_blob(
        &self,
        _repository: &Repository,
        _descriptor: &Descriptor,
        _offset: u64,
    ) -> Result<BlobReader, Error> {
        todo!()
    }
    /// Reads a small blob whole (a config), verified; more than `limit` bytes is an error.
    pub async fn read_blob(
        &self,
        _repository: &Repository,
        _descriptor: &Descriptor,
        _limit: u64,
    ) -> Result<Bytes, Error> {
        todo!()
    }
}
