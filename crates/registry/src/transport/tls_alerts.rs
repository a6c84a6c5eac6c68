//! Refusals of a client certificate, which arrive after the handshake in TLS 1.3.
//!
//! The server's alert ends the connection before any answer. Over HTTP/2, the HTTP library only reports a closed
//! connection to the requests on it, so the alert is noted when it is read.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::Authority;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::error::Cause;
use crate::lock::lock;
use crate::transport::connection::Io;
use crate::transport::{HttpError, HttpErrorKind, classify};

/// Time after an alert during which it explains the failures of requests.
const RECENT: Duration = Duration::from_secs(10);
/// Maximum number of hosts that are remembered.
const MAX_HOSTS: usize = 256;

/// The last alert of each host.
#[derive(Clone, Default)]
pub(super) struct Alerts(Arc<Mutex<HashMap<Authority, (Instant, HttpError)>>>);

impl Alerts {
    /// Returns `error`, or the alert with which the host of `uri` has just closed a connection.
    pub(super) fn explain(&self, uri: &Uri, error: HttpError) -> HttpError {
        if !matches!(
            error.kind,
            HttpErrorKind::Broken | HttpErrorKind::Http2Broken
        ) {
            return error;
        }
        let alerts = lock(&self.0);
        let alert = uri.authority().and_then(|authority| alerts.get(authority));
        match alert {
            Some((at, alert)) if at.elapsed() < RECENT => alert.clone(),
            _ => error,
        }
    }

    /// Watches a connection to the host of `uri`.
    pub(super) fn watch<S: Io>(&self, stream: S, uri: &Uri) -> Watched<S> {
        Watched {
            stream,
            authority: uri.authority().cloned(),
            alerts: self.clone(),
        }
    }

    fn record_alert(&self, authority: &Authority, error: HttpError) {
        let mut alerts = lock(&self.0);
        if alerts.len() >= MAX_HOSTS {
            alerts.clear();
        }
        alerts.insert(authority.clone(), (Instant::now(), error));
    }
}

/// A connection that notes its alerts.
pub(super) struct Watched<S> {
    stream: S,
    authority: Option<Authority>,
    alerts: Alerts,
}

impl<S: Io> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if let (Poll::Ready(Err(error)), Some(authority)) = (&read, &self.authority) {
            let error = classify::handshake(error);
            if error.cause == Some(Cause::ClientCertificate) {
                self.alerts.record_alert(authority, error);
            }
        }
        read
    }
}

impl<S: Io> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }
}
