//! Uploads (docs/protocol.md#uploads): mount or session in one POST, then the bytes in the form that the host takes.
//!
//! [`session`] opens a session, or finds that none is needed. [`driver`] is the loop that sends the bytes and goes on
//! from wherever the registry stands when something breaks; what to send next ([`forms`]), what an answer means
//! ([`reaction`]) and where to send it ([`location`]) are decided by functions that do nothing else. [`request_body`] carries
//! the source's bytes into a request.

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

/// What opening an upload led to.
pub enum OpenedUpload {
    /// The registry has the blob in this repository now; nothing need be sent.
    Present {
        /// Whether the registry took it from `from`, another repository of its own, rather than having it here.
        mounted: bool,
    },
    /// A session is open and waits for bytes.
    Session(Upload),
}

/// An open upload session for one blob. Dropped unused, it is left to expire: cancelling it takes a right (`delete`)
/// that clients who copy do not have.
pub struct Upload {
    repository: Repository,
    digest: Digest,
    size: Option<u64>,
    session: Box<UploadSession>,
    /// A place among the uploads of the host, for the first request that needs one.
    reserved: Option<ReservedPermit>,
}

impl Client {
    /// Asks in one request for the blob to be mounted from `from` (or, with `None`, for it to be there already:
    /// mount from the repository itself) and for a session otherwise. Registries that answered such a question with
    /// an error are asked for a plain session from then on, and so are those that said they had the blob and then
    /// refused a manifest for want of it.
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
                if self.inner.habits.is_damaged(repository.path(), digest)
                    && self.find_blob(repository, descriptor).await? != Presence::Present
                {
                    return Ok(OpenedUpload::Session(
                        self.open_session(repository, descriptor).await?,
                    ));
                }
                OpenedUpload::Present { mounted }
            }
            OpenedSession::Session(session) => {
                OpenedUpload::Session(Upload::new(repository, descriptor, session))
            }
        })
    }
    /// Opens a session and asks for nothing: for a blob that the registry was found to lack, or to hold wrongly,
    /// whatever it answers when it is asked.
    pub async fn open_session(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Result<Upload, Error> {
        self.may_repair(repository, &descriptor.digest)?;
        let session = session::plain(self, repository, &descriptor.digest).await;
        let session = self.checked(repository, session).await?;
        Ok(Upload::new(repository, descriptor, session))
    }
    /// Fails where an upload of the blob did not repair it before: further ones would not either.
    fn may_repair(&self, repository: &Repository, digest: &Digest) -> Result<(), Error> {
        let damage = self.inner.habits.damage(repository.path(), digest);
        damage.map_or(Ok(()), Err)
    }
    /// Waits for a place among the uploads of the host, which [`Client::upload`] then takes: for those who must not
    /// begin before they have one, since others begin with them. A place is given back with the upload.
    pub async fn reserve_upload(&self, upload: &mut Upload) -> Result<(), Error> {
        let visit = self.repository_context(&upload.repository).await?;
        let weight = upload.size.unwrap_or(0);
        let ask = upload
            .session_request(http::Method::PUT)
            .lane(Lane::Uploads);
        let ask = ask.weight(weight);
        upload.reserved = Some(self.reserve(&visit, &ask, false).await?);
        Ok(())
    }
    /// Sends the blob: opens `source` when the destination's permit is held, in the form that the host takes
    /// (whole PUT, streamed PATCH, chunks; remembered per host), and starts again, with a new session if need be,
    /// when something breaks. An error of the source comes back as the source gave it, with the source's host.
    ///
    /// What is sent is what `source` gives: its stream ends only when all of it came and is what it should be, and
    /// no request is completed before that. Its size counts, not that of the descriptor. A blob whose size neither says
    /// cannot be sent ([`Client::blob_size`] asks the registry that has it).
    pub async fn upload(&self, upload: Upload, source: &dyn BlobSource) -> Result<(), Error> {
        let repository = upload.repository.clone();
        let driver = driver::UploadDriver::new(self, upload, source).await?;
        self.checked(&repository, driver.run().await).await
    }
}

impl Upload {
    /// Whether the registry opened it in place of a mount that it was free to make: the token was good for the
    /// repository to mount from, as far as its server says; or mounting as such is what it refuses. Tells, where the
    /// blob could have been mounted, how the registry answers mounts.
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
    /// A request to the session as it stands.
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
