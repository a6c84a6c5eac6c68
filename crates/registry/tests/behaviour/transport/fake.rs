//! An HTTP service controlled by a test.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use image_syncer_registry::transport::{
    HttpError, HttpErrorKind, HttpService, RequestBody, ResponseBody, Route, Transport,
    TransportOptions,
};

pub(super) type Outcome = Result<http::Response<ResponseBody>, HttpError>;
type Answers =
    dyn Fn(http::Request<RequestBody>, usize) -> BoxFuture<'static, Outcome> + Send + Sync;

/// Counts requests, and answers them by a closure that receives the request and its number, from 0.
pub(super) struct Fake {
    answers: Box<Answers>,
    count: AtomicUsize,
}

impl Fake {
    pub(super) fn new(
        answers: impl Fn(http::Request<RequestBody>, usize) -> BoxFuture<'static, Outcome>
        + Send
        + Sync
        + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            answers: Box::new(answers),
            count: AtomicUsize::new(0),
        })
    }
    /// Number of requests.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
    pub(super) fn transport(self: &Arc<Self>, options: TransportOptions) -> Arc<Transport> {
        Arc::new(Transport::with_service(self.clone(), options))
    }
}

impl HttpService for Fake {
    fn call(&self, request: http::Request<RequestBody>, _route: Route) -> BoxFuture<'_, Outcome> {
        (self.answers)(request, self.count.fetch_add(1, Ordering::SeqCst))
    }
}

/// Returns an answer with `status` and `body`.
pub(super) fn answer(status: u16, body: &'static str) -> http::Response<ResponseBody> {
    http::Response::builder()
        .status(status)
        .body(ResponseBody::from(Bytes::from_static(body.as_bytes())))
        .unwrap()
}

/// Returns a failure of `kind`.
pub(super) fn failure(kind: HttpErrorKind, message: &str) -> HttpError {
    HttpError::new(kind, message.to_owned())
}

/// Returns a future that is ready with `outcome`.
pub(super) fn at_once(outcome: Outcome) -> BoxFuture<'static, Outcome> {
    Box::pin(std::future::ready(outcome))
}
