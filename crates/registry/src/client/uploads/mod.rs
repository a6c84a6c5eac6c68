//! Uploads (protocol.md section 2.5): mount or session in one POST, then the bytes in the form that the host takes.

use crate::client::{BlobSource, Client};
use crate::error::Error;
use crate::manifest::Descriptor;
use crate::reference::Repository;

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

/// An open upload session for one blob. Dropped unused, it is left to expire.
pub struct Upload {}

impl Client {
    /// Asks in one request for the blob to be mounted from `from` (or, with `None`, for it to be there already:
    /// mount from the repository itself) and for a session otherwise. Registries that answered such a question with
    /// an error are asked for a plain session from then on.
    pub async fn open_upload(
        &self,
        _repository: &Repository,
        _descriptor: &Descriptor,
        _from: Option<&Repository>,
    ) -> Result<OpenedUpload, Error> {
        todo!()
    }
    /// Sends the blob: opens `source` when the destination's permit is held, in the form that the host takes
    /// (whole PUT, streamed PATCH, chunks; remembered per host), and starts again, with a new session if need be,
    /// when something breaks. An error of the source comes back as the source gave it, with the source's host.
    pub async fn upload(&self, _upload: Upload, _source: &dyn BlobSource) -> Result<(), Error> {
        todo!()
    }
}
