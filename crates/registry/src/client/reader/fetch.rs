//! Requests for the bytes of one blob, and the interpretation of their answers.

use http::header::{ACCEPT_ENCODING, RANGE};
use http::{HeaderValue, Method, StatusCode};

use crate::client::blob_request::blob_request;
use crate::client::call_outcome::CallOutcome;
use crate::client::checked_url::CheckedUrl;
use crate::client::ranges::ContentRange;
use crate::client::request::RequestSpec;
use crate::client::request_context::RequestContext;
use crate::client::{Client, ranges};
use crate::error::{Error, ErrorKind, Retryable};
use crate::manifest::Descriptor;
use crate::reference::Repository;
use crate::transport::{
    Attempts, Endpoint, Lane, PauseReason, ReservedPermit, Response, ResponseBody,
};

/// Requests bytes of one blob, any number of times. A clone sends its own requests.
#[derive(Clone)]
pub(in crate::client) struct BlobFetch {
    client: Client,
    request: RequestSpec,
    context: RequestContext,
    /// Length stated by the descriptor.
    declared: Option<u64>,
    /// Length stated first by the registry.
    length: Option<u64>,
    /// The registry was asked for another address of its storage, and no bytes have arrived since.
    second_address: bool,
}

/// Answer to a request for bytes.
pub(super) enum FetchAnswer {
    /// The whole blob, even if a range was requested.
    Whole(ResponseBody),
    /// The requested part.
    Part(ResponseBody),
    /// 416: nothing exists there; the blob has this many bytes in total.
    Beyond(Option<u64>),
    /// Neither the blob nor the requested part. A request without a range may succeed.
    Unusable,
}

