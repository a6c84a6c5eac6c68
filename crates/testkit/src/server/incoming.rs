//! The body of a request, counted, slowed down and cut as faults demand.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use super::body::{End, Running};
use super::wire::Wire;

/// The body of a request.
pub(crate) struct RequestBody {
    pub(crate) incoming: Incoming,
    pub(crate) running: Arc<Running>,
    pub(crate) wire: Arc<Wire>,
    pub(crate) end: Option<(u64, End)>,
    pub(crate) rate: Box<dyn Fn() -> Option<u64> + Send + Sync>,
    pub(crate) taken: u64,
}

/// The client disconnected within the body.
#[derive(Debug)]
pub(crate) struct Broken;

impl RequestBody {
    /// Returns true if there is no body, or no byte of it is left.
    pub(crate) fn at_end(&self) -> bool {
        self.end.is_none() && self.incoming.is_end_stream()
    }

    /// Length declared by the client.
    pub(crate) fn announced(&self) -> Option<u64> {
        self.incoming.size_hint().exact()
    }

    /// Returns the next bytes, or `None` at the end.
    pub(crate) async fn chunk(&mut self) -> Option<Result<Bytes, Broken>> {
        loop {
            self.reach_end().await;
            let Ok(frame) = self.incoming.frame().await? else {
                return Some(Err(Broken));
            };
            let Ok(mut bytes) = frame.into_data() else {
                continue;
            };
            if let Some((end, _)) = self.end {
                let left = usize::try_from(end - self.taken).unwrap_or(usize::MAX);
                bytes.truncate(left);
            }
            if let Some(rate) = (self.rate)() {
                tokio::time::sleep_until(self.wire.book(bytes.len(), rate)).await;
            }
            self.taken += bytes.len() as u64;
            self.running.0.received(bytes.len());
            return Some(Ok(bytes));
        }
    }

    /// Reads everything up to `limit` bytes. Returns `Err(None)` if there is more.
    pub(crate) async fn all(&mut self, limit: usize) -> Result<Bytes, Option<Broken>> {
        let mut all = bytes::BytesMut::new();
        while let Some(chunk) = self.chunk().await {
            let chunk = chunk.map_err(Some)?;
            if all.len() + chunk.len() > limit {
                return Err(None);
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }

    /// Reads and discards up to `limit` bytes.
    pub(crate) async fn drain(&mut self, limit: u64) {
        let start = self.taken;
        while self.taken - start <= limit {
            match self.chunk().await {
                Some(Ok(_)) => {}
                _ => break,
            }
        }
    }

    /// Never returns at the byte of a fault.
    async fn reach_end(&self) {
        if let Some((end, how)) = self.end
            && self.taken >= end
        {
            if let End::Cut(cut) = how {
                self.wire.cut(cut);
            }
            std::future::pending::<()>().await;
        }
    }
}
