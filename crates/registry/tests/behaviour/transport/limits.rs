//! Windows and pauses.

use std::sync::Arc;
use std::time::Duration;

use futures_util::poll;
use http::Method;
use registry::Error;
use registry::transport::{
    Attempts, Call, Lane, RequestBody, ResponseBody, RetryPolicy, Timeouts, Transport,
    TransportOptions, WindowBounds,
};
use tokio::time::Instant;

use super::fake::{Fake, answer, at_once};
use super::{Notes, call, secure};

fn narrow() -> TransportOptions {
    TransportOptions {
        calls_per_host: WindowBounds::at_most(1),
        transfers_per_host: WindowBounds::at_most(1),
        ..TransportOptions::default()
    }
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
    // Other hosts and lanes have windows of their own.
    assert_eq!(read(transport.clone(), to("b.example")).await, 4);
    let download = Call {
        lane: Lane::Downloads,
        ..to("a.example")
    };
    assert_eq!(read(transport.clone(), download).await, 4);
    assert!(poll!(&mut second).is_pending());
    // The last byte gives it back, though the answer is still at hand.
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
    let transport = fake.transport(TransportOptions {
        observer: notes.clone(),
        ..TransportOptions::default()
    });
    let start = Instant::now();
    let quay = secure("quay.example");
    transport.pause(&quay, Duration::from_secs(10));
    transport.pause(&quay, Duration::from_secs(5));
    let mut paused = Box::pin(read(transport.clone(), to("quay.example")));
    assert!(poll!(&mut paused).is_pending());
    assert_eq!(read(transport.clone(), to("other.example")).await, 4);
    assert_eq!((fake.count(), start.elapsed()), (1, Duration::ZERO));
    // A pause that is made longer while one waits counts too.
    transport.pause(&quay, Duration::from_secs(30));
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
    let transport = fake.transport(TransportOptions {
        observer: notes.clone(),
        ..TransportOptions::default()
    });
    let quay = secure("quay.example");
    let mut paused = Vec::new();
    for _ in 0..8 {
        let response = transport.send(to("quay.example")).await.unwrap();
        if response.status == http::StatusCode::OK {
            continue;
        }
        let error = Error::from_response("fetch a thing", "quay.example", response).await;
        // Each of them another task's first try.
        let mut attempts = Attempts::new(&transport, &quay, RetryPolicy::default());
        attempts.after(error).await.unwrap();
        let is_pause = |note: &String| note.ends_with("paused");
        paused.push(notes.take().iter().any(is_pause));
    }
    // The success in between sets the count back.
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
    let transport = fake.transport(TransportOptions {
        timeouts: Timeouts::default(),
        ..narrow()
    });
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
