//! How the bytes of one blob are asked for, and what the answers are taken for.

use http::header::{ACCEPT_ENCODING, RANGE};
use http::{HeaderValue, Method, StatusCode};

use crate::client::blobs::blob_ask;
use crate::client::call::CallOutcome;
use crate::client::checked_url::CheckedUrl;
use crate::client::repository_context::RepositoryContext;
use crate::client::request::RequestSpec;
use crate::client::{Client, ranges};
use crate::error::{Error, ErrorKind, Retryable};
use crate::manifest::Descriptor;
use crate::reference::Repository;
use crate::transport::{
    Attempts, Endpoint, Lane, PauseReason, ReservedPermit, Response, ResponseBody,
};

/// Asks for bytes of one blob, again and again. A clone asks on its own.
#[derive(Clone)]
pub(in crate::client) struct BlobFetch {
    client: Client,
    ask: RequestSpec,
    visit: RepositoryContext,
    /// The length that the descriptor states.
    declared: Option<u64>,
    /// The length that the registry said first.
    length: Option<u64>,
    /// The registry was asked for another address of its storage, and no bytes came since.
    second_address: bool,
}

/// What a registry answers to someone who asks for bytes.
pub(super) enum FetchAnswer {
    /// All of it, whatever was asked for.
    Whole(ResponseBody),
    /// What was asked for.
    Part(ResponseBody),
    /// 416: it has nothing there, of so many bytes in all.
    Beyond(Option<u64>),
}

impl BlobFetch {
    /// Gets ready to ask for the blob of `descriptor`.
    pub(in crate::client) async fn new(
        client: &Client,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Result<Self, Error> {
        Ok(Self {
            client: client.clone(),
            ask: fetch_ask(repository, descriptor),
            visit: client.repository_context(repository).await?,
            declared: descriptor.known_size(),
            length: None,
            second_address: false,
        })
    }

    /// The same at an address that no registry vouches for.
    pub(in crate::client) fn at(mut self, address: CheckedUrl, action: String) -> Self {
        self.ask = self.ask.at(address);
        self.ask.action = action.into();
        self.ask.public_only = true;
        self
    }

    /// The registry for whose sake it is asked.
    pub(in crate::client) fn endpoint(&self) -> &Endpoint {
        &self.visit.endpoint
    }

    /// A fresh count of tries.
    pub(super) fn attempts(&self) -> Attempts {
        self.client.attempts(&self.visit)
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// An error about this blob.
    pub(super) fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        self.ask.error(kind, message)
    }

    /// The error that the blob is not what it should be.
    pub(super) fn corrupt(&self, message: &str) -> Error {
        let message = format!("the blob is corrupt: {message}");
        self.ask.error(ErrorKind::Corrupt, message)
    }

    /// The length that the descriptor states.
    pub(super) fn declared(&self) -> Option<u64> {
        self.declared
    }

    /// The length that the registry said, in any answer so far.
    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Forgets the length that the registry said, for a reading that begins anew.
    pub(super) fn forget_length(&mut self) {
        self.length = None;
    }

    /// A fetch of parts of a blob whose length is `length`, and no other.
    pub(super) fn with_length(mut self, length: u64) -> Self {
        self.length = Some(length);
        self
    }

    /// A place among the downloads of the host that is free at once, if there is one.
    pub(super) async fn try_reserve(&self) -> Option<ReservedPermit> {
        self.client.try_reserve(&self.visit, &self.ask).await
    }

    /// Pauses the host where `error`, which is not tried again here, says that it wants that.
    pub(super) fn pause_after(&self, error: &Error) {
        if let Retryable::After(delay) = error.retryable() {
            self.client
                .pause_host(&self.visit, delay, PauseReason::from_error(error));
        }
    }

    /// What is asked for from now on belongs to this try.
    pub(super) fn is_try(&mut self, number: u32) {
        self.visit.tries = number;
    }

    /// Bytes came: an address that fails later may have run out once more.
    pub(super) fn bytes_came(&mut self) {
        self.second_address = false;
    }

    /// Asks for the bytes from `from` to before `to`, or to the end; in `place`, or where there is one.
    pub(super) async fn get(
        &mut self,
        from: u64,
        to: Option<u64>,
        mut place: Option<ReservedPermit>,
    ) -> Result<FetchAnswer, Error> {
        let mut ask = self.ask.clone();
        let range = match to {
            Some(to) => Some(format!("bytes={from}-{}", to.saturating_sub(1))),
            None if from > 0 => Some(format!("bytes={from}-")),
            None => None,
        };
        let ranged = range.is_some();
        if let Some(range) = range.and_then(|range| HeaderValue::from_str(&range).ok()) {
            ask = ask.header(RANGE, range);
        }
        let response = loop {
            let outcome = self.client.once_at(&mut self.visit, &ask, place.take());
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
            StatusCode::PARTIAL_CONTENT if ranged => self.part(response, from, to),
            StatusCode::RANGE_NOT_SATISFIABLE if ranged => {
                let range = ranges::content_range(&response.headers);
                response.body.drain().await;
                Ok(FetchAnswer::Beyond(range.and_then(|range| range.total)))
            }
            _ => Err(self.ask.failure(response).await),
        }
    }

    /// 200: all of it, whatever was asked for.
    fn accept_whole(&mut self, response: Response) -> Result<FetchAnswer, Error> {
        let length = ranges::content_length(&response.headers);
        self.measure(length)?;
        Ok(FetchAnswer::Whole(response.body))
    }

    /// 206: from `from` on and not beyond `to`, of a blob of the right size.
    fn part(
        &mut self,
        response: Response,
        from: u64,
        to: Option<u64>,
    ) -> Result<FetchAnswer, Error> {
        let refuse = |what: &str| Err(self.error(ErrorKind::Protocol, what));
        let Some(range) = ranges::content_range(&response.headers) else {
            return refuse("the registry sent a part of the blob without saying which");
        };
        let fits = |(first, last): (u64, u64)| first == from && to.is_none_or(|to| last < to);
        if !range.bytes.is_some_and(fits) {
            return refuse("the registry sent another part of the blob than the one asked for");
        }
        self.measure(range.total)?;
        Ok(FetchAnswer::Part(response.body))
    }

    /// Takes the blob's length from the registry, if it says one, and holds further answers to it.
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

/// The request for the blob of `descriptor`.
pub(in crate::client) fn fetch_ask(
    repository: &Repository,
    descriptor: &Descriptor,
) -> RequestSpec {
    blob_ask(Method::GET, repository, &descriptor.digest, "fetch blob")
        .lane(Lane::Downloads)
        .weight(descriptor.size.unwrap_or(0))
        .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"))
}

/// Whether storage that the registry redirected to refuses in one of the ways in which it answers an address that
/// has run out (S3 and Azure 403, Google 400); the registry gives a new one.
fn may_have_expired(response: &Response) -> bool {
    response.body.redirected().is_some() && matches!(response.status.as_u16(), 400 | 401 | 403)
}
