//! A bounded window between a download and one of its uploads.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::{Semaphore, TryAcquireError, mpsc};

use crate::failure::Failure;

/// Items of a window. A window that ends without `End` or `Failed` was detached.
pub(super) enum WindowItem {
    Bytes(Bytes),
    /// All bytes came and were verified.
    End,
    /// The source failed permanently.
    Failed(Failure),
}

/// The side of the download.
pub(super) struct WindowSender {
    items: mpsc::UnboundedSender<WindowItem>,
    room: Arc<Semaphore>,
    size: u32,
}

/// The side of the upload: a stream of items.
pub(super) struct WindowReceiver {
    items: mpsc::UnboundedReceiver<WindowItem>,
    room: Arc<Semaphore>,
    size: u32,
    /// Room of the bytes that were returned last. It is released when more is requested, so that a window is empty only
    /// when the upload has sent its bytes.
    owed: usize,
}

/// Creates a window of `size` bytes. A larger chunk occupies all of it.
pub(super) fn window(size: u32) -> (WindowSender, WindowReceiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(size as usize));
    let feed = WindowSender {
        items: sender,
        room: Arc::clone(&room),
        size,
    };
    let window = WindowReceiver {
        items: receiver,
        room,
        size,
        owed: 0,
    };
    (feed, window)
}

/// Returns the room that `bytes` occupy in a window of `size`.
fn cost(bytes: &Bytes, size: u32) -> u32 {
    u32::try_from(bytes.len()).map_or(size, |length| length.min(size))
}

impl WindowSender {
    /// Passes `bytes` on if there is room now, or if the upload is gone.
    pub(super) fn try_send(&self, bytes: &Bytes) -> bool {
        match self.room.try_acquire_many(cost(bytes, self.size)) {
            Ok(room) => {
                room.forget();
                self.put(WindowItem::Bytes(bytes.clone()));
                true
            }
            Err(TryAcquireError::Closed) => true,
            Err(TryAcquireError::NoPermits) => false,
        }
    }
    /// Passes `bytes` on when there is room, or the upload is gone.
    pub(super) async fn send(&self, bytes: &Bytes) {
        if let Ok(room) = self.room.acquire_many(cost(bytes, self.size)).await {
            room.forget();
            self.put(WindowItem::Bytes(bytes.clone()));
        }
    }
    /// Waits until the upload has sent all its bytes and requests more, or is gone.
    pub(super) async fn wait_until_empty(&self) {
        // An error means that the upload is gone.
        let _ = self.room.acquire_many(self.size).await;
    }
    /// Waits until the upload is gone.
    pub(super) async fn closed(&self) {
        self.items.closed().await;
    }
    /// Returns whether the upload still needs bytes.
    pub(super) fn is_open(&self) -> bool {
        !self.items.is_closed()
    }
    /// Ends the window with `item`.
    pub(super) fn end(self, item: WindowItem) {
        self.put(item);
    }
    fn put(&self, item: WindowItem) {
        // The receiver may have been dropped a moment ago.
        let _ = self.items.send(item);
    }
}

impl Stream for WindowReceiver {
    type Item = WindowItem;
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<WindowItem>> {
        let owed = std::mem::take(&mut self.owed);
        if owed > 0 {
            self.room.add_permits(owed);
        }
        let item = ready!(self.items.poll_recv(cx));
        if let Some(WindowItem::Bytes(bytes)) = &item {
            self.owed = cost(bytes, self.size) as usize;
        }
        Poll::Ready(item)
    }
}

impl Drop for WindowReceiver {
    fn drop(&mut self) {
        self.room.close();
    }
}
