//! Live events for clients: numbered, and kept for a while, so that a client that was away gets what it missed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use image_syncer_registry::transport::{Observer, PauseReason};
use image_syncer_sync::{Event, Outcome};
use serde::Serialize;
use tokio::sync::broadcast;

use crate::lock::lock;
use crate::service::observer::RunObserver;
use crate::service::run::{Run, RunId};
use crate::service::throughput::Sample;

/// Number of events that are kept for clients that were away.
const KEPT: usize = 1_024;

/// An event for clients.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub(crate) enum LiveEvent {
    /// A run has a new state.
    Run {
        /// The run.
        run: Arc<Run>,
    },
    /// An image ended, which was not unchanged.
    Image {
        /// Its run.
        run: RunId,
        /// Full reference at the source.
        source: Arc<str>,
        /// Full reference at the destination.
        destination: Arc<str>,
        /// `copied`, `different`, `skipped`, `failed` or `interrupted`.
        outcome: &'static str,
        /// Reason of a failure, or for skipping the image.
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<Arc<str>>,
    },
    /// Progress of a run in progress, once a second.
    Progress {
        /// The run, with its numbers so far.
        run: Arc<Run>,
        /// Its state at this moment.
        sample: Sample,
    },
    /// No request is sent to a registry for a while.
    Registry {
        /// Host of the registry.
        host: Arc<str>,
        /// Duration of the pause, in milliseconds.
        paused_ms: u64,
        /// `rate-limit` or `overload`.
        why: &'static str,
    },
}

/// An event with its number.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct NumberedEvent {
    /// The number; each event has one more than the one before.
    pub(crate) number: u64,
    /// The event.
    #[serde(flatten)]
    pub(crate) event: LiveEvent,
}

/// Events for one client.
pub(crate) struct Subscription {
    /// Kept events that the client has not seen.
    pub(crate) events: Vec<NumberedEvent>,
    /// True if there were others, which are not kept any more.
    pub(crate) has_gap: bool,
    /// Events that follow.
    pub(crate) receiver: broadcast::Receiver<NumberedEvent>,
}

impl LiveEvent {
    /// Returns the kind, as in the serialised event.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Run { .. } => "run",
            Self::Image { .. } => "image",
            Self::Progress { .. } => "progress",
            Self::Registry { .. } => "registry",
        }
    }
}

/// Sends events to any number of clients. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LiveEvents(Arc<Shared>);

struct Shared {
    sender: broadcast::Sender<NumberedEvent>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    last: u64,
    events: VecDeque<NumberedEvent>,
}

impl Default for LiveEvents {
    fn default() -> Self {
        Self(Arc::new(Shared {
            sender: broadcast::Sender::new(KEPT),
            kept: Mutex::default(),
        }))
    }
}

impl LiveEvents {
    /// Returns the kept events after the number `since`, and a receiver of those that follow. A client that is too slow
    /// misses events: the receiver says so.
    pub(crate) fn subscribe(&self, since: Option<u64>) -> Subscription {
        let kept = lock(&self.0.kept);
        let events = since.map(|since| {
            let events = kept.events.iter();
            let events = events.filter(|event| event.number > since);
            events.cloned().collect()
        });
        let events: Vec<NumberedEvent> = events.unwrap_or_default();
        let first = events.first().map_or(kept.last + 1, |event| event.number);
        Subscription {
            // A number after the last one is that of an earlier process.
            has_gap: since.is_some_and(|since| since.checked_add(1) != Some(first)),
            events,
            receiver: self.0.sender.subscribe(),
        }
    }

    fn send(&self, event: LiveEvent) {
        // Sent within the lock, so that the order is that of the numbers.
        let mut kept = lock(&self.0.kept);
        kept.last += 1;
        let event = NumberedEvent {
            number: kept.last,
            event,
        };
        if kept.events.len() >= KEPT {
            kept.events.pop_front();
        }
        kept.events.push_back(event.clone());
        // Without a client there is nobody to send it to.
        let _ = self.0.sender.send(event);
    }
}

impl RunObserver for LiveEvents {
    fn changed(&self, run: &Run) {
        self.send(LiveEvent::Run {
            run: Arc::new(run.clone()),
        });
    }

    fn event(&self, run: RunId, event: &Event) {
        let Event::ImageFinished { image, outcome, .. } = event else {
            return;
        };
        let (outcome, why) = match outcome {
            Outcome::Unchanged { .. } => return,
            Outcome::Copied(_) => ("copied", None),
            Outcome::Planned(_) => ("different", None),
            Outcome::Skipped { why } => ("skipped", Some(why.as_str())),
            Outcome::Failed(failure) if failure.interrupted => ("interrupted", None),
            Outcome::Failed(failure) => ("failed", Some(failure.reason.as_str())),
        };
        self.send(LiveEvent::Image {
            run,
            source: Arc::clone(&image.source),
            destination: Arc::clone(&image.destination),
            outcome,
            why: why.map(Arc::from),
        });
    }

    fn progress(&self, run: &Run, sample: &Sample) {
        self.send(LiveEvent::Progress {
            run: Arc::new(run.clone()),
            sample: *sample,
        });
    }
}

impl Observer for LiveEvents {
    fn pause(&self, host: &str, delay: Duration, why: PauseReason) {
        self.send(LiveEvent::Registry {
            host: host.into(),
            paused_ms: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
            why: match why {
                PauseReason::RateLimit => "rate-limit",
                PauseReason::Overload => "overload",
            },
        });
    }
}
