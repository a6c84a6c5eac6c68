//! Answers to the requests that send bytes.

use http::{HeaderName, HeaderValue, StatusCode};

use crate::client::ranges;
use crate::client::request::RequestSpec;
use crate::client::uploads::forms::{FormRefusal, UploadForm, UploadStep};
use crate::client::uploads::reaction::{self, Reaction};
use crate::client::uploads::session;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Retryable};
use crate::transport::Response;

use super::{FailureCounts, NextStep, StepFailure, StepResult, UploadDriver};

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// A failed answer, with its request.
pub(super) struct Refused {
    pub(super) request: RequestSpec,
    pub(super) used: Option<HeaderValue>,
    pub(super) response: Response,
}

impl UploadDriver<'_> {
    /// Handles a success.
    pub(super) async fn accepted(
        &mut self,
        request: &RequestSpec,
        step: UploadStep,
        response: Response,
    ) -> StepResult {
        match step {
            UploadStep::Patch { to, .. } => {
                self.patches += 1;
                self.advance(request, to, response).await
            }
            UploadStep::Whole | UploadStep::Close => self.closed(request, response).await,
        }
    }

    /// Handles the success of a closing PUT: the registry made a blob of the session.
    async fn closed(&mut self, request: &RequestSpec, response: Response) -> StepResult {
        let stored = response
            .headers
            .get(CONTENT_DIGEST)
            .and_then(|value| Digest::parse(value.to_str().ok()?.trim()).ok());
        response.body.drain().await;
        let digest = &self.upload.digest;
        if let Some(stored) = stored.filter(|stored| {
            stored != digest
                && stored.algorithm().is_some()
                && stored.algorithm() == digest.algorithm()
        }) {
            let message = format!("the registry stored {stored} instead of {digest}");
            return Err(StepFailure::Final(
                request.error(ErrorKind::Corrupt, message),
            ));
        }
        // The form has worked, so what led to it is worth remembering, suspicions included.
        self.learnt = self.forms;
        Ok(if self.patches > 1 || self.is_damaged() {
            NextStep::Measure
        } else {
            NextStep::Done
        })
    }

    /// Handles the success of a PATCH whose bytes end before `to`.
    async fn advance(&mut self, request: &RequestSpec, to: u64, response: Response) -> StepResult {
        self.relocate(request, &response).await?;
        let before = self.upload.session.offset;
        let offset = match ranges::stored_by_patch(&response.headers) {
            // Only a part was stored.
            Some(stored) if stored > before && stored < to => stored,
            // Everything was stored, or the count is stale (ECR) or meaningless.
            _ => to,
        };
        response.body.drain().await;
        self.set_offset(offset);
        if offset < to {
            // Continuing is right, but not byte by byte without end: it counts as a try.
            let message = format!("the registry took {offset} of {to} bytes");
            let error = request.error(ErrorKind::UploadLost, message);
            return Err(StepFailure::Later(error, NextStep::Send));
        }
        Ok(NextStep::Send)
    }

    /// Records that the session holds `offset` bytes. Only bytes that no session held before are progress: a registry
    /// that accepts the first half again and again gets nowhere.
    pub(super) fn set_offset(&mut self, offset: u64) {
        let session = &mut self.upload.session;
        session.offset = offset;
        session.sent = session.sent.max(offset);
        if offset > self.reached {
            self.attempts.progress(offset - self.reached);
            self.reached = offset;
            self.trouble = FailureCounts::default();
        }
    }

    /// Adopts the latest `Location`, if there is one.
    pub(super) async fn relocate(
        &mut self,
        request: &RequestSpec,
        response: &Response,
    ) -> Result<bool, StepFailure> {
        let found = self
            .client
            .location_of(&self.context, request, response)
            .await;
        Ok(match found.map_err(StepFailure::Final)? {
            Some(address) => {
                self.upload.session.location = address;
                true
            }
            None => false,
        })
    }

    /// Handles a failed answer. `settle` is the next step if the session may have changed.
    pub(super) async fn refused(
        &mut self,
        step: UploadStep,
        refused: Refused,
        settle: NextStep,
    ) -> StepResult {
        let Refused {
            request,
            used,
            response,
        } = refused;
        let own = self.client.is_own(&self.upload.session.location)
            && response.url.origin() == self.upload.session.location.url.origin();
        if own && response.status == StatusCode::UNAUTHORIZED {
            self.trouble.unauthorized += 1;
            let again = self.trouble.unauthorized;
            let client = self.client;
            let refused =
                client.refused_at(&mut self.context, &request, used.as_ref(), response, again);
            return match Box::pin(refused).await {
                Ok(None) => Ok(settle),
                Err(error) if error.retryable() != Retryable::No => {
                    Err(StepFailure::Later(error, settle))
                }
                Ok(Some(error)) | Err(error) => Err(StepFailure::Final(error)),
            };
        }
        if matches!(response.status.as_u16(), 307 | 308)
            && self.trouble.redirected < 5
            && self.relocate(&request, &response).await?
        {
            self.trouble.redirected += 1;
            response.body.drain().await;
            return Ok(NextStep::Send);
        }
        let error = session::with_algorithm(request.failure(response).await, &self.upload.digest);
        self.react(step, error, settle).await
    }

    async fn react(&mut self, step: UploadStep, error: Error, settle: NextStep) -> StepResult {
        let lost = |error: Error| error.with_kind(ErrorKind::UploadLost);
        match reaction::to(&error, self.form, step, self.trouble.lost) {
            Reaction::Final => Err(StepFailure::Final(error)),
            Reaction::Later => Err(StepFailure::Later(error, settle)),
            Reaction::Wait => Err(StepFailure::Later(error, NextStep::Send)),
            Reaction::Restart if self.trouble.lost && self.gives_up_chunks() => {
                Ok(NextStep::Reopen)
            }
            Reaction::Restart => {
                self.trouble.lost = true;
                Err(StepFailure::Later(lost(error), NextStep::Reopen))
            }
            Reaction::NotResumable => {
                self.resumable = false;
                Err(StepFailure::Later(lost(error), NextStep::Reopen))
            }
            Reaction::OutOfStep if self.trouble.out_of_step => {
                self.gives_up_chunks();
                Err(StepFailure::Later(lost(error), NextStep::Reopen))
            }
            Reaction::OutOfStep => {
                self.trouble.out_of_step = true;
                Err(StepFailure::Later(
                    lost(error),
                    NextStep::Settle { complete: false },
                ))
            }
            Reaction::OtherForm(refusal) => {
                if !self.forms.refuse(self.form, self.size, refusal) {
                    return Err(StepFailure::Final(error));
                }
                self.learnt.refuse(self.form, self.size, refusal);
                self.form = self.forms.choose(self.size);
                Ok(NextStep::Reopen)
            }
            Reaction::WrongBytes if self.wrong_bytes => {
                // Another client that uploads the same blob may be the reason, and may have succeeded.
                if self.is_there().await? {
                    return Ok(NextStep::Done);
                }
                if self.gives_up_chunks() {
                    return Ok(NextStep::Reopen);
                }
                Err(StepFailure::Final(error))
            }
            Reaction::WrongBytes => {
                // Once more from the start, with a fresh stream of the source: the offset may have been wrong.
                self.wrong_bytes = true;
                self.resumable = false;
                Ok(NextStep::Reopen)
            }
        }
    }

    /// Goes back to larger bodies if chunks were sent only because those were cut off, and do not work either. Returns
    /// whether the form has changed.
    pub(super) fn gives_up_chunks(&mut self) -> bool {
        let is_chunked = matches!(self.form, UploadForm::Chunks(_));
        if !is_chunked || !self.forms.refuse(self.form, self.size, FormRefusal::Form) {
            return false;
        }
        self.form = self.forms.choose(self.size);
        true
    }
}
