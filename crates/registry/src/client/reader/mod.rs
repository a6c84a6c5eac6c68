//! Reading of a blob: resumed after breaks, verified before its last byte is returned.
//!
//! Rules (docs/protocol.md#broken-downloads):
//!
//! - After a break, the rest is requested again at the registry, never at the host of a redirect, from the first
//!   missing byte. If the registry ignores the range and sends everything, the known bytes are dropped. If it answers
//!   the range wrongly, the whole blob is requested at once, and from then on for the whole run.
//! - Bytes that were returned are not taken back. A body with a wrong digest or length is read once more from the start
//!   if nothing was returned yet. Otherwise it is [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt), and the caller
//!   decides.
//! - The chunk that completes the blob is returned only if digest and length are right. So a caller that passes chunks
//!   on never completes a wrong blob.
//! - The length stated by the registry counts, not the manifest's: some builders were off by one, or wrote 0
//!   (docs/protocol.md#verification). The digest identifies the blob.
//! - A large blob may be fetched in [ranges](ranged_download) over several connections; all of the above applies.
//!
//! Retries follow the policy of [`Attempts`], except these, which change the request and happen once each: a corrupt
//! blob is read again, an expired address of storage is renewed ([`fetch`]), and a range that was answered wrongly, or
//! that fails in every try, is replaced by the whole blob ([`connect`]).

mod connect;
mod fetch;
mod hashing;
mod parallelism;
mod range_budget;
mod range_fetch;
mod ranged_download;
mod sized;
mod window;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream;
use tokio::time::Instant;

use crate::client::Client;
use crate::digest::{Digest, Hasher};
use crate::error::{Error, ErrorKind};
use crate::manifest::Descriptor;
use crate::reference::Repository;
use crate::transport::{Attempts, ResponseBody};

pub(super) use fetch::{BlobFetch, fetch_request};
use hashing::BlobHash;
pub(super) use range_budget::RangeBudget;
pub use range_budget::RangeOptions;
use ranged_download::{NextBytes, RangedDownload};
pub use sized::{BlobSize, BlobStream};

/// Source of the bytes of an upload. An upload opens it when the destination is ready for bytes, and again to send
/// bytes anew or from the offset that the destination reports.
pub trait BlobSource: Send + Sync {
    /// Opens the blob at byte `offset`.
    fn open(&self, offset: u64) -> BoxFuture<'_, Result<BlobStream, Error>>;
}

/// A blob being read.
pub struct BlobReader {
    fetch: BlobFetch,
    attempts: Attempts,
    digest: Digest,
    /// Length stated by the registry; before its first answer, or if it states none, that of the descriptor.
    size: Option<u64>,
    /// Copy of `size` for the readers of the stream.
    found: BlobSize,
    /// Offset requested by the caller.
    start: u64,
    /// Offset of the first byte that has not arrived yet.
    position: u64,
    /// Hash of all bytes before `position`; `None` if reading did not start at 0.
    hasher: Option<BlobHash>,
    /// The answer that is being read.
    body: Option<ResponseBody>,
    /// Bytes from `position` on that have arrived already.
    leftover: Option<Bytes>,
    /// The latest chunk, if it may be the last.
    held: Option<Bytes>,
    handed_on: bool,
    /// Ranges are answered wrongly: the whole blob is requested, and its beginning is skipped.
    no_ranges: bool,
    /// The blob was corrupt once and is read again.
    second_chance: bool,
    /// Set for a blob that is large enough for ranges.
    giant: Option<Box<RangedDownload>>,
    done: bool,
}

impl BlobReader {
    pub(super) async fn open(
        client: &Client,
        repository: &Repository,
        descriptor: &Descriptor,
        offset: u64,
    ) -> Result<Self, Error> {
        let fetch = BlobFetch::new(client, repository, descriptor).await?;
        Self::start(fetch, descriptor, offset, true).await
    }

