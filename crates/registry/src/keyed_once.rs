//! Values that one task fetches while the others wait.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Error, ErrorKind};
use crate::lock::lock;

/// Time for which a refusal is the answer to later requests, so that a wrong password is not sent a hundred times
/// (token servers lock accounts) and no image waits again for a helper that hangs.
const REFUSAL_HOLDS: Duration = Duration::from_secs(30);

/// A value that is fetched on demand by one task at a time. The others wait and share the outcome, also a failure. If
/// the fetching task is cancelled, the next one fetches.
#[derive(Debug)]
pub(crate) struct SingleFlight<T> {
    gate: tokio::sync::Mutex<()>,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    /// Number of completed fetches.
    ended: u64,
    value: Option<T>,
    /// Error of the last fetch, if it failed.
    failure: Option<(Error, Instant)>,
}

impl<T> Default for SingleFlight<T> {
    fn default() -> Self {
        Self {
            gate: tokio::sync::Mutex::default(),
            state: Mutex::new(State {
                ended: 0,
                value: None,
                failure: None,
            }),
        }
    }
}

impl<T: Clone> SingleFlight<T> {
    /// Returns the current value, also if it is not valid any more.
    pub(crate) fn peek(&self) -> Option<T> {
        self.state().value.clone()
    }
    /// Drops the value if `is_stale` is true for it.
    pub(crate) fn forget(&self, is_stale: impl FnOnce(&T) -> bool) {
        let mut state = self.state();
        if state.value.as_ref().is_some_and(is_stale) {
            state.value = None;
        }
    }
    /// Returns the current value if it `is_good`, or else the result of `fetch`.
    pub(crate) async fn get(
        &self,
        is_good: impl Fn(&T) -> bool,
        fetch: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let ended = {
            let state = self.state();
            if let Some(known) = state.known(&is_good) {
                return known;
            }
            state.ended
        };
        let _turn = self.gate.lock().await;
        {
            let state = self.state();
            if let Some(known) = state.known(&is_good) {
                return known;
            }
            // Somebody fetched while this task waited: that outcome is as fresh as one of its own.
            if state.ended != ended {
                if let Some((error, _)) = &state.failure {
                    return Err(error.clone());
                }
                if let Some(value) = &state.value {
                    return Ok(value.clone());
                }
            }
        }
        let outcome = fetch.await;
        let mut state = self.state();
        state.ended = state.ended.wrapping_add(1);
        match &outcome {
            Ok(value) => {
                state.value = Some(value.clone());
                state.failure = None;
            }
            Err(error) => state.failure = Some((error.clone(), Instant::now())),
        }
        outcome
    }
    fn state(&self) -> MutexGuard<'_, State<T>> {
        lock(&self.state)
    }
}

impl<T: Clone> State<T> {
    /// Returns a result that needs no fetch.
    fn known(&self, is_good: impl Fn(&T) -> bool) -> Option<Result<T, Error>> {
        if let Some(value) = self.value.as_ref().filter(|value| is_good(value)) {
            return Some(Ok(value.clone()));
        }
        let (error, at) = self.failure.as_ref()?;
        let is_refusal = matches!(
            error.kind(),
            ErrorKind::Unauthorized | ErrorKind::Denied | ErrorKind::Credentials
        );
        (is_refusal && at.elapsed() < REFUSAL_HOLDS).then(|| Err(error.clone()))
    }
}

/// Values by key, each fetched once for all tasks that wait for it. Bounded: beyond its capacity all values are dropped,
/// and fetched again on demand.
#[derive(Debug)]
pub(crate) struct KeyedOnce<K, T> {
    capacity: usize,
    flights: Mutex<HashMap<K, Arc<SingleFlight<T>>>>,
}

