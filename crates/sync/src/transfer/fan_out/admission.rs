//! Readers on their way into a round: waiting with a session, with a slot, admitted.

use tokio::sync::oneshot;

use crate::Endpoint;
use crate::failure::Failure;
use crate::store::UploadSession;
use crate::transfer::fan_out::pump::OpenedDownload;
use crate::transfer::fan_out::upload_slots::UploadPermit;

/// A reader with its session.
pub(super) struct WaitingReader {
    pub(super) session: Box<dyn UploadSession>,
    /// Endpoint of the session.
    pub(super) endpoint: Endpoint,
    pub(super) admission: oneshot::Sender<Result<Admission, Failure>>,
}

/// Admission of a reader to a round.
pub(in crate::transfer) struct Admission {
    /// Its session, with an upload slot.
    pub(in crate::transfer) session: Box<dyn UploadSession>,
    /// Held while the session sends.
    pub(in crate::transfer) permit: UploadPermit,
    pub(super) read_mode: ReadMode,
}

/// Way in which a reader gets its bytes.
pub(super) enum ReadMode {
    /// From the source itself. Kept until it has read.
    Alone(#[allow(dead_code, reason = "held to be dropped")] oneshot::Sender<()>),
    /// From the shared download, as soon as that is open.
    Shared(oneshot::Receiver<OpenedDownload>),
}

/// A reader with a slot.
pub(super) struct AdmittedReader {
    pub(super) ready: WaitingReader,
    pub(super) permit: UploadPermit,
}
