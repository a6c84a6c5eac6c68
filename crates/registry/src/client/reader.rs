//! Reading a blob: resumed where it breaks, verified before its last byte is handed on.
//!
//! The rules (protocol.md section 6.2):
//!
//! - What breaks is asked for again at the registry, never at the host that it redirected to, from the first byte
//!   that is missing. A registry that ignores the range sends all of it again, and what was there is dropped.
//! - Bytes that were handed on are not taken back. A body that turns out to be another one than its digest or length
//!   promised is read once more from the start if nothing was handed on, and else is
//!   [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt): the caller decides.
//! - The chunk that completes the blob is handed on when digest and length are right, and not before. So whoever
//!   passes on what it is given never completes a wrong blob.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::BoxFuture;
use futures_util::stream;
use http::header::{ACCEPT_ENCODING, RANGE};
use http::{HeaderValue, Method, StatusCode};

use crate::client::ask::Ask;
use crate::client::blobs::blob_ask;
use crate::client::call::{Outcome, Visit};
use crate::client::{Client, ranges};
use crate::digest::{Digest, Hasher};
use crate::error::{Error, ErrorKind};
use crate::manifest::Descriptor;
use crate::reference::Repository;
use crate::transport::{Attempts, Lane, Response, ResponseBody};

/// The bytes of a blob as they come. The end of the stream means that all of it came and is what it should be.
pub type BlobStream = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

/// Where the bytes of an upload come from. An upload opens it when the destination is ready for bytes, and again
/// when they must be sent anew or from where the destination says it stands.
pub trait BlobSource: Send + Sync {
    /// The bytes from `offset` on.
    fn open(&self, offset: u64) -> BoxFuture<'_, Result<BlobStream, Error>>;
}

/// A blob being read.
pub struct BlobReader {
    client: Client,
    ask: Ask,
    visit: Visit,
    attempts: Attempts,
    digest: Digest,
    size: Option<u64>,
    /// The first byte that the caller asked for.
    start: u64,
    /// The first byte that did not come yet.
    position: u64,
    /// Over all bytes before `position`; none where the start was left out.
    hasher: Option<Hasher>,
    /// The answer that is being read.
    body: Option<ResponseBody>,
    /// Bytes from `position` on that came already.
    leftover: Option<Bytes>,
    /// The latest chunk, while it may be the last.
    held: Option<Bytes>,
    handed_on: bool,
    /// The registry answers ranges with an error.
    no_ranges: bool,
    /// A corrupt body was given its second chance.
    second_chance: bool,
    /// The registry was asked for another address of its storage, and no bytes came since.
    second_address: bool,
    done: bool,
}

/// What became of asking for the bytes from `position` on.
enum Opened {
    /// They come, after this many bytes that are there already.
    Body(ResponseBody, u64),
    /// There are none: the blob, whose size nobody told, is complete.
    Complete,
}

impl BlobReader {
    pub(super) async fn open(
        client: &Client,
        repository: &Repository,
        descriptor: &Descriptor,
        offset: u64,
    ) -> Result<Self, Error> {
        let ask = blob_ask(Method::GET, repository, &descriptor.digest, "fetch blob")
            .lane(Lane::Downloads)
            .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let hasher = match Hasher::new(&descriptor.digest) {
            Ok(hasher) => (offset == 0).then_some(hasher),
            Err(error) => return Err(ask.error(ErrorKind::Protocol, error.to_string())),
        };
        if let Some(size) = descriptor.size.filter(|size| offset > *size) {
            let message = format!("byte {offset} was asked for, it has {size}");
            return Err(ask.error(ErrorKind::Protocol, message));
        }
        let visit = client.visit(repository).await?;
        let mut reader = Self {
            client: client.clone(),
            ask,
            attempts: client.attempts(&visit),
            visit,
            digest: descriptor.digest.clone(),
            size: descriptor.size,
            start: offset,
            position: offset,
            hasher,
            body: None,
            leftover: None,
            held: None,
            handed_on: false,
            no_ranges: false,
            second_chance: false,
            second_address: false,
            done: false,
        };
        if descriptor.size == Some(offset) {
            // Nothing is left to read, and of an empty blob nothing need be asked.
            reader.finish()?;
        } else {
            reader.connect().await?;
        }
        Ok(reader)
    }

