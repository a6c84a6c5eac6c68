//! Unreachable hosts: the number of tries, and the errors of operations that did not try.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use image_syncer_registry::transport::{
    Attempts, Endpoint, HttpErrorKind, RetryPolicy, Transport, TransportOptions,
};
use image_syncer_registry::{Error, ErrorKind};
use tokio::time::Instant;

use super::fake::{Fake, answer, at_once, failure};
use super::{Notes, call, insecure, secure};

const URL: &str = "https://a.example/v2/";

/// A service whose connections fail in one way while it is down, with a transport.
struct Setting {
    fake: Arc<Fake>,
    transport: Arc<Transport>,
    notes: Arc<Notes>,
    is_up: Arc<AtomicBool>,
    endpoint: Endpoint,
}

impl Setting {
    fn down(kind: HttpErrorKind) -> Self {
        Self::down_after(kind, Duration::from_millis(50))
    }
    /// Each connection takes `time` to fail.
    fn down_after(kind: HttpErrorKind, time: Duration) -> Self {
        let is_up = Arc::new(AtomicBool::new(false));
        let up = Arc::clone(&is_up);
        let fake = Fake::new(move |_, _| {
            let up = Arc::clone(&up);
            Box::pin(async move {
                if up.load(Ordering::SeqCst) {
                    return Ok(answer(200, ""));
                }
                tokio::time::sleep(time).await;
                Err(failure(kind, "it failed"))
            })
        });
        let notes = Arc::new(Notes::default());
        let transport = fake.transport(TransportOptions::default().with_observer(notes.clone()));
        Self {
            fake,
            transport,
            notes,
            is_up,
            endpoint: secure("a.example"),
        }
    }
    fn up(&self, is_up: bool) {
        self.is_up.store(is_up, Ordering::SeqCst);
    }
    /// Runs one operation with all its tries. Returns the number of the successful try.
    async fn operation(&self) -> Result<u32, Error> {
        self.operation_at(URL).await
    }
    async fn operation_at(&self, url: &str) -> Result<u32, Error> {
        let mut attempts = Attempts::new(&self.transport, &self.endpoint, RetryPolicy::default());
        let mut tries = 1;
        loop {
            let get = call(&self.endpoint, Method::GET, url);
            match self.transport.send(get).await {
                Ok(_) => return Ok(tries),
                Err(error) => tries = attempts.after(error).await?,
            }
        }
    }
    async fn operations(&self, number: usize) -> Vec<Result<u32, Error>> {
        join_all((0..number).map(|_| self.operation())).await
    }
    fn retries(&self) -> usize {
        let notes = self.notes.take();
        notes.iter().filter(|note| note.contains(" retry ")).count()
    }
}

