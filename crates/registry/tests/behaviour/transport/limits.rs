//! Windows and pauses.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, poll};
use http::Method;
use image_syncer_registry::Error;
use image_syncer_registry::transport::{
    Attempts, Call, HttpErrorKind, Lane, PauseReason, PerRegistry, RequestBody, ResponseBody,
    RetryPolicy, Timeouts, Transport, TransportOptions, WindowBounds,
};
use tokio::time::Instant;

use super::fake::{Fake, answer, at_once, failure};
use super::{Notes, call, secure};

fn narrow() -> TransportOptions {
    TransportOptions::default()
        .with_calls_per_host(WindowBounds::at_most(1))
        .with_transfers_per_host(WindowBounds::at_most(1))
}

fn to(host: &str) -> Call {
    call(&secure(host), Method::GET, &format!("https://{host}/v2/"))
}

async fn read(transport: Arc<Transport>, call: Call) -> usize {
    let answer = transport.send(call).await.unwrap();
    answer.body.bytes(100).await.unwrap().len()
}

#[tokio::test]
async fn a_permit_is_held_until_the_body_is_read() {
    let fake = Fake::new(|_, _| at_once(Ok(answer(200, "body"))));
    let transport = fake.transport(narrow());
    let mut first = transport.send(to("a.example")).await.unwrap();
    let mut second = Box::pin(read(transport.clone(), to("a.example")));
    assert!(poll!(&mut second).is_pending());
    assert_eq!(fake.count(), 1);
    // Other hosts and lanes have their own windows.
    assert_eq!(read(transport.clone(), to("b.example")).await, 4);
    let download = Call {
        lane: Lane::Downloads,
        ..to("a.example")
    };
    assert_eq!(read(transport.clone(), download).await, 4);
    assert!(poll!(&mut second).is_pending());
    // The last byte releases the permit, although the answer still exists.
    while first.body.chunk().await.unwrap().is_some() {}
    assert_eq!(second.await, 4);
    assert_eq!(first.body.received(), 4);
    assert_eq!(fake.count(), 4);
}

#[tokio::test]
async fn a_permit_comes_back_from_what_is_dropped() {
    let fake = Fake::new(|_, number| match number {
        0 => Box::pin(std::future::pending()),
        _ => at_once(Ok(answer(200, "body"))),
    });
    let transport = fake.transport(narrow());
    let mut hangs = Box::pin(transport.send(to("a.example")));
    let mut waits = Box::pin(transport.send(to("a.example")));
    assert!(poll!(&mut hangs).is_pending());
    assert!(poll!(&mut waits).is_pending());
    drop(waits);
    drop(hangs);
    let unread = transport.send(to("a.example")).await.unwrap();
    drop(unread);
    assert_eq!(read(transport.clone(), to("a.example")).await, 4);
    assert_eq!(fake.count(), 3);
}

