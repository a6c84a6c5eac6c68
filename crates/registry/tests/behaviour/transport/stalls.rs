//! Timeouts watch progress, not total time. Time is paused and advances only by waiting.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::Method;
use image_syncer_registry::transport::{
    AnswerLimit, BodyAborted, Call, RequestBody, ResponseBody, TransportOptions,
};
use image_syncer_registry::{Error, ErrorKind, Retryable};
use tokio::time::{Instant, sleep};

use super::fake::{Fake, answer, at_once};
use super::{call, secure};

fn upload(body: RequestBody, answer: AnswerLimit) -> Call {
    Call {
        body,
        answer,
        ..call(&secure("a.example"), Method::PUT, "https://a.example/v2/u")
    }
}

/// Returns `count` times 1 byte, each after `pause`.
fn slow(count: u64, pause: Duration) -> RequestBody {
    let bytes = stream::iter(0..count).then(move |_| async move {
        sleep(pause).await;
        Ok::<_, BodyAborted>(Bytes::from_static(b"x"))
    });
    RequestBody::Stream {
        length: count,
        stream: Box::pin(bytes),
    }
}

fn stalled(error: &Error, message: &str) {
    assert_eq!(error.kind(), ErrorKind::Stalled);
    assert_eq!(error.retryable(), Retryable::Yes);
    assert_eq!(
        error.to_string(),
        format!("cannot fetch a thing at a.example: {message}")
    );
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come_is_a_stall() {
    let transport =
        Fake::new(|_, _| Box::pin(std::future::pending())).transport(TransportOptions::default());
    let start = Instant::now();
    let get = call(&secure("a.example"), Method::GET, "https://a.example/v2/");
    let error = transport.send(get).await.unwrap_err();
    stalled(&error, "no answer came for 60 s");
    assert_eq!(start.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_closing_put_may_take_longer() {
    let fake = Fake::new(|_, _| {
        Box::pin(async {
            sleep(Duration::from_secs(500)).await;
            Ok(answer(201, ""))
        })
    });
    let transport = fake.transport(TransportOptions::default());
    let closing = upload(RequestBody::Empty, AnswerLimit::Closing);
    assert_eq!(transport.send(closing).await.unwrap().status, 201);
    let normal = upload(RequestBody::Empty, AnswerLimit::Normal);
    assert!(transport.send(normal).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_coming_is_a_stall_and_slowness_is_none() {
    let fake = Fake::new(|_, _| {
        let slow = stream::iter(0..3).then(|_| async {
            sleep(Duration::from_secs(59)).await;
            Ok(Bytes::from_static(&[b'x'; 8 * 1024]))
        });
        let body = ResponseBody::from_stream(Box::pin(slow.chain(stream::pending())));
        at_once(Ok(http::Response::new(body)))
    });
    let transport = fake.transport(TransportOptions::default());
    let get = call(&secure("a.example"), Method::GET, "https://a.example/v2/");
    let mut body = transport.send(get).await.unwrap().body;
    for _ in 0..3 {
        assert_eq!(body.chunk().await.unwrap().unwrap().len(), 8 * 1024);
        // A slow reader is not a stall either.
        sleep(Duration::from_secs(300)).await;
    }
    let start = Instant::now();
    stalled(&body.chunk().await.unwrap_err(), "no byte came for 60 s");
    assert_eq!(start.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_network_that_takes_no_more_bytes_is_a_stall() {
    // Takes one chunk and then no more.
    let fake = Fake::new(|request, _| {
        Box::pin(async move {
            let RequestBody::Stream { mut stream, .. } = request.into_body() else {
                panic!("a stream was sent");
            };
            stream.next().await.unwrap().unwrap();
            std::future::pending().await
        })
    });
    let transport = fake.transport(TransportOptions::default());
    let start = Instant::now();
    let body = slow(5, Duration::from_secs(100));
    let error = transport
        .send(upload(body, AnswerLimit::Closing))
        .await
        .unwrap_err();
    stalled(&error, "no byte could be sent for 60 s");
    // The producer's own 100 s do not count.
    assert_eq!(start.elapsed().as_secs(), 160);
}

#[tokio::test(start_paused = true)]
async fn a_producer_that_waits_is_no_stall() {
    let fake = Fake::new(|request, _| {
        Box::pin(async move {
            let RequestBody::Stream { stream, .. } = request.into_body() else {
                panic!("a stream was sent");
            };
            assert_eq!(stream.count().await, 5);
            std::future::pending().await
        })
    });
    let transport = fake.transport(TransportOptions::default());
    let start = Instant::now();
    let body = slow(5, Duration::from_secs(1000));
    let error = transport
        .send(upload(body, AnswerLimit::Normal))
        .await
        .unwrap_err();
    // The limit for the answer starts after everything is sent.
    stalled(&error, "no answer came for 60 s");
    assert_eq!(start.elapsed().as_secs(), 5060);
}

#[tokio::test(start_paused = true)]
async fn buffered_bytes_get_time_to_drain() {
    let fake = Fake::new(|_, _| Box::pin(std::future::pending()));
    let transport = Arc::clone(&fake.transport(TransportOptions::default()));
    let start = Instant::now();
    let body = RequestBody::Bytes(Bytes::from(vec![0; 1024 * 1024]));
    let error = transport
        .send(upload(body, AnswerLimit::Normal))
        .await
        .unwrap_err();
    // 1 MiB at 64 KiB a second.
    stalled(&error, "no answer came for 76 s");
    assert_eq!(start.elapsed().as_secs(), 76);
}
