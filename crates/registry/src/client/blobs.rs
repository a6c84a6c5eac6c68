//! Blobs (docs/protocol.md#blobs).

use bytes::{Bytes, BytesMut};
use http::header::LOCATION;
use http::{Method, StatusCode};
use url::Url;

use crate::auth::ScopeSet;
use crate::client::request::RequestSpec;
use crate::client::{BlobReader, Client, ranges};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind};
use crate::manifest::Descriptor;
use crate::reference::Repository;
use crate::transport::{Lane, Response};

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
    /// Returns whether `repository` has the blob with the right size; see [`Client::find_blob`].
    pub async fn has_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Result<bool, Error> {
        let found = self.find_blob(repository, descriptor).await?;
        Ok(found == Presence::Present)
    }
    /// Looks up the blob in `repository` by HEAD. A redirect to another host means that the blob exists and is not
    /// followed: registries look up the blob before they redirect to its storage.
    pub async fn find_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Result<Presence, Error> {
        let ask = blob_ask(
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
        let mut response = self.answer(&ask, fits).await?;
        if leads_to_blob_request(&response) {
            response.body.drain().await;
            response = self.answer(&ask.clone().follow(true), fits).await?;
        }
        if matches!(response.status.as_u16(), 405 | 501) {
            // The registry does not support HEAD: the head of a GET says the same, and its body is dropped.
            let get = ask.method(Method::GET).lane(Lane::Downloads);
            response = self.answer(&get, fits).await?;
        }
        let length = ranges::content_length(&response.headers)
            .filter(|length| descriptor.known_size().is_some_and(|size| size != *length));
        let found = match (response.status, length) {
            (StatusCode::NOT_FOUND, _) => Presence::Absent,
            (status, Some(length)) if status.is_success() => {
                let habits = &self.inner.habits;
                habits.saw_damage(repository.path(), &descriptor.digest, None);
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
        let ask = blob_ask(Method::HEAD, repository, &descriptor.digest, "measure blob");
        let response = self.answer(&ask, |status| status == StatusCode::OK).await?;
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

/// Returns a request that reads or looks up a blob.
pub(super) fn blob_ask(
    method: Method,
    repository: &Repository,
    digest: &Digest,
    verb: &str,
) -> RequestSpec {
    RequestSpec::new(
        method,
        repository,
        ScopeSet::pull(repository),
        format!("blobs/{digest}"),
        format!("{verb} {digest} of {}", repository.path()),
    )
}

/// Returns whether the answer redirects to another request for the blob, which says nothing about its existence: at the
/// host that it came from, or at another registry under the same API path (a vanity name). Other redirects lead to
/// storage.
pub(super) fn leads_to_blob_request(response: &Response) -> bool {
    let is_same_request = |target: &Url| {
        let name = |url: &Url| {
            let path = url.path().strip_prefix("/v2/")?;
            path.rsplit_once("/blobs/")
                .map(|(_, digest)| digest.to_owned())
        };
        name(target).is_some_and(|digest| name(&response.url) == Some(digest))
    };
    response.status.is_redirection()
        && response
            .headers
            .get(LOCATION)
            .and_then(|location| response.url.join(location.to_str().ok()?).ok())
            .is_none_or(|target| {
                target.origin() == response.url.origin() || is_same_request(&target)
            })
}

fn too_large(repository: &Repository, descriptor: &Descriptor, limit: u64) -> Error {
    blob_ask(Method::GET, repository, &descriptor.digest, "fetch blob").error(
        ErrorKind::Protocol,
        format!("it is larger than the {limit} bytes that are read of such a blob"),
    )
}
