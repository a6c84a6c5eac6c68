//! Readers on their way into a round: waiting with a session, with a slot, admitted.

use tokio::sync::oneshot;

use crate::Endpoint;
use crate::failure::Failure;
use crate::store::UploadSession;
use crate::transfer::fan_out::pump::OpenedDownload;
use crate::transfer::fan_out::upload_slots::UploadSlot;

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
    pub(in crate::transfer) slot: UploadSlot,
    pub(super) read_mode: ReadMode,
}

/// Way in which a reader gets its bytes.
pub(super) enum ReadMode {
    /// From the source itself.
    Alone(#[allow(dead_code, reason = "held to be dropped")] ReadingGuard),
    /// From the shared download, as soon as that is open.
    Shared(oneshot::Receiver<OpenedDownload>),
}

/// Guard of a reader that reads the source itself: the scheduler counts it as a download until it is dropped.
pub(super) struct ReadingGuard {
    _end: oneshot::Sender<()>,
}

/// A reader with a slot.
pub(super) struct AdmittedReader {
    pub(super) ready: WaitingReader,
    pub(super) slot: UploadSlot,
}

impl ReadingGuard {
    /// Returns a guard, and a future that completes when the guard is dropped.
    pub(super) fn create() -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (sender, end) = oneshot::channel::<()>();
        let dropped = async move {
            // Nothing is ever sent: the wait ends when the guard is dropped.
            let _ = end.await;
        };
        (Self { _end: sender }, dropped)
    }
}
