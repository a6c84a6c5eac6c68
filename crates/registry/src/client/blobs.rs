//! Blobs (docs/protocol.md#blobs).
//!
//! Retries follow the policy of the pipeline, except that a small blob that arrives corrupt is read once more.

use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode};

use crate::client::blob_request::{blob_request, leads_to_blob_request};
use crate::client::{BlobReader, Client, ranges};
use crate::error::{Error, ErrorKind};
use crate::manifest::Descriptor;
use crate::reference::Repository;
use crate::transport::Lane;

/// Presence of a blob in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The registry does not have it.
    Absent,
    /// The registry has it, with the size of the descriptor as far as either is known.
    Present,
    /// The registry has something else under its digest, with this size in bytes.
    WrongSize(u64),
}

impl Client {
    /// Returns whether `repository` has the blob with the right size; see [`Client::head_blob`].
    pub async fn has_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Result<bool, Error> {
        let found = self.head_blob(repository, descriptor).await?;
        Ok(found == Presence::Present)
    }
    /// Looks up the blob in `repository` by HEAD. A redirect to another host means that the blob exists and is not
    /// followed: registries look up the blob before they redirect to its storage.
    pub async fn head_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Result<Presence, Error> {
        let found = self.look_for_blob(repository, descriptor).await;
        self.checked(repository, found).await
    }

    async fn look_for_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Result<Presence, Error> {
        let request = blob_request(
            Method::HEAD,
            repository,
            &descriptor.digest,
            "look for blob",
        )
        .follow(false);
        let fits = |status: StatusCode| {
            status.is_success()
                || status.is_redirection()
                || matches!(status.as_u16(), 404 | 405 | 501)
        };
        let mut response = self.answer(&request, fits).await?;
        if leads_to_blob_request(&response) {
            response.body.drain().await;
            response = self.answer(&request.clone().follow(true), fits).await?;
        }
        if matches!(response.status.as_u16(), 405 | 501) {
            // The registry does not support HEAD: the head of a GET says the same, and its body is dropped.
            let get = request.method(Method::GET).lane(Lane::Downloads);
            response = self.answer(&get, fits).await?;
        }
        let length = ranges::content_length(&response.headers)
            .filter(|length| descriptor.known_size().is_some_and(|size| size != *length));
        let found = match (response.status, length) {
            (StatusCode::NOT_FOUND, _) => Presence::Absent,
            (status, Some(length)) if status.is_success() => {
                let capabilities = &self.inner.capabilities;
                capabilities.saw_damage(repository.path(), &descriptor.digest, None);
                Presence::WrongSize(length)
            }
            _ => Presence::Present,
        };
        response.body.drain().await;
        Ok(found)
    }
    /// Returns the size of a blob whose descriptor states none (schema 1), by HEAD; `None` if the registry states none
    /// either. A missing blob is an error.
    pub async fn blob_size(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Result<Option<u64>, Error> {
        let request = blob_request(Method::HEAD, repository, &descriptor.digest, "measure blob");
        let response = self
            .answer(&request, |status| status == StatusCode::OK)
            .await?;
        let length = ranges::content_length(&response.headers);
        response.body.drain().await;
        Ok(length)
    }
    /// Opens the blob for reading from byte `offset`. The reader resumes after breaks. It hashes and measures the blob
    /// if `offset` is 0.
    pub async fn open_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        offset: u64,
    ) -> Result<BlobReader, Error> {
        let opened = BlobReader::open(self, repository, descriptor, offset).await;
        self.checked(repository, opened).await
    }
    /// Reads and verifies a small blob (a config); more than `limit` bytes is an error. A blob that arrives corrupt is
    /// read once more.
    pub async fn read_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        limit: u64,
    ) -> Result<Bytes, Error> {
        if descriptor.size.is_some_and(|size| size > limit) {
            return Err(too_large(repository, descriptor, limit));
        }
        match self.read_once(repository, descriptor, limit).await {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                self.read_once(repository, descriptor, limit).await
            }
            result => result,
        }
    }

    async fn read_once(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        limit: u64,
    ) -> Result<Bytes, Error> {
        let mut reader = self.open_blob(repository, descriptor, 0).await?;
        if reader.size().is_some_and(|size| size > limit) {
            return Err(too_large(repository, descriptor, limit));
        }
        let mut bytes = BytesMut::new();
        while let Some(chunk) = reader.chunk().await? {
            if bytes.len() as u64 + chunk.len() as u64 > limit {
                return Err(too_large(repository, descriptor, limit));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }
}

fn too_large(repository: &Repository, descriptor: &Descriptor, limit: u64) -> Error {
    blob_request(Method::GET, repository, &descriptor.digest, "fetch blob").error(
        ErrorKind::Protocol,
        format!("it is larger than the {limit} bytes that are read of such a blob"),
    )
}
