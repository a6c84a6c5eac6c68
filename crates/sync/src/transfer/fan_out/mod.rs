//! One download for many uploads.
//!
//! Those who are to be sent one blob at the same time form a [`Group`]: the destinations of one delivery, and of
//! others while the group gathers. Each [`Member`] is the source of its own upload. The first time that an upload
//! opens it, it joins; when all have joined or fallen out (their registry had the blob, or failed), the source is
//! opened, once, and a pump hands its bytes to all through bounded windows. The destination is so always reserved
//! before the source is opened.
//!
//! Nobody waits for ever for another: who joins too late, and who takes nothing while all others wait, is let go and
//! reads a download of its own, as does who opens its source again after its upload broke. Who is alone reads the
//! source directly.

mod member;
mod pump;
mod window;

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use registry::{BlobStream, Descriptor, Error};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::failure::Failure;
use crate::lock::lock;
use crate::store::Store;
use crate::transfer::progress::Progress;
use crate::transfer::turn::Turns;
pub(super) use member::{Member, Trouble};
use window::Window;

/// How long the uploads that are ready wait for those that are not.
const JOINING: Duration = Duration::from_secs(2);

/// The bytes of a blob at a source.
#[derive(Clone)]
pub(super) struct Download {
    pub(super) blob: Arc<Descriptor>,
    pub(super) source: Arc<dyn Store>,
    pub(super) progress: Arc<Progress>,
}

/// What its members share. It ends with the last of them.
pub(super) struct Group {
    /// Where the shared download is read: at the source of the first member.
    download: Download,
    turns: Turns,
    phase: Mutex<Phase>,
    /// Members that have neither joined nor fallen out. Grows only while the phase is locked and gathering.
    absent: watch::Sender<usize>,
}

enum Phase {
    Gathering {
        /// When to begin without those who are absent; set by the first who joins.
        deadline: Option<Instant>,
        seats: Vec<oneshot::Sender<Seat>>,
    },
    /// Begun; the pump ends with the group.
    Begun(#[allow(dead_code, reason = "held to be dropped")] Option<AbortOnDropHandle<()>>),
}

/// What a member that joined gets.
enum Seat {
    /// A window on the shared download.
    Window(Window),
    /// Nothing to share: it reads its source itself.
    Alone,
    /// The source could not be opened.
    Failed(Failure),
}

impl Download {
    async fn open(&self, offset: u64) -> Result<BlobStream, Error> {
        self.source.open_blob(&self.blob, offset).await
    }
}

impl Group {
    /// A group that gathers, and its first member. The shared download is one transfer among `slots`.
    pub(super) fn found(
        download: &Download,
        slots: Option<Arc<Semaphore>>,
    ) -> (Weak<Self>, Member) {
        let group = Arc::new(Self {
            download: download.clone(),
            turns: Turns::new(slots),
            phase: Mutex::new(Phase::Gathering {
                deadline: None,
                seats: Vec::new(),
            }),
            absent: watch::Sender::new(1),
        });
        let handle = Arc::downgrade(&group);
        (handle, Member::new(group, download.clone()))
    }
    /// A member that reads `download` where it cannot share; `None` when the group has begun.
    pub(super) fn enlist(self: &Arc<Self>, download: &Download) -> Option<Member> {
        let phase = lock(&self.phase);
        if matches!(*phase, Phase::Begun(_)) {
            return None;
        }
        self.absent.send_modify(|absent| *absent += 1);
        Some(Member::new(Arc::clone(self), download.clone()))
    }
    /// A seat, and when to begin at the latest; `None` when the group has begun.
    fn join(&self) -> Option<(oneshot::Receiver<Seat>, Instant)> {
        let mut phase = lock(&self.phase);
        let Phase::Gathering { deadline, seats } = &mut *phase else {
            return None;
        };
        let (sender, seat) = oneshot::channel();
        seats.push(sender);
        let deadline = *deadline.get_or_insert_with(|| Instant::now() + JOINING);
        Some((seat, deadline))
    }
    /// A member has joined or fallen out.
    fn settle(&self) {
        self.absent
            .send_modify(|absent| *absent = absent.saturating_sub(1));
    }
    /// Waits for the seat, and begins the download when nobody is absent any more or it is time.
    async fn seat(&self, seat: oneshot::Receiver<Seat>, deadline: Instant) -> Seat {
        let mut absent = self.absent.subscribe();
        while !self.begin(deadline) {
            let complete = async {
                // An error is impossible: the sender is ours.
                let _ = absent.wait_for(|absent| *absent == 0).await;
            };
            tokio::select! {
                () = complete => {}
                () = sleep_until(deadline) => {}
            }
        }
        // A pump that is gone without a word panicked: then everyone reads for itself.
        seat.await.unwrap_or(Seat::Alone)
    }
    /// Begins the download for those who have joined and are still there, unless somebody is absent and it is not yet
    /// time. Says whether it has begun.
    fn begin(&self, deadline: Instant) -> bool {
        let mut phase = lock(&self.phase);
        let Phase::Gathering { seats, .. } = &mut *phase else {
            return true;
        };
        if *self.absent.borrow() > 0 && Instant::now() < deadline {
            return false;
        }
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
        true
    }
}

#[cfg(test)]
mod tests;