impl BlobFetch {
    /// Prepares requests for the blob of `descriptor`.
    pub(in crate::client) async fn new(
        client: &Client,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Result<Self, Error> {
        Ok(Self {
            client: client.clone(),
            request: fetch_request(repository, descriptor),
            context: client.request_context(repository).await?,
            declared: descriptor.known_size(),
            length: None,
            second_address: false,
        })
    }

    /// Changes the address to one that no registry vouches for.
    pub(in crate::client) fn at(mut self, address: CheckedUrl, action: String) -> Self {
        self.request = self.request.at(address);
        self.request.action = action.into();
        self.request.public_only = true;
        self
    }

    /// Returns the registry on whose behalf the requests are sent.
    pub(in crate::client) fn endpoint(&self) -> &Endpoint {
        &self.context.endpoint
    }

    /// Returns a new counter of tries.
    pub(super) fn attempts(&self) -> Attempts {
        self.client.attempts(&self.context)
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Returns an error about this blob.
    pub(super) fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        self.request.error(kind, message)
    }

    /// Returns the error that the blob is corrupt.
    pub(super) fn corrupt(&self, message: &str) -> Error {
        let message = format!("the blob is corrupt: {message}");
        self.request.error(ErrorKind::Corrupt, message)
    }

    /// Returns the length stated by the descriptor.
    pub(super) fn declared(&self) -> Option<u64> {
        self.declared
    }

    /// Returns the length stated by the registry in any answer so far.
    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Forgets the length stated by the registry, for a download that starts again.
    pub(super) fn forget_length(&mut self) {
        self.length = None;
    }

    /// Returns whether the registry is known to answer ranges wrongly.
    pub(super) fn misstates_ranges(&self) -> bool {
        self.is_of_registry() && self.client.inner.capabilities.misstates_ranges()
    }

    /// Records that a range was answered wrongly.
    pub(super) fn record_misstated_range(&self) {
        if self.is_of_registry() {
            self.client.inner.capabilities.record_misstated_range();
        }
    }

    /// Returns `false` for an address that no registry vouches for: its host says nothing about the registry.
    fn is_of_registry(&self) -> bool {
        !self.request.public_only
    }

    /// Fixes the length of the blob to `length`.
    pub(super) fn with_length(mut self, length: u64) -> Self {
        self.length = Some(length);
        self
    }

    /// Returns a download permit of the host, if one is free at once.
    pub(super) async fn try_reserve(&self) -> Option<ReservedPermit> {
        self.client.try_reserve(&self.context, &self.request).await
    }

    /// Pauses the host if `error`, which is not retried here, asks for that.
    pub(super) fn pause_after(&self, error: &Error) {
        if let Retryable::After(delay) = error.retryable() {
            self.client
                .pause_host(&self.context, delay, PauseReason::from_error(error));
        }
    }

    /// Assigns the next requests to the try with this number.
    pub(super) fn is_try(&mut self, number: u32) {
        self.context.tries = number;
    }

    /// Records that bytes arrived: an address that fails later may have expired again.
    pub(super) fn bytes_came(&mut self) {
        self.second_address = false;
    }

    /// Requests the bytes from `from` to before `to`, or to the end, with the permit `place` or after waiting for one.
    pub(super) async fn get(
        &mut self,
        from: u64,
        to: Option<u64>,
        mut place: Option<ReservedPermit>,
    ) -> Result<FetchAnswer, Error> {
        let mut request = self.request.clone();
        let range = match to {
            Some(to) => Some(format!("bytes={from}-{}", to.saturating_sub(1))),
            None if from > 0 => Some(format!("bytes={from}-")),
            None => None,
        };
        let ranged = range.is_some();
        if let Some(range) = range.and_then(|range| HeaderValue::from_str(&range).ok()) {
            request = request.header(RANGE, range);
        }
        let response = loop {
            let outcome = self
                .client
                .once_at(&mut self.context, &request, place.take());
            let response = match outcome.await? {
                CallOutcome::Answer(response) => response,
                CallOutcome::Refused(error) => return Err(error),
            };
            if self.second_address || !may_have_expired(&response) {
                break response;
            }
            self.second_address = true;
            response.body.drain().await;
        };
        match response.status {
            StatusCode::OK => self.accept_whole(response),
            StatusCode::PARTIAL_CONTENT if ranged => self.part(response, from, to).await,
            StatusCode::PARTIAL_CONTENT if is_complete(&response) => self.accept_whole(response),
            StatusCode::RANGE_NOT_SATISFIABLE if ranged => {
                let range = ranges::content_range(&response.headers);
                response.body.drain().await;
                Ok(FetchAnswer::Beyond(range.and_then(|range| range.total)))
            }
            status if ranged && may_refuse_range(status) => {
                response.body.drain().await;
                Ok(FetchAnswer::Unusable)
            }
            _ => Err(self.request.failure(response).await),
        }
    }

    /// Accepts a 200: the whole blob, even if a range was requested.
    fn accept_whole(&mut self, response: Response) -> Result<FetchAnswer, Error> {
        let length = ranges::content_length(&response.headers);
        self.measure(length)?;
        Ok(FetchAnswer::Whole(response.body))
    }

    /// Accepts a 206 that begins at `from`, does not pass `to` and belongs to a blob of the right size.
    async fn part(
        &mut self,
        response: Response,
        from: u64,
        to: Option<u64>,
    ) -> Result<FetchAnswer, Error> {
        let fits = |(first, last): (u64, u64)| {
            let length = ranges::content_length(&response.headers);
            first == from
                && to.is_none_or(|to| last < to)
                && length.is_none_or(|length| length == last - first + 1)
        };
        let range = ranges::content_range(&response.headers);
        let is_usable = |range: &ContentRange| {
            let is_other_blob = range.total.is_some()
                && self
                    .length
                    .is_some_and(|length| range.total != Some(length));
            range.bytes.is_some_and(fits) && !is_other_blob
        };
        let Some(range) = range.filter(is_usable) else {
            response.body.drain().await;
            return Ok(FetchAnswer::Unusable);
        };
        self.measure(range.total)?;
        Ok(FetchAnswer::Part(response.body))
    }

    /// Adopts the length stated by the registry, or compares it with the one stated before.
    fn measure(&mut self, said: Option<u64>) -> Result<(), Error> {
        match (said, self.length) {
            (Some(said), Some(length)) if said != length => {
                let message = format!("it has {said} bytes, where {length} were found before");
                Err(self.corrupt(&message))
            }
            (Some(said), None) => {
                self.length = Some(said);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Returns the request for the blob of `descriptor`.
pub(in crate::client) fn fetch_request(
    repository: &Repository,
    descriptor: &Descriptor,
) -> RequestSpec {
    blob_request(Method::GET, repository, &descriptor.digest, "fetch blob")
        .lane(Lane::Downloads)
        .weight(descriptor.size.unwrap_or(0))
        .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"))
}

/// Returns whether a 206 to a request without a range holds the whole blob.
fn is_complete(response: &Response) -> bool {
    let range = ranges::content_range(&response.headers);
    range.is_some_and(|range| match (range.bytes, range.total) {
        (Some((0, last)), Some(total)) => last + 1 == total,
        _ => false,
    })
}

/// Returns whether an error may be about the range of a request instead of the blob.
fn may_refuse_range(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 405 | 406 | 412 | 415 | 422 | 501)
}

/// Returns whether the storage behind a redirect refuses like storage whose address has expired (S3 and Azure 403,
/// Google 400). The registry hands out a new address.
fn may_have_expired(response: &Response) -> bool {
    response.body.redirected().is_some() && matches!(response.status.as_u16(), 400 | 401 | 403)
}
