//! Live events, as server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::service::events::{NumberedEvent, Subscription};
use crate::service::http::api::Problem;
use crate::service::state::ServiceState;

/// Interval of comments on a quiet stream, so that proxies keep it open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Selection of events.
#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::IntoParams))]
#[cfg_attr(test, into_params(parameter_in = Query))]
pub(in crate::service::http) struct EventQuery {
    /// Number of the last event that the client has. The header `Last-Event-ID` of a browser that connects again goes
    /// first.
    since: Option<u64>,
    /// Kinds of events, separated by commas: `run`, `image`, `progress`, `registry`; all by default.
    kinds: Option<String>,
}

/// Sends events as they happen: new states of runs, images that ended and were not unchanged, the progress of runs once
/// a second, and pauses of registries. The event `missed` says that events were lost: read the state again.
#[cfg_attr(test, utoipa::path(
    get, path = "/api/v1/events", tag = "events", params(EventQuery),
    security((), ("token" = ["read"]), ("cookie" = ["read"])),
    responses(
        (status = 200, description = "events", body = String, content_type = "text/event-stream"),
        (status = 503, description = "there are too many streams", body = Problem,
            content_type = "application/problem+json"),
        (status = "default", description = "an error", body = Problem, content_type = "application/problem+json"),
    ),
))]
pub(in crate::service::http) async fn events(
    State(state): State<Arc<ServiceState>>,
    Query(query): Query<EventQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let permit = Arc::clone(&state.http.streams).try_acquire_owned();
    let permit = permit.map_err(|_| {
        Problem::unavailable("there are too many streams of events. Close one.").after(10)
    })?;
    let kinds = query.kinds.as_deref().map(kinds).transpose()?;
    let last = headers.get("last-event-id");
    let last = last.and_then(|last| last.to_str().ok()?.parse().ok());
    let Subscription {
        events,
        has_gap,
        receiver,
    } = state.events.subscribe(last.or(query.since));
    let source = Source {
        waiting: events.into(),
        is_missed: has_gap,
        receiver,
        kinds,
        closing: state.http.closing.clone(),
        _permit: permit,
    };
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(Sse::new(source.into_stream())
        .keep_alive(keep_alive)
        .into_response())
}

fn kinds(text: &str) -> Result<Vec<&'static str>, Problem> {
    let kinds = text.split(',').map(|kind| {
        let known = ["run", "image", "progress", "registry"];
        known.into_iter().find(|known| *known == kind.trim())
    });
    let kinds: Option<Vec<_>> = kinds.collect();
    kinds.ok_or_else(|| {
        Problem::bad_request("the kinds are not among `run`, `image`, `progress` and `registry`")
    })
}

struct Source {
    /// Events that the client missed before it connected.
    waiting: VecDeque<NumberedEvent>,
    is_missed: bool,
    receiver: tokio::sync::broadcast::Receiver<NumberedEvent>,
    kinds: Option<Vec<&'static str>>,
    closing: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl Source {
    fn into_stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut source| async move {
            let event = source.next().await?;
            Some((Ok(event.into()), source))
        })
    }

    /// Returns the next event; `None` if the service ends.
    async fn next(&mut self) -> Option<SentEvent> {
        loop {
            if std::mem::take(&mut self.is_missed) {
                return Some(SentEvent::Missed);
            }
            let event = if let Some(event) = self.waiting.pop_front() {
                event
            } else {
                tokio::select! {
                    biased;
                    () = self.closing.cancelled() => return None,
                    received = self.receiver.recv() => match received {
                        Ok(event) => event,
                        Err(RecvError::Lagged(_)) => {
                            self.is_missed = true;
                            continue;
                        }
                        Err(RecvError::Closed) => return None,
                    },
                }
            };
            let kind = event.event.kind();
            let kinds = self.kinds.as_ref();
            if kinds.is_none_or(|kinds| kinds.contains(&kind)) {
                return Some(SentEvent::Numbered(event));
            }
        }
    }
}

/// An event for a client.
#[derive(Debug)]
enum SentEvent {
    Numbered(NumberedEvent),
    /// Events were lost.
    Missed,
}

impl From<SentEvent> for Event {
    fn from(event: SentEvent) -> Self {
        match event {
            SentEvent::Numbered(event) => {
                let data = serde_json::to_string(&event).unwrap_or_default();
                let sent = Self::default().id(event.number.to_string());
                sent.event(event.event.kind()).data(data)
            }
            SentEvent::Missed => Self::default().event("missed").data("{}"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use image_syncer_registry::transport::{Observer as _, PauseReason};
    use tokio::sync::Semaphore;

    use super::*;
    use crate::service::events::LiveEvents;

    #[tokio::test]
    async fn a_client_that_is_too_slow_is_told_and_goes_on() {
        let events = LiveEvents::default();
        let permits = Arc::new(Semaphore::new(1));
        let mut source = Source {
            waiting: VecDeque::new(),
            is_missed: false,
            receiver: events.subscribe(None).receiver,
            kinds: None,
            closing: CancellationToken::new(),
            _permit: permits.try_acquire_owned().unwrap(),
        };
        for _ in 0..1_500 {
            events.pause("a.example", Duration::from_secs(1), PauseReason::Overload);
        }
        assert!(matches!(source.next().await, Some(SentEvent::Missed)));
        let SentEvent::Numbered(next) = source.next().await.unwrap() else {
            unreachable!("it is missed once")
        };
        assert_eq!(next.number, 1_500 - 1_024 + 1);
        source.closing.cancel();
        assert!(source.next().await.is_none());
    }
}