#[tokio::test]
async fn an_answer_without_a_body_holds_no_permit() {
    let fake = Fake::new(|_, _| at_once(Ok(answer(401, ""))));
    let transport = fake.transport(narrow());
    let first = transport.send(to("a.example")).await.unwrap();
    let second = transport.send(to("a.example")).await.unwrap();
    assert_eq!((first.status, second.status), (first.status, first.status));
    assert_eq!(fake.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_up_everybody_at_that_registry() {
    let fake = Fake::new(|_, _| at_once(Ok(answer(200, "body"))));
    let notes = Arc::new(Notes::default());
    let transport = fake.transport(TransportOptions::default().with_observer(notes.clone()));
    let start = Instant::now();
    let quay = secure("quay.example");
    transport.pause(&quay, Duration::from_secs(10), PauseReason::RateLimit);
    transport.pause(&quay, Duration::from_secs(5), PauseReason::RateLimit);
    let mut paused = Box::pin(read(transport.clone(), to("quay.example")));
    assert!(poll!(&mut paused).is_pending());
    assert_eq!(read(transport.clone(), to("other.example")).await, 4);
    assert_eq!((fake.count(), start.elapsed()), (1, Duration::ZERO));
    // A pause that is extended during the wait counts as well.
    transport.pause(&quay, Duration::from_secs(30), PauseReason::RateLimit);
    assert_eq!(paused.await, 4);
    assert!(start.elapsed() >= Duration::from_secs(30));
    let told: Vec<String> = notes
        .take()
        .into_iter()
        .filter(|note| note.ends_with("paused"))
        .collect();
    assert_eq!(told, ["quay.example paused"]);
}

#[tokio::test(start_paused = true)]
async fn several_503_in_a_row_hold_up_everybody_at_that_registry() {
    let fake = Fake::new(|_, number| {
        let status = if matches!(number, 1..=3 | 5..) {
            503
        } else {
            200
        };
        at_once(Ok(answer(status, "")))
    });
    let notes = Arc::new(Notes::default());
    let transport = fake.transport(TransportOptions::default().with_observer(notes.clone()));
    let quay = secure("quay.example");
    let mut paused = Vec::new();
    for _ in 0..8 {
        let response = transport.send(to("quay.example")).await.unwrap();
        if response.status == http::StatusCode::OK {
            continue;
        }
        let error = Error::from_response("fetch a thing", "quay.example", response).await;
        // Each of them is the first try of another task.
        let mut attempts = Attempts::new(&transport, &quay, RetryPolicy::default());
        attempts.after(error).await.unwrap();
        let is_pause = |note: &String| note.ends_with("paused");
        paused.push(notes.take().iter().any(is_pause));
    }
    // The success in between resets the count.
    assert_eq!(paused, [false, false, true, false, false, true]);
    assert_eq!(fake.count(), 8);
}

#[tokio::test]
async fn a_body_may_be_long_without_its_length_said() {
    let fake = Fake::new(|_, _| {
        let stream = futures_util::stream::iter((0..3).map(|_| Ok("abc".into())));
        at_once(Ok(http::Response::new(ResponseBody::from_stream(
            Box::pin(stream),
        ))))
    });
    let transport = fake.transport(narrow());
    let answer = transport.send(to("a.example")).await.unwrap();
    assert_eq!(answer.body.bytes(9).await.unwrap(), "abcabcabc");
    let answer = transport.send(to("a.example")).await.unwrap();
    let error = answer.body.bytes(8).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot fetch a thing at a.example: the answer is larger than the 8 bytes that are read"
    );
    assert!(matches!(to("a.example").body, RequestBody::Empty));
}

/// Returns a transport with this many bytes per second, for peers that may be silent for one second.
fn slow(rate: u64) -> TransportOptions {
    TransportOptions::default()
        .with_max_rate(PerRegistry::default().with_each(rate))
        .with_timeouts(Timeouts::default().with_stall(Duration::from_secs(1)))
}

/// Returns three chunks of 1000 bytes.
fn thousands<E: Send + 'static>()
-> std::pin::Pin<Box<dyn futures_util::Stream<Item = Result<bytes::Bytes, E>> + Send>> {
    let chunk = || Ok(bytes::Bytes::from(vec![0; 1000]));
    Box::pin(futures_util::stream::iter((0..3).map(move |_| chunk())))
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_users_limit_is_not_a_stall() {
    let fake = Fake::new(|request, number| match number {
        0 => at_once(Ok(http::Response::new(ResponseBody::from_stream(
            thousands(),
        )))),
        _ => Box::pin(async move {
            let RequestBody::Stream { stream, .. } = request.into_body() else {
                panic!("no stream");
            };
            let taken: Vec<_> = stream.collect().await;
            assert!(taken.iter().all(Result::is_ok));
            Ok(answer(201, ""))
        }),
    });
    let transport = fake.transport(slow(100));
    let start = Instant::now();
    // Ten seconds per chunk; the next bytes would pay for the last one.
    let download = transport.send(to("a.example")).await.unwrap();
    assert_eq!(download.body.bytes(3000).await.unwrap().len(), 3000);
    assert_eq!(start.elapsed().as_secs(), 30);
    let upload = Call {
        lane: Lane::Uploads,
        body: RequestBody::Stream {
            length: 3000,
            stream: thousands(),
        },
        ..call(
            &secure("a.example"),
            Method::PUT,
            "https://elsewhere.example/",
        )
    };
    let answer = transport.send(upload).await.unwrap();
    assert_eq!((answer.status.as_u16(), fake.count()), (201, 2));
    // Every host that it leads to counts for the registry.
    assert!(start.elapsed().as_secs() >= 50);
}

#[tokio::test(start_paused = true)]
async fn each_hop_counts_for_the_registry_that_it_is_made_for() {
    let fake = Fake::new(|request, _| {
        at_once(Ok(match request.uri().host() {
            Some("a.example") => http::Response::builder()
                .status(307)
                .header("location", "https://storage.example/blob")
                .body(ResponseBody::empty())
                .unwrap(),
            _ => answer(200, ""),
        }))
    });
    let transport = fake.transport(TransportOptions::default().with_max_requests(
        PerRegistry::default().with_registry(secure("a.example").registry, 1.0),
    ));
    let start = Instant::now();
    for _ in 0..2 {
        transport.send(to("a.example")).await.unwrap();
        transport.send(to("b.example")).await.unwrap();
    }
    assert_eq!((fake.count(), start.elapsed().as_secs()), (6, 3));
}

#[tokio::test(start_paused = true)]
async fn a_narrower_window_is_reported() {
    let fake = Fake::new(|_, number| {
        at_once(match number {
            0..4 => Err(failure(HttpErrorKind::Connect, "connection refused")),
            4 | 9 => Ok(answer(200, "")),
            5 | 6 => Err(failure(HttpErrorKind::Broken, "the connection was reset")),
            _ => Ok(answer(429, "")),
        })
    });
    let notes = Arc::new(Notes::default());
    let transport = fake.transport(
        TransportOptions::default()
            .with_observer(notes.clone())
            .with_calls_per_host(WindowBounds::at_most(8)),
    );
    for _ in 0..10 {
        transport.send(to("a.example")).await.ok();
        // No operation retries on behalf of all: the next one may try by then.
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    let told = notes.take();
    let told: Vec<_> = told
        .iter()
        .filter(|note| note.contains("at most"))
        .collect();
    assert_eq!(
        told,
        [
            "a.example takes at most 4 in Calls",
            "a.example takes at most 2 in Calls",
            "a.example takes at most 1 in Calls"
        ]
    );
}