#[tokio::test(start_paused = true)]
async fn operations_that_start_together_share_the_tries_of_one() {
    for (kind, expected, tries) in [
        (HttpErrorKind::Resolve, ErrorKind::Connect, 6),
        (HttpErrorKind::Connect, ErrorKind::Connect, 6),
        // A port that accepts connections and closes them.
        (HttpErrorKind::Broken, ErrorKind::Broken, 6),
        // Failures that no retry fixes.
        (HttpErrorKind::Certificate, ErrorKind::Tls, 1),
        (HttpErrorKind::Handshake, ErrorKind::Tls, 1),
        (HttpErrorKind::NotTls, ErrorKind::Tls, 1),
    ] {
        let setting = Setting::down(kind);
        let results = setting.operations(12).await;
        assert_eq!(setting.fake.count(), tries, "{kind:?}");
        assert_eq!(setting.retries(), tries - 1, "{kind:?}");
        for result in results {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), expected);
            assert_eq!(usize::try_from(error.tries()).unwrap(), tries);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_takes_as_long_as_it_may_is_tried_by_one() {
    let setting = Setting::down_after(HttpErrorKind::ConnectTimeout, Duration::from_secs(15));
    setting.operations(12).await;
    assert_eq!(setting.fake.count(), 6);
}

#[tokio::test(start_paused = true)]
async fn operations_that_did_not_try_get_the_error_with_their_own_action() {
    let setting = Setting::down(HttpErrorKind::Connect);
    setting.operation().await.unwrap_err();
    let mut get = call(&setting.endpoint, Method::GET, URL);
    get.action = Arc::from("fetch another thing");
    let start = Instant::now();
    let error = setting.transport.send(get).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot fetch another thing at a.example: it failed, after 6 tries"
    );
    assert_eq!((setting.fake.count(), start.elapsed()), (6, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_down_is_tried_once_again_after_a_while() {
    let setting = Setting::down(HttpErrorKind::Connect);
    setting.operation().await.unwrap_err();
    tokio::time::advance(Duration::from_secs(10)).await;
    let results = setting.operations(12).await;
    assert!(results.iter().all(Result::is_err));
    assert_eq!(setting.fake.count(), 7);
    tokio::time::advance(Duration::from_secs(10)).await;
    setting.up(true);
    let results = setting.operations(12).await;
    assert!(results.iter().all(|result| matches!(result, Ok(1))));
    assert_eq!(setting.fake.count(), 7 + 12);
}

#[tokio::test(start_paused = true)]
async fn all_go_on_when_the_host_is_back() {
    let setting = Setting::down(HttpErrorKind::Connect);
    let back = async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        setting.up(true);
    };
    let (results, ()) = tokio::join!(setting.operations(12), back);
    let mut tries: Vec<u32> = results.into_iter().map(Result::unwrap).collect();
    tries.sort_unstable();
    // One tried without success; a request that was not sent does not count as a try.
    assert_eq!(tries[..11], [1; 11]);
    assert!((2..=3).contains(&tries[11]), "{tries:?}");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_answered_a_moment_ago_is_given_all_tries_again() {
    let setting = Setting::down(HttpErrorKind::Connect);
    setting.up(true);
    setting.operation().await.unwrap();
    setting.up(false);
    for round in 1..=3 {
        assert_eq!(setting.operation().await.unwrap_err().tries(), 6);
        assert_eq!(setting.fake.count(), 1 + 6 * round);
    }
    tokio::time::advance(Duration::from_secs(60)).await;
    let last = setting.operation().await.unwrap_err();
    assert_eq!((last.tries(), setting.fake.count()), (6, 25));
    // By now it is down for good.
    setting.operation().await.unwrap_err();
    assert_eq!(setting.fake.count(), 25);
}

#[tokio::test(start_paused = true)]
async fn the_next_operation_retries_when_the_first_is_cancelled() {
    let setting = Setting::down(HttpErrorKind::Connect);
    let cancelled = async {
        let soon = Duration::from_millis(100);
        assert!(
            tokio::time::timeout(soon, setting.operation())
                .await
                .is_err()
        );
    };
    let (error, ()) = tokio::join!(
        async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            setting.operation().await.unwrap_err()
        },
        cancelled
    );
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!((6..=7).contains(&setting.fake.count()));
}

#[tokio::test(start_paused = true)]
async fn one_host_says_nothing_about_another() {
    let setting = Setting::down(HttpErrorKind::Connect);
    setting.operation().await.unwrap_err();
    setting.up(true);
    let elsewhere = "https://auth.example/token";
    assert_eq!(setting.operation_at(elsewhere).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_search_for_the_scheme_counts_as_one_try() {
    let setting = Setting::down(HttpErrorKind::Connect);
    let endpoint = insecure(1);
    let operation = || async {
        let mut attempts = Attempts::new(&setting.transport, &endpoint, RetryPolicy::default());
        loop {
            if let Err(error) = setting.transport.base_url(&endpoint, "list tags").await
                && let Err(last) = attempts.after(error).await
            {
                return last;
            }
        }
    };
    let errors = join_all((0..12).map(|_| operation())).await;
    assert!(errors.iter().all(|error| error.tries() == 6));
    assert_eq!(setting.fake.count(), 6);
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_any_kind_reaches_the_host() {
    let fake = Fake::new(|_, _| at_once(Ok(answer(503, ""))));
    let transport = fake.transport(TransportOptions::default());
    let endpoint = secure("a.example");
    let sent = join_all((0..5).map(|_| transport.send(call(&endpoint, Method::GET, URL)))).await;
    assert!(sent.iter().all(Result::is_ok));
    assert_eq!(fake.count(), 5);
}
