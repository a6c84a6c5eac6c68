//! Answers to the requests that send bytes, and what follows from them.

use http::{HeaderName, HeaderValue, Method, StatusCode};

use crate::auth::ScopeSet;
use crate::client::blobs::blob_ask;
use crate::client::call::CallOutcome;
use crate::client::ranges;
use crate::client::request::RequestSpec;
use crate::client::uploads::blob_lookup::StoredBlob;
use crate::client::uploads::forms::UploadStep;
use crate::client::uploads::reaction::{self, Reaction};
use crate::client::uploads::session;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Retryable};
use crate::transport::Response;

use super::{FailureCounts, NextStep, StepFailure, StepResult, UploadDriver};

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// An answer that is no success, and what it answers.
pub(super) struct Refused {
    pub(super) ask: RequestSpec,
    pub(super) used: Option<HeaderValue>,
    pub(super) response: Response,
}

impl UploadDriver<'_> {
    /// 2xx.
    pub(super) async fn accepted(
        &mut self,
        ask: &RequestSpec,
        step: UploadStep,
        response: Response,
    ) -> StepResult {
        match step {
            UploadStep::Patch { to, .. } => {
                self.patches += 1;
                self.advance(ask, to, response).await
            }
            UploadStep::Whole | UploadStep::Close => self.closed(ask, response).await,
        }
    }

    /// The registry took what the session holds and made a blob of it.
    async fn closed(&mut self, ask: &RequestSpec, response: Response) -> StepResult {
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
            return Err(StepFailure::Final(ask.error(ErrorKind::Corrupt, message)));
        }
        Ok(if self.patches > 1 || self.is_damaged() {
            NextStep::Measure
        } else {
            NextStep::Done
        })
    }

    /// Returns whether the blob was seen with a wrong length before it was sent.
    pub(in crate::client::uploads) fn is_damaged(&self) -> bool {
        let path = self.upload.repository.path();
        let habits = &self.client.inner.habits;
        habits.is_damaged(path, &self.upload.digest)
    }

    /// Compares the length of the blob that was closed. Artifactory was seen to keep only the last of several `PATCH`
    /// bodies; a registry that has a damaged blob may take the bytes and keep the damage.
    pub(super) async fn measure(&mut self) -> StepResult {
        let length = match self.head_blob().await {
            Ok(Some(StoredBlob { length })) => length.filter(|length| *length != self.size),
            Err(error) if error.kind() == ErrorKind::RateLimited => {
                return Err(StepFailure::Later(error, NextStep::Measure));
            }
            // That the blob is there was said already.
            Ok(None) | Err(_) => None,
        };
        let habits = &self.client.inner.habits;
        let Some(length) = length else {
            habits.repaired(self.upload.repository.path(), &self.upload.digest);
            return Ok(NextStep::Done);
        };
        // HEADs of some servers have lengths of their own.
        if self.patches <= 1 && self.length_by_get().await == Some(self.size) {
            return Ok(NextStep::Done);
        }
        let (path, digest) = (self.upload.repository.path(), &self.upload.digest);
        let size = self.size;
        let message = if self.patches > 1 {
            let parts = self.patches;
            format!("the registry took {size} bytes in {parts} parts and kept {length}")
        } else {
            format!(
                "the registry has {length} bytes there instead of {size}; it was sent again and is still wrong there: \
                 its storage is damaged. Delete the blob at the registry, collect its garbage, and run again"
            )
        };
        let ask = self.upload.session_request(Method::PUT);
        let error = ask.error(ErrorKind::Corrupt, message);
        habits.saw_damage(path, digest, Some(&error));
        Err(StepFailure::Final(error))
    }

    /// Returns the length by the head of a GET, whose body is dropped; `None` where there is none.
    async fn length_by_get(&mut self) -> Option<u64> {
        let (repository, digest) = (&self.upload.repository, &self.upload.digest);
        let ask = blob_ask(Method::GET, repository, digest, "measure blob")
            .scopes(ScopeSet::push(repository));
        match self.client.once(&mut self.visit, &ask).await.ok()? {
            CallOutcome::Answer(response) if response.status == StatusCode::OK => {
                ranges::content_length(&response.headers)
            }
            _ => None,
        }
    }

    /// The registry took a PATCH whose bytes end before `to`.
    async fn advance(&mut self, ask: &RequestSpec, to: u64, response: Response) -> StepResult {
        self.relocate(ask, &response).await?;
        let before = self.upload.session.offset;
        let offset = match ranges::stored_by_patch(&response.headers) {
            // A part of them.
            Some(stored) if stored > before && stored < to => stored,
            // All of them, or a count that stands still (ECR) or makes no sense.
            _ => to,
        };
        response.body.drain().await;
        self.set_offset(offset);
        if offset < to {
            // Going on is right, going on for ever by the byte is not: it counts as a try.
            let message = format!("the registry took {offset} of {to} bytes");
            let error = ask.error(ErrorKind::UploadLost, message);
            return Err(StepFailure::Later(error, NextStep::Send));
        }
        Ok(NextStep::Send)
    }

    /// The session holds `offset` bytes. Only what no session held before is progress: a registry that takes the
    /// first half again and again gets nowhere.
    pub(in crate::client::uploads) fn set_offset(&mut self, offset: u64) {
        let session = &mut self.upload.session;
        session.offset = offset;
        session.sent = session.sent.max(offset);
        if offset > self.reached {
            self.attempts.progress(offset - self.reached);
            self.reached = offset;
            self.trouble = FailureCounts::default();
        }
    }

    /// Goes on at the newest `Location`, if there is one.
    pub(in crate::client::uploads) async fn relocate(
        &mut self,
        ask: &RequestSpec,
        response: &Response,
    ) -> Result<bool, StepFailure> {
        let found = self.client.location_of(&self.visit, ask, response).await;
        Ok(match found.map_err(StepFailure::Final)? {
            Some(address) => {
                self.upload.session.location = address;
                true
            }
            None => false,
        })
    }

    /// An answer that is no success; `settle` is what to do where the session may have changed.
    pub(super) async fn refused(
        &mut self,
        step: UploadStep,
        refused: Refused,
        settle: NextStep,
    ) -> StepResult {
        let Refused {
            ask,
            used,
            response,
        } = refused;
        let own = self.upload.session.location.home
            && response.url.origin() == self.upload.session.location.url.origin();
        if own && response.status == StatusCode::UNAUTHORIZED {
            self.trouble.unauthorized += 1;
            let again = self.trouble.unauthorized;
            return match self
                .client
                .refused(&mut self.visit, &ask, used.as_ref(), response, again)
                .await
            {
                Ok(None) => Ok(settle),
                Err(error) if error.retryable() != Retryable::No => {
                    Err(StepFailure::Later(error, settle))
                }
                Ok(Some(error)) | Err(error) => Err(StepFailure::Final(error)),
            };
        }
        if matches!(response.status.as_u16(), 307 | 308)
            && self.trouble.redirected < 5
            && self.relocate(&ask, &response).await?
        {
            self.trouble.redirected += 1;
            response.body.drain().await;
            return Ok(NextStep::Send);
        }
        let error = session::with_algorithm(ask.failure(response).await, &self.upload.digest);
        self.react(step, error, settle).await
    }

    async fn react(&mut self, step: UploadStep, error: Error, settle: NextStep) -> StepResult {
        let lost = |error: Error| error.with_kind(ErrorKind::UploadLost);
        match reaction::to(&error, self.form, step, self.trouble.lost) {
            Reaction::Final => Err(StepFailure::Final(error)),
            Reaction::Later => Err(StepFailure::Later(error, settle)),
            Reaction::Wait => Err(StepFailure::Later(error, NextStep::Send)),
            Reaction::Restart => {
                self.trouble.lost = true;
                Err(StepFailure::Later(lost(error), NextStep::Reopen))
            }
            Reaction::NotResumable => {
                self.resumable = false;
                Err(StepFailure::Later(lost(error), NextStep::Reopen))
            }
            Reaction::OutOfStep if self.trouble.out_of_step => {
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
            // Another client that uploads the same blob may be why, and may have succeeded.
            Reaction::WrongBytes if self.wrong_bytes => {
                if self.is_there().await? {
                    return Ok(NextStep::Done);
                }
                Err(StepFailure::Final(error))
            }
            Reaction::WrongBytes => {
                // Once more from the start, with a fresh stream of the source: it may have been a wrong guess of
                // where the session stood.
                self.wrong_bytes = true;
                self.resumable = false;
                Ok(NextStep::Reopen)
            }
        }
    }
}