    /// The next bytes, or `None` at the end. The last bytes are given only when the digest and the length of the
    /// whole are right; else [`ErrorKind::Corrupt`], which names host, digest expected and found. (Where reading did
    /// not start at 0, the length alone can be checked.)
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            match self.advance().await {
                Ok(Some(bytes)) => {
                    self.handed_on = true;
                    return Ok(Some(bytes));
                }
                Ok(None) if self.done => return Ok(None),
                Ok(None) => {}
                Err(error) if self.deserves_second_chance(&error) => self.restart()?,
                Err(error) => return Err(error),
            }
        }
    }

    /// As a stream.
    pub fn into_stream(self) -> BlobStream {
        Box::pin(stream::try_unfold(self, |mut reader| async move {
            Ok(reader.chunk().await?.map(|bytes| (bytes, reader)))
        }))
    }

    /// Takes one step: bytes that may be handed on, or `None` where there are none yet.
    async fn advance(&mut self) -> Result<Option<Bytes>, Error> {
        if self.done {
            return Ok(self.held.take());
        }
        if let Some(bytes) = self.leftover.take() {
            return self.take(bytes);
        }
        let Some(body) = self.body.as_mut() else {
            self.connect().await?;
            return Ok(None);
        };
        match body.chunk().await {
            Ok(Some(bytes)) => self.take(bytes),
            // All of it came: what happens to the connection now is of no concern.
            Ok(None) | Err(_) if self.size == Some(self.position) => self.finish(),
            Ok(None) => match self.size {
                None => self.finish(),
                Some(size) => {
                    self.body = None;
                    let message = format!("the body ended after {} of {size} bytes", self.position);
                    let error = self.ask.error(ErrorKind::Broken, message);
                    self.attempts.after(error).await?;
                    Ok(None)
                }
            },
            Err(error) => {
                self.body = None;
                self.attempts.after(error).await?;
                Ok(None)
            }
        }
    }

    /// Takes bytes off the wire; gives back those before them that were held.
    fn take(&mut self, bytes: Bytes) -> Result<Option<Bytes>, Error> {
        let length = bytes.len() as u64;
        self.position = self.position.saturating_add(length);
        if let Some(size) = self.size.filter(|size| self.position > *size) {
            return Err(self.corrupt(&format!("it has more than {size} bytes")));
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&bytes);
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

    /// Judges the whole; gives back what was held.
    fn finish(&mut self) -> Result<Option<Bytes>, Error> {
        self.body = None;
        if let Some(hasher) = self.hasher.take() {
            let found = hasher.finish();
            if found != self.digest {
                let message = format!(
                    "its {} bytes have the digest {found} instead of {}",
                    self.position, self.digest
                );
                return Err(self.corrupt(&message));
            }
        }
        self.done = true;
        Ok(self.held.take())
    }

    fn corrupt(&self, message: &str) -> Error {
        self.ask
            .error(
                ErrorKind::Corrupt,
                format!("the blob is corrupt: {message}"),
            )
            .with_tries(if self.second_chance { 2 } else { 1 })
    }

    fn deserves_second_chance(&self, error: &Error) -> bool {
        error.kind() == ErrorKind::Corrupt && !self.handed_on && !self.second_chance
    }

    /// Forgets all that came; nothing of it was handed on.
    fn restart(&mut self) -> Result<(), Error> {
        self.second_chance = true;
        self.body = None;
        self.leftover = None;
        self.held = None;
        self.position = self.start;
        if self.start == 0 {
            let hasher = Hasher::new(&self.digest)
                .map_err(|error| self.ask.error(ErrorKind::Protocol, error.to_string()))?;
            self.hasher = Some(hasher);
        }
        Ok(())
    }

    /// Asks for the bytes from `position` on until they come.
    async fn connect(&mut self) -> Result<(), Error> {
        loop {
            let opened = match self.request().await {
                Ok(Opened::Body(body, skip)) => self.skip(body, skip).await,
                Ok(Opened::Complete) => {
                    self.held = self.finish()?;
                    return Ok(());
                }
                Err(error) => Err(error),
            };
            match opened {
                Ok(body) => {
                    self.second_address = false;
                    self.body = Some(body);
                    return Ok(());
                }
                Err(error) if self.deserves_second_chance(&error) => self.restart()?,
                Err(error) => self.attempts.after(error).await?,
            }
        }
    }

    async fn request(&mut self) -> Result<Opened, Error> {
        let ranged = self.position > 0 && !self.no_ranges;
        let mut ask = self.ask.clone();
        if ranged && let Ok(range) = HeaderValue::from_str(&format!("bytes={}-", self.position)) {
            ask = ask.header(RANGE, range);
        }
        let response = loop {
            let response = match self.client.once(&mut self.visit, &ask).await? {
                Outcome::Answer(response) => response,
                Outcome::Refused(error) => return Err(error),
            };
            if self.second_address || !may_have_expired(&response) {
                break response;
            }
            self.second_address = true;
            response.body.drain().await;
        };
        match response.status {
            StatusCode::OK => self.whole(response),
            StatusCode::PARTIAL_CONTENT if ranged => self.part(response),
            StatusCode::RANGE_NOT_SATISFIABLE if ranged => self.beyond(response).await,
            _ => Err(self.ask.failure(response).await),
        }
    }

    /// 200: all of it, whatever was asked for.
    fn whole(&self, response: Response) -> Result<Opened, Error> {
        let length = ranges::content_length(&response.headers);
        if let Some((length, size)) = length
            .zip(self.size)
            .filter(|(length, size)| length != size)
        {
            let message = format!("it has {length} bytes where the manifest says {size}");
            return Err(self.corrupt(&message));
        }
        Ok(Opened::Body(response.body, self.position))
    }

    /// 206: from `position` on, of a blob of the right size.
    fn part(&self, response: Response) -> Result<Opened, Error> {
        let refuse = |what: &str| Err(self.ask.error(ErrorKind::Protocol, what));
        let Some(range) = ranges::content_range(&response.headers) else {
            return refuse("the registry sent a part of the blob without saying which");
        };
        if range.bytes.map(|(first, _)| first) != Some(self.position) {
            return refuse("the registry sent another part of the blob than the one asked for");
        }
        if let Some((total, size)) = range
            .total
            .zip(self.size)
            .filter(|(total, size)| total != size)
        {
            let message = format!("it has {total} bytes where the manifest says {size}");
            return Err(self.corrupt(&message));
        }
        Ok(Opened::Body(response.body, 0))
    }

    /// 416: there is nothing from `position` on, or the registry is mistaken.
    async fn beyond(&mut self, response: Response) -> Result<Opened, Error> {
        let total = ranges::content_range(&response.headers).and_then(|range| range.total);
        response.body.drain().await;
        if self.size.is_none() && total == Some(self.position) {
            return Ok(Opened::Complete);
        }
        self.no_ranges = true;
        let message = format!("the registry has no bytes from {} on", self.position);
        Err(self.ask.error(ErrorKind::Broken, message))
    }

    /// Drops the first `skip` bytes of `body`, which are there already.
    async fn skip(&mut self, mut body: ResponseBody, skip: u64) -> Result<ResponseBody, Error> {
        let mut left = skip;
        while left > 0 {
            let Some(mut bytes) = body.chunk().await? else {
                let message = format!("the body ended after {} bytes", skip - left);
                return Err(self.ask.error(ErrorKind::Broken, message));
            };
            let dropped = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            let kept = bytes.split_off(dropped);
            left -= dropped as u64;
            self.leftover = Some(kept).filter(|kept| !kept.is_empty());
        }
        Ok(body)
    }
}

/// Whether storage that the registry redirected to refuses in one of the ways in which it answers an address that
/// has run out (S3 and Azure 403, Google 400); the registry gives a new one.
fn may_have_expired(response: &Response) -> bool {
    response.body.redirected().is_some() && matches!(response.status.as_u16(), 400 | 401 | 403)
}
