//! The decision to retry, and the delay. Time is paused and advances only by waiting.

use std::sync::Arc;
use std::time::Duration;

use image_syncer_registry::transport::{
    Attempts, Endpoint, RetryPolicy, Transport, TransportOptions,
};
use image_syncer_registry::{Error, ErrorKind};
use tokio::time::Instant;

use super::fake::{Fake, answer, at_once};
use super::{Notes, call, secure};

fn error(kind: ErrorKind) -> Error {
    Error::new(kind, "fetch a thing", "a.example", "it failed")
}

fn limited(seconds: u64) -> Error {
    error(ErrorKind::RateLimited).with_retry_after(Duration::from_secs(seconds))
}

struct Setting {
    transport: Arc<Transport>,
    endpoint: Endpoint,
    notes: Arc<Notes>,
}

impl Setting {
    fn new() -> Self {
        let notes = Arc::new(Notes::default());
        let transport = Fake::new(|_, _| at_once(Ok(answer(200, ""))))
            .transport(TransportOptions::default().with_observer(notes.clone()));
        Self {
            transport,
            endpoint: secure("a.example"),
            notes,
        }
    }
    fn attempts(&self, retries: u32) -> Attempts {
        let policy = RetryPolicy::default().with_retries(retries);
        Attempts::new(&self.transport, &self.endpoint, policy)
    }
}

#[tokio::test(start_paused = true)]
async fn tries_are_counted_reported_and_delayed() {
    let setting = Setting::new();
    let mut attempts = setting.attempts(2);
    let start = Instant::now();
    let second = attempts.after(error(ErrorKind::Broken)).await.unwrap();
    let third = attempts.after(error(ErrorKind::Server)).await.unwrap();
    assert_eq!((second, third), (2, 3));
    // 300 ms, then 600 ms, each with jitter that at most doubles it.
    let waited = start.elapsed().as_millis();
    assert!((900..=1802).contains(&waited), "{waited}");
    let last = attempts.after(error(ErrorKind::Stalled)).await.unwrap_err();
    assert_eq!(
        last.to_string(),
        "cannot fetch a thing at a.example: it failed, after 3 tries"
    );
    assert_eq!(
        setting.notes.take(),
        [
            "a.example retry 1: cannot fetch a thing at a.example: it failed",
            "a.example retry 2: cannot fetch a thing at a.example: it failed, after 2 tries",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn permanent_errors_are_not_retried() {
    let setting = Setting::new();
    for kind in [
        ErrorKind::NotFound,
        ErrorKind::Unauthorized,
        ErrorKind::Denied,
        ErrorKind::Tls,
        ErrorKind::Rejected,
        ErrorKind::Refused,
        ErrorKind::Corrupt,
        ErrorKind::Cancelled,
        ErrorKind::Protocol,
        ErrorKind::MissingContent,
    ] {
        let start = Instant::now();
        let last = setting.attempts(5).after(error(kind)).await.unwrap_err();
        assert_eq!((last.kind(), last.tries()), (kind, 1));
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
    // An error with its own count keeps it.
    let counted = error(ErrorKind::Denied).with_tries(4);
    let last = setting.attempts(5).after(counted).await.unwrap_err();
    assert_eq!(last.tries(), 4);
    assert!(setting.notes.take().is_empty());
}

/// Returns the time until another operation at the host has its answer.
async fn time_of_another(setting: &Setting) -> Duration {
    let start = Instant::now();
    tokio::task::yield_now().await;
    let get = call(
        &setting.endpoint,
        http::Method::GET,
        "https://a.example/v2/",
    );
    setting.transport.send(get).await.unwrap();
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_host_that_asks_for_time_gets_it_from_everybody() {
    let setting = Setting::new();
    let mut attempts = setting.attempts(2);
    let other = time_of_another(&setting);
    let (own, other) = tokio::join!(attempts.after(limited(20)), other);
    own.unwrap();
    assert!(other >= Duration::from_secs(20));
    let notes = setting.notes.take();
    assert_eq!(notes.len(), 3);
    assert_eq!(notes[0], "a.example paused");
    assert!(notes[1].starts_with("a.example retry 1: "));
    // A 429 without a time pauses the host for our own delay.
    attempts.after(error(ErrorKind::RateLimited)).await.unwrap();
    assert_eq!(setting.notes.take()[0], "a.example paused");
    // An operation that gives up pauses the host for the others as well.
    attempts.after(limited(20)).await.unwrap_err();
    assert_eq!(setting.notes.take(), ["a.example paused"]);
}

#[tokio::test(start_paused = true)]
async fn others_wait_as_long_as_the_host_says_and_no_longer() {
    let setting = Setting::new();
    let mut attempts = setting.attempts(7);
    for _ in 0..6 {
        attempts.after(limited(1)).await.unwrap();
    }
    let start = Instant::now();
    let other = time_of_another(&setting);
    let (own, other) = tokio::join!(attempts.after(limited(1)), other);
    own.unwrap();
    // Its seventh delay: 300 ms, doubled six times, at least.
    assert!(start.elapsed() >= Duration::from_millis(19_200));
    assert!(other >= Duration::from_secs(1));
    assert!(other < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_asks_for_too_much_time_has_failed() {
    let setting = Setting::new();
    let start = Instant::now();
    let last = setting.attempts(5).after(limited(901)).await.unwrap_err();
    assert_eq!(
        last.message(),
        "it failed; it asks for a pause of 901 s, longer than the limit of 900 s"
    );
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(setting.notes.take().is_empty());
}

#[tokio::test(start_paused = true)]
async fn progress_forgives() {
    const MIB: u64 = 1024 * 1024;
    let setting = Setting::new();
    let mut attempts = setting.attempts(1);
    for _ in 0..10 {
        attempts.after(error(ErrorKind::Broken)).await.unwrap();
        attempts.progress(MIB / 2);
        attempts.progress(MIB / 2);
    }
    // Less progress, however often, does not.
    attempts.after(error(ErrorKind::Broken)).await.unwrap();
    attempts.progress(MIB - 1);
    let last = attempts.after(error(ErrorKind::Broken)).await.unwrap_err();
    assert_eq!(last.tries(), 12);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_ended_does_not_wait_for_what_comes_too_late() {
    let setting = Setting::new();
    let mut attempts = setting.attempts(9);
    let start = Instant::now();
    let ending = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        setting
            .transport
            .set_shutdown_deadline(Duration::from_secs(10));
    };
    let (waited, ()) = tokio::join!(attempts.after(limited(20)), ending);
    let last = waited.unwrap_err();
    assert_eq!((last.kind(), last.tries()), (ErrorKind::Cancelled, 1));
    // The host's pause delays nobody any longer either, and no request is sent before its end.
    let get = call(
        &setting.endpoint,
        http::Method::GET,
        "https://a.example/v2/",
    );
    let refused = setting.transport.send(get).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Cancelled);
    assert_eq!(start.elapsed(), Duration::from_secs(1));
    // Waits that end in time continue.
    let mut short = setting.attempts(1);
    short.after(error(ErrorKind::Broken)).await.unwrap();
}
