//! One download for many uploads.
//!
//! The destinations that are to be sent one blob together are the [`Member`]s of a [`FanOut`]. Each is the source of
//! its own upload. The first time that an upload opens it, it joins; when all have joined or fallen out (their
//! registry had the blob, or failed), the source is opened, once, and a pump hands its bytes to all through bounded
//! windows. The destination is so always reserved before the source is opened.
//!
//! Nobody waits for ever for another: who joins too late, and who takes nothing while all others wait, is let go and
//! reads a download of its own, as does who opens its source again after its upload broke. Who is alone reads the
//! source directly.

mod member;
mod pump;
mod window;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use registry::{BlobStream, Descriptor, Error};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::failure::Failure;
use crate::lock::lock;
use crate::store::Store;
use crate::transfer::progress::Progress;
pub(super) use member::{Member, Trouble};
use window::Window;

/// How long the uploads that are ready wait for those that are not.
const JOINING: Duration = Duration::from_secs(2);

/// The bytes of a blob at its source.
#[derive(Clone)]
pub(super) struct Download {
    pub(super) blob: Arc<Descriptor>,
    pub(super) source: Arc<dyn Store>,
    pub(super) progress: Arc<Progress>,
}

/// What the members of a group share.
struct FanOut {
    download: Download,
    phase: Mutex<Phase>,
    /// Members that have neither joined nor fallen out.
    absent: watch::Sender<usize>,
}

enum Phase {
    Gathering {
        /// When to start without those who are absent; set by the first who joins.
        deadline: Option<Instant>,
        seats: Vec<oneshot::Sender<Seat>>,
    },
    /// Begun; the pump ends with the last member.
    Begun(#[allow(dead_code, reason = "held to be dropped")] Option<AbortOnDropHandle<()>>),
}

/// What a member that joined gets.
enum Seat {
    /// A window on the shared download.
    Window(Window),
    /// Nothing to share: it reads the source itself.
    Alone,
    /// The source could not be opened.
    Failed(Failure),
}

/// The members of a group of `size` over one `download`.
pub(super) fn members(download: Download, size: usize) -> impl Iterator<Item = Member> {
    let phase = if size > 1 {
        Phase::Gathering {
            deadline: None,
            seats: Vec::with_capacity(size),
        }
    } else {
        Phase::Begun(None)
    };
    let group = Arc::new(FanOut {
        download,
        phase: Mutex::new(phase),
        absent: watch::Sender::new(size),
    });
    std::iter::repeat_with(move || Member::new(Arc::clone(&group))).take(size)
}

impl Download {
    async fn open(&self, offset: u64) -> Result<BlobStream, Error> {
        self.source.open_blob(&self.blob, offset).await
    }
}

impl FanOut {
    /// A seat, and when to start at the latest; `None` when the download has begun.
    fn join(&self) -> Option<(oneshot::Receiver<Seat>, Instant)> {
        let mut phase = lock(&self.phase);
        let Phase::Gathering { deadline, seats } = &mut *phase else {
            return None;
        };
        let (sender, seat) = oneshot::channel();
        seats.push(sender);
        Some((
            seat,
            *deadline.get_or_insert_with(|| Instant::now() + JOINING),
        ))
    }
    /// Begins the download for those who have joined and are still there.
    fn begin(&self) {
        let mut phase = lock(&self.phase);
        let Phase::Gathering { seats, .. } = &mut *phase else {
            return;
        };
        let mut seats = std::mem::take(seats);
        seats.retain(|seat| !seat.is_closed());
        *phase = Phase::Begun(if seats.len() > 1 {
            let pump = pump::pump(self.download.clone(), seats).in_current_span();
            Some(AbortOnDropHandle::new(tokio::spawn(pump)))
        } else {
            for seat in seats {
                // Who left a moment ago needs no seat.
                let _ = seat.send(Seat::Alone);
            }
            None
        });
    }
    /// A member has joined or fallen out.
    fn settle(&self) {
        self.absent
            .send_modify(|absent| *absent = absent.saturating_sub(1));
    }
    /// Waits for the seat, and begins the download when nobody is absent any more or it is time.
    async fn seat(&self, mut seat: oneshot::Receiver<Seat>, deadline: Instant) -> Seat {
        let mut absent = self.absent.subscribe();
        let complete = async {
            // An error is impossible: the sender is ours.
            let _ = absent.wait_for(|absent| *absent == 0).await;
        };
        tokio::select! {
            biased;
            seat = &mut seat => return seat.unwrap_or(Seat::Alone),
            () = complete => {}
            () = sleep_until(deadline) => {}
        }
        self.begin();
        // A pump that is gone without a word panicked: then everyone reads for itself.
        seat.await.unwrap_or(Seat::Alone)
    }
}

#[cfg(test)]
mod tests;
