//! Uploads (docs/protocol.md#uploads): mount or session in one POST, then the bytes in a form that the host accepts.
//!
//! [`session`] opens a session, or finds that none is needed. [`driver`] is the loop that sends the bytes and recovers
//! from breaks. Three modules of pure functions decide on the next request ([`forms`]), the meaning of an answer
//! ([`reaction`]) and the address ([`location`]). [`request_body`] carries the source's bytes into a request, and
//! [`blob_lookup`] asks whether the blob exists.
//!
//! Each failed step of an upload counts as a try of its retry policy. These do not, and are bounded on their own: a
//! change of the form (each form is given up once), a second upload of bytes that arrived wrong, a second read of a
//! corrupt source, and redirects (five without progress).

mod blob_lookup;
mod driver;
mod forms;
mod location;
mod reaction;
mod request_body;
mod session;

use crate::client::reader::BlobSource;
use crate::client::request::RequestSpec;
use crate::client::{Client, Presence};
use crate::digest::Digest;
use crate::error::Error;
use crate::manifest::Descriptor;
use crate::reference::Repository;
use crate::transport::{Lane, ReservedPermit};

pub(super) use forms::UploadForms;
use session::{OpenedSession, UploadSession};

/// Result of opening an upload.
pub enum OpenedUpload {
    /// The repository has the blob now; nothing needs to be sent.
    Present {
        /// True if the registry mounted it from `from`, another repository, instead of having it already.
        mounted: bool,
    },
    /// An open session that waits for bytes.
    Session(Upload),
}

/// An open upload session for one blob. An unused session is left to expire: cancelling it requires a right (`delete`)
/// that clients for copying do not have.
pub struct Upload {
    repository: Repository,
    digest: Digest,
    size: Option<u64>,
    session: Box<UploadSession>,
    /// Upload permit of the host for the first request that needs one.
    reserved: Option<ReservedPermit>,
}

impl Client {
    /// Requests a mount of the blob from `from` (or, with `None`, from the repository itself, which succeeds if the
    /// blob exists there) and a session otherwise, in one request. Registries that answered such a request with an
    /// error get plain sessions from then on, and so do registries that claimed to have a blob and then refused a
    /// manifest because it is missing.
    pub async fn open_upload(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        from: Option<&Repository>,
    ) -> Result<OpenedUpload, Error> {
        let digest = &descriptor.digest;
        self.may_repair(repository, digest)?;
        let opened = session::open(self, repository, digest, from).await;
        Ok(match self.checked(repository, opened).await? {
            OpenedSession::Present { mounted } => {
                if self
                    .inner
                    .capabilities
                    .is_damaged(repository.path(), digest)
                    && self.head_blob(repository, descriptor).await? != Presence::Present
                {
                    return Ok(OpenedUpload::Session(
                        self.start_upload(repository, descriptor).await?,
                    ));
                }
                OpenedUpload::Present { mounted }
            }
            OpenedSession::Session(session) => {
                OpenedUpload::Session(Upload::new(repository, descriptor, session))
            }
        })
    }
    /// Opens a session without a mount: for a blob that the registry lacks, or holds wrongly, even if it claims to have it.
    pub async fn start_upload(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Result<Upload, Error> {
        self.may_repair(repository, &descriptor.digest)?;
        let session = session::plain(self, repository, &descriptor.digest).await;
        let session = self.checked(repository, session).await?;
        Ok(Upload::new(repository, descriptor, session))
    }
    /// Fails if an earlier upload of the blob did not repair it: further ones would not either.
    fn may_repair(&self, repository: &Repository, digest: &Digest) -> Result<(), Error> {
        let damage = self.inner.capabilities.damage(repository.path(), digest);
        damage.map_or(Ok(()), Err)
    }
    /// Waits for an upload permit of the host, which [`Client::upload`] then uses: for callers that must not start
    /// without one because other uploads start with them. The permit is released with the upload.
    pub async fn reserve_upload(&self, upload: &mut Upload) -> Result<(), Error> {
        let context = self.request_context(&upload.repository).await?;
        let weight = upload.size.unwrap_or(0);
        let request = upload
            .session_request(http::Method::PUT)
            .lane(Lane::Uploads);
        let request = request.weight(weight);
        upload.reserved = Some(self.reserve(&context, &request, false).await?);
        Ok(())
    }
    /// Sends the blob. Opens `source` when the destination's permit is held, sends it in a form that the host accepts
    /// (whole PUT, streamed PATCH, chunks; remembered per host), and starts again after a break, with a new session if
    /// needed. An error of the source is returned unchanged, with the source's host.
    ///
    /// Exactly the bytes of `source` are sent. Its stream ends only after all of them were verified, and no request is
    /// completed before that. Its length counts, not that of the descriptor. A blob whose length neither states cannot
    /// be sent ([`Client::blob_size`] requests it from a registry that has the blob).
    pub async fn upload(&self, upload: Upload, source: &dyn BlobSource) -> Result<(), Error> {
        let repository = upload.repository.clone();
        let driver = driver::UploadDriver::new(self, upload, source).await?;
        let sent = Box::pin(driver.run()).await;
        self.checked(&repository, sent).await
    }
}

impl Upload {
    /// Returns whether the registry opened the session in place of a mount that it could have made: the token covered
    /// the other repository, as far as its server says, or the registry refuses all mounts. This shows how the registry
    /// answers mounts of blobs that exist.
    pub fn is_instead_of_mount(&self) -> bool {
        self.session.instead_of_mount
    }
    fn new(repository: &Repository, descriptor: &Descriptor, session: UploadSession) -> Self {
        Self {
            repository: repository.clone(),
            digest: descriptor.digest.clone(),
            size: descriptor.known_size(),
            session: Box::new(session),
            reserved: None,
        }
    }
    /// Returns a request to the session at its current address.
    fn session_request(&self, method: http::Method) -> RequestSpec {
        session::upload_request(
            method,
            &self.repository,
            &self.digest,
            crate::auth::ScopeSet::push(&self.repository),
            String::new(),
        )
        .at(self.session.location.clone())
    }
}
