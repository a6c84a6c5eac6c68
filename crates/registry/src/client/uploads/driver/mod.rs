//! Sending of the bytes, and recovery from breaks.
//!
//! A small state machine: *send* the next request, *settle* an unknown outcome by asking the registry, *reopen* the
//! session if nothing of it is left. An error while a body is written says nothing about its outcome: the connection
//! may have broken, or the registry may have answered early and closed it. So the registry is asked for its state
//! before anything is sent again (docs/protocol.md#broken-uploads, docs/protocol.md#tokens-during-uploads).

mod answers;
mod measure;
mod recovery;

use std::sync::atomic::Ordering;

use http::header::{CONTENT_RANGE, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};

use crate::client::Client;
use crate::client::reader::BlobSource;
use crate::client::request::RequestSpec;
use crate::client::request_context::RequestContext;
use crate::error::{Error, ErrorKind, Retryable};
use crate::transport::{AnswerLimit, Attempts, Lane, Response};

use super::forms::{self, UploadForm, UploadForms, UploadStep};
use super::request_body::{self, SourceReader};
use super::{Upload, location};
use answers::Refused;

/// One upload in progress.
pub(super) struct UploadDriver<'a> {
    client: &'a Client,
    context: RequestContext,
    attempts: Attempts,
    upload: Upload,
    /// Length of the blob: the one stated by the source, once it was opened.
    size: u64,
    feeder: SourceReader<'a>,
    /// Forms that the registry accepts, suspicions of this upload included.
    forms: UploadForms,
    /// The part of it that is worth remembering: refusals, and suspicions that led to a form which worked.
    learnt: UploadForms,
    form: UploadForm,
    resumable: bool,
    patches: u32,
    /// Failures since the last progress.
    trouble: FailureCounts,
    /// Maximum number of bytes in any session of this upload.
    reached: u64,
    /// The bytes that arrived were wrong once.
    wrong_bytes: bool,
    /// The bytes of the source did not have their digest once.
    corrupt_source: bool,
}

/// Failures, each without progress since.
struct FailureCounts {
    unauthorized: u32,
    redirected: u32,
    lost: bool,
    out_of_step: bool,
    /// Requests that were cut off.
    cuts: u32,
    /// Fewest bytes that had left when a request was cut off.
    sent: u64,
}

impl Default for FailureCounts {
    fn default() -> Self {
        Self {
            unauthorized: 0,
            redirected: 0,
            lost: false,
            out_of_step: false,
            cuts: 0,
            sent: u64::MAX,
        }
    }
}

/// Next step of the machine.
#[derive(Clone, Copy, Debug)]
pub(super) enum NextStep {
    Send,
    /// Ask the registry for its state. `complete` if everything was sent, so that the blob may exist.
    Settle {
        complete: bool,
    },
    Reopen,
    /// Compare the length of the blob that was closed.
    Measure,
    Done,
}

/// Failure of a step.
pub(super) enum StepFailure {
    /// Ends the upload.
    Final(Error),
    /// Counts as a try, and continues with the next step.
    Later(Error, NextStep),
}

pub(super) type StepResult = Result<NextStep, StepFailure>;

/// A request that was sent, with or without an answer.
struct SentRequest {
    request: RequestSpec,
    used: Option<HeaderValue>,
    answer: Result<Response, Error>,
    /// Bytes that left the body.
    taken: u64,
}

impl<'a> UploadDriver<'a> {
    pub(super) async fn new(
        client: &'a Client,
        upload: Upload,
        source: &'a dyn BlobSource,
    ) -> Result<Self, Error> {
        let context = client.request_context(&upload.repository).await?;
        let forms = *client.inner.capabilities.forms();
        let request = upload.session_request(Method::PUT);
        let size = upload.size.unwrap_or(0);
        Ok(Self {
            attempts: client.attempts(&context),
            feeder: SourceReader::new(source, upload.size, request),
            form: forms.choose(size),
            client,
            context,
            upload,
            size,
            forms,
            learnt: UploadForms::default(),
            resumable: true,
            patches: 0,
            trouble: FailureCounts::default(),
            reached: 0,
            wrong_bytes: false,
            corrupt_source: false,
        })
    }

    pub(super) async fn run(mut self) -> Result<(), Error> {
        let mut next = NextStep::Send;
        loop {
            let went = match next {
                NextStep::Send => self.send().await,
                NextStep::Settle { complete } => self.resolve_outcome(complete).await,
                NextStep::Reopen => self.reopen().await,
                NextStep::Measure => self.measure().await,
                NextStep::Done => {
                    let capabilities = &self.client.inner.capabilities;
                    capabilities.forms().merge(&self.learnt);
                    capabilities.sent(self.upload.repository.path(), &self.upload.digest);
                    return Ok(());
                }
            };
            next = match went {
                Ok(next) => next,
                Err(StepFailure::Final(error)) => return Err(error),
                Err(StepFailure::Later(error, next)) => {
                    self.context.tries = self.attempts.after(error).await?;
                    next
                }
            };
        }
    }