    /// Starts to read the blob of `fetch`. With `ranges`, a large blob may be fetched in several.
    pub(super) async fn start(
        fetch: BlobFetch,
        descriptor: &Descriptor,
        offset: u64,
        ranges: bool,
    ) -> Result<Self, Error> {
        let hasher = match Hasher::new(&descriptor.digest) {
            Ok(hasher) => {
                let streams = &fetch.client().range_budget().streams;
                (offset == 0).then(|| BlobHash::new(hasher, streams))
            }
            Err(error) => return Err(fetch.error(ErrorKind::Protocol, error.to_string())),
        };
        let size = descriptor.known_size();
        let mut reader = Self {
            attempts: fetch.attempts(),
            no_ranges: fetch.misstates_ranges(),
            giant: RangedDownload::for_fetch(&fetch, size)
                .filter(|_| ranges)
                .map(Box::new),
            fetch,
            digest: descriptor.digest.clone(),
            size,
            found: BlobSize::default(),
            start: offset,
            position: offset,
            hasher,
            body: None,
            leftover: None,
            held: None,
            handed_on: false,
            second_chance: false,
            done: false,
        };
        if size == Some(offset) {
            // Nothing is left to read, and an empty blob needs no request.
            reader.finish().await?;
        } else {
            reader.connect().await?;
        }
        Ok(reader)
    }

