//! Reads a blob once and passes its bytes to many windows.
//!
//! A slow upload that accepts something slows all; only one that stops is detached.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use image_syncer_registry::{BlobSize, BlobStream};
use tokio::sync::oneshot;

use crate::failure::Failure;
use crate::store::StoreError;
use crate::transfer::fan_out::BlobDownload;
use crate::transfer::fan_out::window::{WindowItem, WindowReceiver, WindowSender, window};

/// Maximum number of bytes by which an upload may lag behind the fastest one. The bytes are shared: this is the memory
/// of a download, not of an upload.
const WINDOW: u32 = 512 * 1024;

/// Maximum time that an upload may accept nothing while all others wait for it.
const MAX_IDLE: Duration = Duration::from_secs(10);

/// Result of opening a shared download.
pub(super) enum OpenedDownload {
    /// A window of the download, and the size of the blob.
    Window(WindowReceiver, BlobSize),
    /// The source could not be opened.
    Failed(Failure),
}

/// Opens the download, gives each of `openings` a window, and feeds the windows until the end of the blob or until no
/// reader needs bytes any more.
pub(super) async fn pump(download: BlobDownload, openings: Vec<oneshot::Sender<OpenedDownload>>) {
    let stream = match download.open(0).await {
        Ok(stream) => stream,
        Err(error) => {
            let failure = Failure::from(error);
            for opening in openings {
                // A reader that left meanwhile needs no result.
                let _ = opening.send(OpenedDownload::Failed(failure.clone()));
            }
            return;
        }
    };
    let mut feeds = Vec::with_capacity(openings.len());
    for opening in openings {
        let (feed, window) = window(WINDOW);
        if opening
            .send(OpenedDownload::Window(window, stream.size().clone()))
            .is_ok()
        {
            feeds.push(feed);
        }
    }
    let end = feed_all(&download, stream, &mut feeds).await;
    for feed in feeds {
        feed.end(match &end {
            Ok(()) => WindowItem::End,
            Err(failure) => WindowItem::Failed(failure.clone()),
        });
    }
}

async fn feed_all(
    download: &BlobDownload,
    mut stream: BlobStream,
    feeds: &mut Vec<WindowSender>,
) -> Result<(), Failure> {
    while feeds.iter().any(WindowSender::is_open) {
        let gone = join_all(feeds.iter().map(WindowSender::closed));
        let next = tokio::select! {
            biased;
            next = stream.next() => next,
            _ = gone => break,
        };
        match next {
            Some(Ok(bytes)) => {
                download.progress.fetched(bytes.len());
                send_to_all(feeds, &bytes).await;
            }
            Some(Err(error)) => return Err(StoreError::source(error).into()),
            None => break,
        }
    }
    Ok(())
}

/// Passes `bytes` to all of `feeds`, and waits until each has accepted them, is gone, or is detached.
async fn send_to_all(feeds: &mut Vec<WindowSender>, bytes: &Bytes) {
    feeds.retain(WindowSender::is_open);
    let full: Vec<WindowSender> = feeds.extract_if(.., |feed| !feed.try_send(bytes)).collect();
    if full.is_empty() {
        return;
    }
    let mut waiting: FuturesUnordered<_> = full
        .into_iter()
        .map(|feed| send_when_ready(feed, bytes))
        .collect();
    loop {
        let others = feeds.iter().any(WindowSender::is_open);
        tokio::select! {
            biased;
            fed = waiting.next() => match fed {
                Some(feed) => feeds.push(feed),
                None => return,
            },
            () = idle_for(feeds, MAX_IDLE), if others => {
                // The limit protects the other readers, which may have left meanwhile.
                if feeds.iter().any(WindowSender::is_open) {
                    // Windows that are still full end here without an item: their readers are detached.
                    drop(waiting);
                    return;
                }
            }
        }
    }
}

async fn send_when_ready(feed: WindowSender, bytes: &Bytes) -> WindowSender {
    feed.send(bytes).await;
    feed
}

/// Waits until all windows are empty, as their uploads have sent everything and need more, and for `time` after that.
async fn idle_for(feeds: &[WindowSender], time: Duration) {
    join_all(feeds.iter().map(WindowSender::wait_until_empty)).await;
    tokio::time::sleep(time).await;
}