impl<K: Eq + Hash, T: Clone> KeyedOnce<K, T> {
    /// Creates an empty map for at most `capacity` keys.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            flights: Mutex::default(),
        }
    }
    /// Returns the value of `key` if it `is_good`, or else the result of `fetch`.
    pub(crate) async fn get(
        &self,
        key: K,
        is_good: impl Fn(&T) -> bool,
        fetch: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.flight(key).get(is_good, fetch).await
    }
    /// Returns the current value of `key`, also if it is not valid any more.
    pub(crate) fn peek(&self, key: &K) -> Option<T> {
        lock(&self.flights)
            .get(key)
            .and_then(|flight| flight.peek())
    }
    /// Drops each value for which `is_stale` is true.
    pub(crate) fn forget(&self, is_stale: impl Fn(&T) -> bool) {
        for flight in lock(&self.flights).values() {
            flight.forget(&is_stale);
        }
    }
    fn flight(&self, key: K) -> Arc<SingleFlight<T>> {
        let mut flights = lock(&self.flights);
        if flights.len() >= self.capacity && !flights.contains_key(&key) {
            flights.clear();
        }
        Arc::clone(flights.entry(key).or_default())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::future::pending;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::future::join_all;
    use tokio::sync::Notify;

    use super::*;

    fn error(kind: ErrorKind) -> Error {
        Error::new(kind, "get a token", "auth.example.com", "no")
    }

    #[tokio::test]
    async fn many_waiters_share_one_fetch_good_or_bad() {
        for kind in [None, Some(ErrorKind::Server)] {
            let flight = SingleFlight::default();
            let fetches = AtomicU32::new(0);
            let outcomes = join_all((0..50).map(|_| {
                flight.get(|_: &u32| true, async {
                    fetches.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    kind.map_or(Ok(7), |kind| Err(error(kind)))
                })
            }))
            .await;
            assert_eq!(fetches.load(Ordering::SeqCst), 1);
            assert!(
                outcomes
                    .iter()
                    .all(|outcome| outcome.is_ok() == kind.is_none())
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_tried_again_by_later_comers_and_a_refusal_after_a_while() {
        let flight = SingleFlight::default();
        let fail = |kind| async move { Err::<u32, _>(error(kind)) };
        flight
            .get(|_| true, fail(ErrorKind::Server))
            .await
            .unwrap_err();
        flight
            .get(|_| true, fail(ErrorKind::Unauthorized))
            .await
            .unwrap_err();
        let held = flight.get(|_| true, async { Ok(1) }).await.unwrap_err();
        assert_eq!(held.kind(), ErrorKind::Unauthorized);
        tokio::time::advance(REFUSAL_HOLDS).await;
        assert_eq!(flight.get(|_| true, async { Ok(2) }).await.unwrap(), 2);
        assert_eq!(flight.get(|_| true, async { Ok(3) }).await.unwrap(), 2);
        flight.forget(|value| *value == 9);
        assert_eq!(flight.peek(), Some(2));
        flight.forget(|value| *value == 2);
        assert_eq!(flight.get(|_| true, async { Ok(4) }).await.unwrap(), 4);
    }

    #[tokio::test]
    async fn a_cancelled_fetch_leaves_the_next_in_line_to_it() {
        let flight = Arc::new(SingleFlight::default());
        let started = Arc::new(Notify::new());
        let leader = tokio::spawn({
            let (flight, started) = (flight.clone(), started.clone());
            async move {
                flight
                    .get(|_| true, async {
                        started.notify_one();
                        pending::<Result<u32, Error>>().await
                    })
                    .await
            }
        });
        started.notified().await;
        let follower = flight.get(|_| true, async { Ok(5) });
        leader.abort();
        assert_eq!(follower.await.unwrap(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_leader_of_one_key_holds_up_nobody() {
        let once = Arc::new(KeyedOnce::new(8));
        let started = Arc::new(Notify::new());
        let leader = tokio::spawn({
            let (once, started) = (once.clone(), started.clone());
            async move {
                let fetch = async {
                    started.notify_one();
                    pending::<Result<u32, Error>>().await
                };
                once.get("a", |_| true, fetch).await
            }
        });
        started.notified().await;
        // Another key does not wait.
        assert_eq!(once.get("b", |_| true, async { Ok(1) }).await.unwrap(), 1);
        let follower = tokio::spawn({
            let once = once.clone();
            async move { once.get("a", |_| true, async { Ok(2) }).await }
        });
        let wait = tokio::time::timeout(Duration::from_secs(60), async {
            while !follower.is_finished() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        assert!(wait.await.is_err());
        leader.abort();
        assert_eq!(follower.await.unwrap().unwrap(), 2);
        assert_eq!(once.peek(&"a"), Some(2));
        once.forget(|value| *value == 2);
        assert_eq!((once.peek(&"a"), once.peek(&"b")), (None, Some(1)));
    }

    #[tokio::test]
    async fn keys_are_bounded() {
        let once = KeyedOnce::new(4);
        for key in 0..100_u32 {
            once.get(key, |_| true, async { Ok(key) }).await.unwrap();
            assert!(lock(&once.flights).len() <= 4);
            assert_eq!(once.peek(&key), Some(key));
        }
    }
}
