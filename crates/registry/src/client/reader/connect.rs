//! Requests of one download: the first, those after a break, and one for the whole blob if ranges do not work.

use crate::error::{Error, ErrorKind};
use crate::transport::ResponseBody;

use super::BlobReader;
use super::fetch::FetchAnswer;

/// Answer to a request for the bytes from `position` on.
enum OpenedBody {
    /// The bytes follow, after this many bytes that were received already.
    Body(ResponseBody, u64),
    /// No bytes follow: the blob, whose size was unknown, is complete.
    Complete,
}

impl BlobReader {
    /// Waits until the next try may start, if `error` may be retried.
    pub(super) async fn again_after(&mut self, error: Error) -> Result<(), Error> {
        match self.attempts.after(error).await {
            Ok(next) => self.fetch.is_try(next),
            Err(error) if self.may_fail_for_range(&error) => {
                self.give_up_ranges();
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        if self.position > self.start {
            tracing::debug!(
                "the download of {} goes on at byte {}",
                self.digest,
                self.position
            );
        }
        Ok(())
    }

    /// Returns whether a last try without a range is worthwhile: some servers and proxies fail only because of the
    /// range.
    fn may_fail_for_range(&self, error: &Error) -> bool {
        let status = error.status().map_or(0, |status| status.as_u16());
        error.kind() == ErrorKind::Server
            && matches!(status, 500 | 502 | 504)
            && self.position > 0
            && !self.no_ranges
    }

    /// Requests the bytes from `position` on until they arrive.
    pub(super) async fn connect(&mut self) -> Result<(), Error> {
        loop {
            let opened = match self.request().await {
                Ok(OpenedBody::Body(body, skip)) => self.skip(body, skip).await,
                Ok(OpenedBody::Complete) => {
                    self.held = self.finish().await?;
                    return Ok(());
                }
                Err(error) => Err(error),
            };
            match opened {
                Ok(body) => {
                    self.fetch.bytes_came();
                    self.body = Some(body);
                    return Ok(());
                }
                Err(error) if self.may_restart(&error) => self.restart()?,
                Err(error) => self.again_after(error).await?,
            }
        }
    }

    async fn request(&mut self) -> Result<OpenedBody, Error> {
        let window = self.giant.as_ref().and_then(|giant| giant.trunk_ends());
        let (from, to) = if self.no_ranges {
            (0, None)
        } else {
            (self.position, window)
        };
        let answer = match self.fetch.get(from, to, None).await? {
            FetchAnswer::Beyond(total) if total != Some(self.position) => {
                if let Some(total) = total {
                    self.starts_within(total)?;
                }
                self.give_up_ranges();
                self.fetch.get(0, None, None).await?
            }
            FetchAnswer::Unusable => {
                self.give_up_ranges();
                self.fetch.get(0, None, None).await?
            }
            answer => answer,
        };
        self.adopt_length();
        if let Some(length) = self.fetch.length() {
            self.starts_within(length)?;
        }
        Ok(match answer {
            FetchAnswer::Whole(body) => OpenedBody::Body(body, self.position),
            FetchAnswer::Part(body) => OpenedBody::Body(body, 0),
            // `Unusable` answers a range, and the request after it has none.
            FetchAnswer::Beyond(_) | FetchAnswer::Unusable => OpenedBody::Complete,
        })
    }

    /// Requests the whole blob from now on, here and in later downloads from the registry. The length that came with a
    /// range is dropped as well.
    fn give_up_ranges(&mut self) {
        tracing::debug!(
            "{} is requested whole: a range of it was answered wrongly",
            self.digest
        );
        self.no_ranges = true;
        self.fetch.record_misstated_range();
        self.fetch.forget_length();
        self.size = self.fetch.declared();
        self.giant = None;
    }

    /// Checks that the offset requested by the caller is not beyond the end of a blob of this length.
    fn starts_within(&self, length: u64) -> Result<(), Error> {
        if self.start <= length {
            return Ok(());
        }
        let message = format!("byte {} was asked for, it has {length}", self.start);
        Err(self.fetch.error(ErrorKind::Protocol, message))
    }

    /// Adopts the length stated by the registry. Ranges that were planned with another length are dropped.
    fn adopt_length(&mut self) {
        let Some(length) = self.fetch.length() else {
            return;
        };
        self.found.set(Some(length));
        if self.size.replace(length) != Some(length) {
            self.giant = None;
        }
    }

    /// Drops the first `skip` bytes of `body`, which were received already.
    async fn skip(&mut self, mut body: ResponseBody, skip: u64) -> Result<ResponseBody, Error> {
        let mut left = skip;
        while left > 0 {
            let Some(mut bytes) = body.chunk().await? else {
                let message = format!("the body ended after {} bytes", skip - left);
                return Err(self.fetch.error(ErrorKind::Broken, message));
            };
            let dropped = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            let kept = bytes.split_off(dropped);
            left -= dropped as u64;
            self.leftover = Some(kept).filter(|kept| !kept.is_empty());
        }
        Ok(body)
    }
}