    /// Sends the next request of the form.
    async fn send(&mut self) -> StepResult {
        let session = &self.upload.session;
        let step = forms::next(self.form, session.offset, self.size, session.least);
        let sent = match self.transmit(step).await {
            Ok(Some(sent)) => sent,
            Ok(None) => return Ok(NextStep::Send),
            Err(error) => return self.source_failed(error),
        };
        let before = self.upload.session.sent;
        let end = self.upload.session.offset + sent.taken;
        self.upload.session.sent = before.max(end);
        let complete =
            step == UploadStep::Close || (step == UploadStep::Whole && sent.taken == self.size);
        match sent.answer {
            Ok(response) if response.status.is_success() => {
                self.accepted(&sent.request, step, response).await
            }
            Ok(response) => {
                if ended_by_time_limit(response.status) {
                    self.record_cut(sent.taken);
                }
                let untouched = sent.taken == 0 && !complete;
                let refused = Refused {
                    request: sent.request,
                    used: sent.used,
                    response,
                };
                let settle = if untouched {
                    NextStep::Send
                } else {
                    NextStep::Settle { complete }
                };
                self.refused(step, refused, settle).await
            }
            Err(error) if error.kind() == ErrorKind::Connect => {
                Err(StepFailure::Later(error, NextStep::Send))
            }
            Err(error) if error.retryable() != Retryable::No => {
                self.record_cut(sent.taken);
                Err(StepFailure::Later(error, NextStep::Settle { complete }))
            }
            Err(error) => Err(StepFailure::Final(error)),
        }
    }

    /// Handles an error of the source or the token server. A source that turns out corrupt after some of its bytes were
    /// sent is read once more, into a new session: the network may be the reason, and the registry never received the
    /// last bytes.
    fn source_failed(&mut self, error: Error) -> StepResult {
        // A small blob was read twice before any byte was returned.
        let read_again = self.corrupt_source || error.tries() > 1;
        if error.kind() != ErrorKind::Corrupt || read_again {
            return Err(StepFailure::Final(error));
        }
        self.corrupt_source = true;
        self.resumable = false;
        Ok(NextStep::Reopen)
    }

    /// Sends the request; an error is the source's or the token server's. Returns `None` without a request if the
    /// length of the blob turns out to be different, which changes the request.
    ///
    /// The order matters: the source is opened when the host is ready for its bytes, and the token is requested last,
    /// when nothing else is waited for, since a body cannot be sent twice.
    async fn transmit(&mut self, step: UploadStep) -> Result<Option<SentRequest>, Error> {
        let request = self.request(step);
        let (from, to) = match step {
            UploadStep::Whole => (0, self.size),
            UploadStep::Patch { from, to, .. } => (from, to),
            UploadStep::Close => (self.size, self.size),
        };
        let reserved = if let Some(reserved) = self.upload.reserved.take() {
            reserved
        } else {
            let going_on = self.feeder.is_open();
            self.client
                .reserve(&self.context, &request, going_on)
                .await?
        };
        self.feeder.prime(from, to).await?;
        if self.is_resized()? {
            self.upload.reserved = Some(reserved);
            return Ok(None);
        }
        let pass = self.client.pass_for(&mut self.context, &request).await?;
        let (body, inlet) = request_body::channel(to - from);
        let taken = inlet.bytes_taken();
        let pump = self.feeder.pump(inlet, to);
        let answer = self
            .client
            .send_once(&self.context, &request, reserved, &pass, body);
        let answer = send_while_pumping(answer, pump).await?;
        let used = pass.header().cloned();
        drop(pass);
        Ok(Some(SentRequest {
            answer,
            request,
            used,
            taken: taken.load(Ordering::Relaxed),
        }))
    }

    /// Adopts the length stated by the source. Returns whether it has changed.
    fn is_resized(&mut self) -> Result<bool, Error> {
        let Some(size) = self.feeder.size() else {
            let request = self.upload.session_request(Method::PUT);
            return Err(request.error(ErrorKind::Protocol, "the size of the blob is not known"));
        };
        if size == self.size {
            return Ok(false);
        }
        self.size = size;
        self.form = self.forms.choose(size);
        Ok(true)
    }

    fn request(&self, step: UploadStep) -> RequestSpec {
        let (method, closing) = match step {
            UploadStep::Whole | UploadStep::Close => (Method::PUT, true),
            UploadStep::Patch { .. } => (Method::PATCH, false),
        };
        let mut request = self.upload.session_request(method);
        if closing {
            let mut address = self.upload.session.location.clone();
            address.url = location::closing(&address.url, &self.upload.digest);
            request = request.at(address);
        }
        if let UploadStep::Patch { from, to, ranged: true } = step
            // Without a unit: Azure refuses the form that HTTP defines for answers.
            && let Ok(range) = HeaderValue::from_str(&format!("{from}-{}", to.saturating_sub(1)))
        {
            request = request.header(CONTENT_RANGE, range);
        }
        request
            .header(
                CONTENT_TYPE,
                HeaderValue::from_static("application/octet-stream"),
            )
            .lane(Lane::Uploads)
            .weight(self.size)
            .limit(AnswerLimit::Closing)
    }
}

/// Returns whether a proxy or server gave up waiting for the request or its outcome: smaller requests may be in time.
fn ended_by_time_limit(status: StatusCode) -> bool {
    // 524 is Cloudflare's.
    matches!(status.as_u16(), 408 | 504 | 524)
}

/// Waits for `answer` while `pump` runs beside it. An error of the pump ends both: the request is dropped and never
/// completes.
async fn send_while_pumping<T>(
    answer: impl Future<Output = T>,
    pump: impl Future<Output = Result<(), Error>>,
) -> Result<T, Error> {
    let (mut answer, mut pump) = (std::pin::pin!(answer), std::pin::pin!(pump));
    let mut pumping = true;
    loop {
        tokio::select! {
            biased;
            answer = &mut answer => return Ok(answer),
            pumped = &mut pump, if pumping => {
                pumped?;
                pumping = false;
            }
        }
    }
}
