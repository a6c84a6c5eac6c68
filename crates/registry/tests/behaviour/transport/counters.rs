//! Counts of requests, retries and tries, which describe the same events: each try of a host is one request, and each
//! but the first is one retry.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use image_syncer_registry::Error;
use image_syncer_registry::transport::{
    Attempts, Endpoint, RetryPolicy, Transport, TransportOptions,
};
use tokio::net::TcpListener;

use super::fake::{Fake, answer, at_once};
use super::{Notes, call, insecure, secure};

/// Requests and retries that were reported.
fn counts(notes: &Notes) -> (usize, usize) {
    let notes = notes.take();
    let retries = notes.iter().filter(|note| note.contains(" retry "));
    let requests = notes.iter().filter(|note| note.contains(": GET "));
    (requests.count(), retries.count())
}

/// One operation with all its tries, the search for the scheme included.
async fn operation(transport: Arc<Transport>, endpoint: Endpoint) -> Result<u32, Error> {
    let policy = RetryPolicy::default().with_initial(Duration::from_millis(2));
    let mut attempts = Attempts::new(&transport, &endpoint, policy);
    let mut tries = 1;
    loop {
        let sent = async {
            let base = transport.base_url(&endpoint, "list tags").await?;
            let mut get = call(&endpoint, Method::GET, base.as_str());
            get.tries = tries;
            transport.send(get).await
        };
        match sent.await {
            Ok(answer) if answer.status == 200 => return Ok(tries),
            Ok(_) => {
                let host = endpoint.registry.as_str();
                let kind = image_syncer_registry::ErrorKind::Server;
                tries = attempts
                    .after(Error::new(kind, "list tags", host, "503"))
                    .await?;
            }
            Err(error) => tries = attempts.after(error).await?,
        }
    }
}

/// Results of so many operations that start together on several threads, with what was reported of them.
async fn operations(number: usize, endpoint: &Endpoint) -> (Vec<Result<u32, Error>>, Arc<Notes>) {
    let notes = Arc::new(Notes::default());
    let transport = Transport::new(TransportOptions::default().with_observer(notes.clone()));
    let transport = Arc::new(transport.unwrap());
    let started = (0..number).map(|_| tokio::spawn(operation(transport.clone(), endpoint.clone())));
    let results = join_all(started).await.into_iter().map(Result::unwrap);
    (results.collect(), notes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_at_a_dead_host_share_six_requests_and_five_retries() {
    for _ in 0..10 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        for endpoint in [insecure(port), secure(&format!("127.0.0.1:{port}"))] {
            for number in [1, 12] {
                let (results, notes) = operations(number, &endpoint).await;
                assert_eq!(results.len(), number);
                for result in results {
                    assert_eq!(result.unwrap_err().tries(), 6);
                }
                assert_eq!(counts(&notes), (6, 5), "{endpoint:?}, {number} operations");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_closes_connections_counts_like_a_dead_host() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream);
        }
    });
    let (results, notes) = operations(12, &secure(&format!("127.0.0.1:{port}"))).await;
    for result in results {
        assert_eq!(result.unwrap_err().tries(), 6);
    }
    assert_eq!(counts(&notes), (6, 5));
}

#[tokio::test(start_paused = true)]
async fn a_503_before_an_answer_is_two_requests_and_one_retry() {
    let fake = Fake::new(|_, number| {
        let status = if number == 0 { 503 } else { 200 };
        at_once(Ok(answer(status, "")))
    });
    let notes = Arc::new(Notes::default());
    let transport = fake.transport(TransportOptions::default().with_observer(notes.clone()));
    let tries = operation(transport, secure("a.example")).await.unwrap();
    assert_eq!(tries, 2);
    assert_eq!(counts(&notes), (2, 1));
}
