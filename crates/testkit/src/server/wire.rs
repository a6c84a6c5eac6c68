//! The socket of a connection, which can be cut at any time.
//!
//! There are two kinds of cuts. *Immediate*: buffered bytes are lost. *After the flush*: hyper writes its buffers first
//! (a body that has reached the byte of a fault returns "pending", after which hyper flushes), then the stream ends.
//! Cuts are exact to the byte for this reason.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::sent;
use crate::fault::Cut;
use crate::lock::lock;

/// Maximum delay that a connection of limited bandwidth may make up.
const LATE: Duration = Duration::from_millis(10);

/// Controls for the socket of a connection, for its requests.
#[derive(Default)]
pub(crate) struct Wire {
    state: Mutex<WireState>,
}

#[derive(Default)]
struct WireState {
    cut: Option<(Cut, Moment)>,
    /// True after the cut: no byte is read or written any more.
    done: bool,
    wakers: Vec<Waker>,
    /// Time at which the connection has carried the bytes that it accepted, if bandwidth is limited.
    free_at: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    AfterFlush,
    Now,
}

impl Wire {
    /// Ends the connection immediately.
    pub(crate) fn cut(&self, how: Cut) {
        self.set(how, Moment::Now);
    }

    /// Ends the connection after hyper's buffers are written.
    pub(crate) fn cut_after_flush(&self, how: Cut) {
        self.set(how, Moment::AfterFlush);
    }

    /// Records `bytes` at `rate` bytes a second. Returns the time at which they have been carried.
    pub(crate) fn book(&self, bytes: usize, rate: u64) -> Instant {
        let mut state = self.lock();
        let now = Instant::now();
        // Timers wake up to a millisecond late, half of the time of a frame on a fast connection. This delay may be
        // made up, or the rate would never be reached.
        let earliest = now.checked_sub(LATE).unwrap_or(now);
        let start = state.free_at.map_or(now, |free_at| free_at.max(earliest));
        let nanos = (bytes as u64).saturating_mul(1_000_000_000) / rate.max(1);
        let end = start + Duration::from_nanos(nanos);
        state.free_at = Some(end);
        end
    }

    fn set(&self, how: Cut, moment: Moment) {
        let wakers = {
            let mut state = self.lock();
            state.cut.get_or_insert((how, moment));
            std::mem::take(&mut state.wakers)
        };
        for waker in wakers {
            waker.wake();
        }
    }

    /// Returns the cut that is due: any at a flush, otherwise only an immediate one.
    fn due(&self, context: &Context<'_>, flushed: bool) -> Option<Cut> {
        let mut state = self.lock();
        if let Some((how, moment)) = state.cut
            && (state.done || flushed || moment == Moment::Now)
        {
            state.done = true;
            return Some(how);
        }
        if !state.wakers.iter().any(|w| w.will_wake(context.waker())) {
            state.wakers.push(context.waker().clone());
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, WireState> {
        lock(&self.state)
    }
}

/// A socket that its [`Wire`] controls.
pub(crate) struct Socket {
    /// Removed only on drop.
    stream: Option<TcpStream>,
    wire: Arc<Wire>,
    stop: CancellationToken,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, wire: Arc<Wire>, stop: CancellationToken) -> Self {
        Self {
            stream: Some(stream),
            wire,
            stop,
        }
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(broken)
    }

    fn check(&self, context: &Context<'_>, flushed: bool) -> io::Result<()> {
        match self.wire.due(context, flushed) {
            Some(_) => Err(broken()),
            None => Ok(()),
        }
    }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "cut by a fault")
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context, false)?;
        self.stream()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context, false)?;
        self.stream()?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(context, false)?;
        self.stream()?.poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.stream()?.poll_flush(context))?;
        self.check(context, true)?;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context, false)?;
        self.stream()?.poll_shutdown(context)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let Some(stream) = self.stream.take() else {
            return;
        };
        let cut = self.wire.lock().cut;
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        match cut {
            Some((Cut::Reset, Moment::Now)) => {
                // Linger zero makes the close a reset. If the option fails, the connection is already closed.
                let _ = stream.set_zero_linger();
            }
            Some((Cut::Reset, Moment::AfterFlush)) => {
                runtime.spawn(sent::reset(stream));
            }
            Some((Cut::Close, _)) | None => {
                runtime.spawn(linger(stream, self.stop.clone()));
            }
        }
    }
}

/// Ends the stream in an orderly way and reads until the client has closed as well: closing a socket with unread bytes
/// would be a reset, and could discard bytes that were sent before.
async fn linger(mut stream: TcpStream, stop: CancellationToken) {
    let mut sink = vec![0; 64 * 1024];
    let drain = async {
        stream.shutdown().await?;
        while stream.read(&mut sink).await? > 0 {}
        io::Result::Ok(())
    };
    tokio::select! {
        () = stop.cancelled() => {}
        _ = drain => {}
    }
}
