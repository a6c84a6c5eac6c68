//! Bodies in both directions, over real connections.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use image_syncer_registry::ErrorKind;
use image_syncer_registry::transport::{BodyAborted, RequestBody};
use tokio::sync::oneshot;

use super::{get, ok, put, transport};
use crate::server::{Reply, Server};

/// A stream that reports when it is dropped.
struct Told<S>(S, Option<oneshot::Sender<()>>);

impl<S: Stream + Unpin> Stream for Told<S> {
    type Item = S::Item;
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

impl<S> Drop for Told<S> {
    fn drop(&mut self) {
        if let Some(teller) = self.1.take() {
            teller.send(()).ok();
        }
    }
}

fn body(length: u64, items: Vec<Result<&'static str, BodyAborted>>) -> RequestBody {
    let items = items.into_iter().map(|item| item.map(Bytes::from));
    RequestBody::Stream {
        length,
        stream: Box::pin(stream::iter(items)),
    }
}

#[tokio::test]
async fn a_stream_arrives_with_its_length_and_unchanged() {
    let server = Server::plain(|_| ok("done")).await;
    let sent = body(11, vec![Ok("hello"), Ok(""), Ok(" "), Ok("world")]);
    let answer = transport().send(put(&server, sent)).await.unwrap();
    assert_eq!(answer.body.bytes(10).await.unwrap(), "done");
    let heard = server.heard();
    assert_eq!(heard[0].header("content-length"), Some("11"));
    assert_eq!(heard[0].header("transfer-encoding"), None);
    assert_eq!(heard[0].body, b"hello world");
}

#[tokio::test]
async fn an_empty_body_says_so() {
    let server = Server::plain(|_| ok("")).await;
    let transport = transport();
    transport
        .send(put(&server, RequestBody::Empty))
        .await
        .unwrap();
    transport.send(put(&server, body(0, vec![]))).await.unwrap();
    for heard in server.heard() {
        assert_eq!(heard.header("content-length"), Some("0"));
    }
}

#[tokio::test]
async fn a_body_of_the_wrong_length_never_arrives_completely() {
    let server = Server::plain(|_| ok("")).await;
    let transport = transport();
    for broken in [
        body(10, vec![Ok("hello"), Err(BodyAborted)]),
        // All bytes were sent before they turned out to be wrong.
        body(10, vec![Ok("hello"), Ok("world"), Err(BodyAborted)]),
        body(10, vec![Ok("hello")]),
        body(10, vec![Ok("hello"), Ok("worlds")]),
        body(0, vec![Ok("hello")]),
    ] {
        let error = transport.send(put(&server, broken)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert_eq!(error.message(), "the body's producer gave up");
    }
    assert_eq!(server.heard().len(), 0);
}

#[tokio::test]
async fn an_end_before_the_promised_length_is_an_error() {
    let server = Server::plain(|_| {
        Reply::Close(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello".to_vec())
    })
    .await;
    let mut answer = transport().send(get(&server, "/")).await.unwrap();
    assert_eq!(answer.body.chunk().await.unwrap().unwrap(), "hello");
    let error = answer.body.chunk().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Broken);
    assert_eq!(
        error.message(),
        "the connection closed early, after 5 of 10 bytes"
    );
    assert_eq!(answer.body.received(), 5);
    // A broken body stays broken, and does not look like a complete one at the next read.
    assert!(answer.body.chunk().await.unwrap().is_none());
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_an_error() {
    let server = Server::plain(|_| Reply::Close(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec())).await;
    let error = transport().send(get(&server, "/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Broken);
    assert!(
        error.message().starts_with("the answer is not HTTP"),
        "{error}"
    );
    let server = Server::plain(|_| Reply::Close(Vec::new())).await;
    let error = transport().send(get(&server, "/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Broken);
    assert_eq!(
        error.message(),
        "the connection closed before the answer was complete"
    );
}

#[tokio::test]
async fn a_small_answer_is_drained_and_its_connection_used_again() {
    let server = Server::plain(|_| ok("not found")).await;
    let transport = transport();
    for _ in 0..3 {
        let answer = transport.send(get(&server, "/")).await.unwrap();
        answer.body.drain().await;
    }
    assert_eq!((server.heard().len(), server.connections()), (3, 1));
    let large = Server::plain(|_| {
        Reply::Hang(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n".to_vec())
    })
    .await;
    let answer = transport.send(get(&large, "/")).await.unwrap();
    answer.body.drain().await;
}

#[tokio::test]
async fn the_producer_is_dropped_with_the_call() {
    let server = Server::plain(|_| Reply::Hang(Vec::new())).await;
    let (teller, told) = oneshot::channel();
    let (begun, begins) = oneshot::channel();
    let mut begun = Some(begun);
    // The first poll shows that the connection is established and the head was sent.
    let never = stream::poll_fn(move |_| {
        if let Some(begun) = begun.take() {
            begun.send(()).ok();
        }
        Poll::<Option<Result<Bytes, BodyAborted>>>::Pending
    });
    let sent = RequestBody::Stream {
        length: 10,
        stream: Box::pin(Told(never, Some(teller))),
    };
    let transport = transport();
    let mut call = Box::pin(transport.send(put(&server, sent)));
    tokio::select! {
        _ = &mut call => panic!("nothing answers"),
        begun = begins => begun.unwrap(),
    }
    drop(call);
    told.await.unwrap();
}

#[tokio::test]
async fn an_early_answer_is_heard_and_ends_the_upload() {
    // Answers after the head, without reading any byte of the body.
    let server =
        Server::early(b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 5\r\n\r\nlarge").await;
    let (teller, told) = oneshot::channel();
    let sent = RequestBody::Stream {
        length: 10,
        stream: Box::pin(Told(stream::pending(), Some(teller))),
    };
    let answer = transport().send(put(&server, sent)).await.unwrap();
    assert_eq!(answer.status, 413);
    assert_eq!(answer.body.bytes(10).await.unwrap(), "large");
    told.await.unwrap();
}