    /// Returns the next bytes, or `None` at the end. The last bytes are returned only if digest and length of the whole
    /// are right. Otherwise the error is [`ErrorKind::Corrupt`] and names host, expected digest and found digest. (If
    /// reading did not start at 0, only the length can be checked.)
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(entered) = self.giant.as_ref().map(|_| Instant::now()) else {
            return self.next().await;
        };
        let next = self.next().await;
        if let Some(giant) = self.giant.as_mut() {
            giant.left(entered);
        }
        next
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            match self.advance().await {
                Ok(Some(bytes)) => {
                    self.handed_on = true;
                    return Ok(Some(bytes));
                }
                Ok(None) if self.done => return Ok(None),
                Ok(None) => {}
                Err(error) if self.may_restart(&error) => self.restart()?,
                Err(error) => return Err(error),
            }
        }
    }

    /// Converts the reader into a stream.
    pub fn into_stream(self) -> BlobStream {
        let size = self.found.clone();
        let bytes = stream::try_unfold(self, |mut reader| async move {
            Ok(reader.chunk().await?.map(|bytes| (bytes, reader)))
        });
        BlobStream::new(bytes).with_size(&size)
    }

    /// Returns the length of the whole blob as stated by the registry, or as received.
    pub fn size(&self) -> Option<u64> {
        self.found.get()
    }

    /// Takes one step: returns bytes, or `None` if there are none yet.
    async fn advance(&mut self) -> Result<Option<Bytes>, Error> {
        if self.done {
            return Ok(self.held.take());
        }
        if let Some(bytes) = self.leftover.take() {
            return self.accept_bytes(bytes).await;
        }
        if self.is_ranging() && self.size == Some(self.position) {
            return self.finish().await;
        }
        self.adjust_ranges().await;
        if self.is_ranging() {
            return self.advance_in_ranges().await;
        }
        let Some(body) = self.body.as_mut() else {
            self.connect().await?;
            return Ok(None);
        };
        let chunk = body.chunk().await;
        self.accept(chunk).await
    }

    /// Handles the next chunk of the body that is read at `position`.
    async fn accept(
        &mut self,
        chunk: Result<Option<Bytes>, Error>,
    ) -> Result<Option<Bytes>, Error> {
        match chunk {
            Ok(Some(mut bytes)) => {
                if let Some(giant) = self.giant.as_mut() {
                    bytes = giant.before_window(self.position, bytes);
                    giant.record_bytes(bytes.len() as u64);
                }
                self.accept_bytes(bytes).await
            }
            // Everything arrived: later failures of the connection do not matter.
            Ok(None) | Err(_) if self.size == Some(self.position) => self.finish().await,
            Ok(None) => match self.size {
                None => self.finish().await,
                Some(size) => {
                    self.body = None;
                    let message = format!("the body ended after {} of {size} bytes", self.position);
                    let error = self.fetch.error(ErrorKind::Broken, message);
                    self.again_after(error).await?;
                    Ok(None)
                }
            },
            Err(error) => {
                self.body = None;
                self.again_after(error).await?;
                Ok(None)
            }
        }
    }

    /// Returns whether a window of ranges is open.
    fn is_ranging(&self) -> bool {
        self.giant.as_ref().is_some_and(|giant| giant.is_ranging())
    }

    /// Ends the body where a window begins, and adjusts the window.
    async fn adjust_ranges(&mut self) {
        let Some(giant) = self.giant.as_mut() else {
            return;
        };
        if giant.trunk_ends() == Some(self.position) {
            self.body = None;
        }
        giant
            .adjust_window(self.position, self.body.is_some())
            .await;
    }

    /// Like [`BlobReader::advance`], while ranges are in flight.
    async fn advance_in_ranges(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(giant) = self.giant.as_mut() else {
            return Ok(None);
        };
        if self.body.is_none() && giant.trunk_ends() != Some(self.position) {
            // The body before the window broke.
            self.connect().await?;
            return Ok(None);
        }
        if giant.is_stuck(self.body.is_some()) {
            if let Some(error) = giant.broke() {
                let next = self.attempts.after(error).await?;
                self.fetch.is_try(next);
            }
            giant.resume();
        }
        match giant.next(self.position, self.body.as_mut()).await {
            NextBytes::Bytes(bytes) => self.accept_bytes(bytes).await,
            NextBytes::Trunk(chunk) => self.accept(chunk).await,
            NextBytes::Nothing => Ok(None),
        }
    }

    /// Adds received bytes. Returns the chunk before them, if one was held back.
    async fn accept_bytes(&mut self, bytes: Bytes) -> Result<Option<Bytes>, Error> {
        let length = bytes.len() as u64;
        self.position = self.position.saturating_add(length);
        if let Some(size) = self.size.filter(|size| self.position > *size) {
            return Err(self.corrupt(&format!("it has more than {size} bytes")));
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&bytes).await;
        }
        self.attempts.progress(length);
        let last = self.size.is_none_or(|size| self.position == size);
        let held = if last {
            self.held.replace(bytes)
        } else {
            Some(bytes)
        };
        Ok(held)
    }

    /// Verifies the whole blob. Returns the chunk that was held back.
    async fn finish(&mut self) -> Result<Option<Bytes>, Error> {
        self.body = None;
        let position = self.position;
        if let Some(size) = self.size.filter(|size| *size != position && self.handed_on) {
            let message = format!("it has {size} bytes as the registry says, and {position} came");
            return Err(self.corrupt(&message));
        }
        if let Some(hasher) = self.hasher.take() {
            let Some(found) = hasher.finish().await else {
                let message = "the thread that computed its digest ended early";
                return Err(self.fetch.error(ErrorKind::Broken, message));
            };
            if found != self.digest {
                let (position, digest) = (self.position, &self.digest);
                let stated = self.fetch.declared().filter(|size| *size != position);
                let stated = stated.map_or_else(String::new, |size| {
                    format!(", and its manifest says {size} bytes")
                });
                let message = format!(
                    "its {position} bytes have the digest {found} instead of {digest}{stated}"
                );
                return Err(self.corrupt(&message));
            }
        }
        if self.start == 0 {
            self.found.set(Some(self.position));
        }
        self.done = true;
        Ok(self.held.take())
    }

    fn corrupt(&self, message: &str) -> Error {
        self.fetch
            .corrupt(message)
            .with_tries(if self.second_chance { 2 } else { 1 })
    }

    fn may_restart(&self, error: &Error) -> bool {
        error.kind() == ErrorKind::Corrupt && !self.handed_on && !self.second_chance
    }

    /// Drops everything that arrived; nothing of it was returned.
    fn restart(&mut self) -> Result<(), Error> {
        self.second_chance = true;
        self.body = None;
        self.leftover = None;
        self.held = None;
        if let Some(giant) = self.giant.as_mut() {
            giant.forget();
        }
        self.position = self.start;
        self.fetch.forget_length();
        self.size = self.fetch.declared();
        self.found.set(None);
        if self.start == 0 {
            let hasher = Hasher::new(&self.digest)
                .map_err(|error| self.fetch.error(ErrorKind::Protocol, error.to_string()))?;
            let streams = &self.fetch.client().range_budget().streams;
            self.hasher = Some(BlobHash::new(hasher, streams));
        }
        Ok(())
    }
}
