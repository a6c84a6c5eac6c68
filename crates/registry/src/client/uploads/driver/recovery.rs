//! Recovery from an unknown outcome: asks the registry for its state, and continues there or opens a new session.

use http::Method;

use crate::client::call_outcome::CallOutcome;
use crate::client::uploads::blob_lookup::{StoredBlob, head_blob};
use crate::client::uploads::forms::UploadForm;
use crate::client::uploads::session::{self, OpenedSession};
use crate::error::ErrorKind;

use super::{FailureCounts, NextStep, StepFailure, StepResult, UploadDriver};

/// Number of requests in a row that are cut off before another form is tried. A limit on the time or size of a request
/// looks like that, and so does a refusal that is lost with its connection.
const MAX_CUTS: u32 = 2;
/// Largest body that is below the limits of all proxies.
const SMALL: u64 = 1 << 20;

impl UploadDriver<'_> {
    /// Finds out what the registry has. `complete` if everything was sent.
    pub(super) async fn resolve_outcome(&mut self, complete: bool) -> StepResult {
        if complete && self.is_there().await? {
            return Ok(NextStep::Done);
        }
        if self.size <= SMALL {
            // Sending it again costs no more than the question.
            return Ok(NextStep::Reopen);
        }
        if !self.resumable {
            self.after_cuts();
            return Ok(NextStep::Reopen);
        }
        let request = self.upload.session_request(Method::GET).follow(false);
        let response = match self.client.once(&mut self.context, &request).await {
            Ok(CallOutcome::Answer(response)) => response,
            Ok(CallOutcome::Refused(error)) => return Err(StepFailure::Final(error)),
            Err(error) => return Err(StepFailure::Later(error, NextStep::Settle { complete })),
        };
        if !response.status.is_success() {
            let error = request.failure(response).await;
            if error.kind() == ErrorKind::RateLimited {
                return Err(StepFailure::Later(
                    error,
                    NextStep::Settle { complete: false },
                ));
            }
            self.after_cuts();
            return Ok(NextStep::Reopen);
        }
        self.relocate(&request, &response).await?;
        let stored = self
            .upload
            .session
            .dialect
            .stored_by_status(&response.headers);
        response.body.drain().await;
        Ok(self.resume(stored))
    }

    /// Continues after `stored` bytes, if possible.
    fn resume(&mut self, stored: Option<u64>) -> NextStep {
        let session = &mut self.upload.session;
        let stored = match stored {
            // Some registries count one too many.
            Some(stored) if stored == session.sent + 1 => session.sent,
            Some(stored) if stored <= session.sent => stored,
            _ => {
                self.after_cuts();
                return NextStep::Reopen;
            }
        };
        if stored == 0 {
            session.offset = 0;
            // Nothing arrived, and the session still exists.
            return if self.after_cuts() {
                NextStep::Reopen
            } else {
                NextStep::Send
            };
        }
        tracing::debug!(
            "the upload of {} goes on at byte {stored} of {}",
            self.upload.digest,
            self.size
        );
        let is_first = session.offset == 0;
        let FailureCounts { cuts, sent, .. } = self.trouble;
        self.set_offset(stored);
        if is_first {
            // Bytes of the first request are no proof that the session can be resumed.
            (self.trouble.cuts, self.trouble.sent) = (cuts, sent);
        } else {
            self.after_cuts();
        }
        NextStep::Send
    }

    /// Records that a request was cut off after `sent` bytes of its body had left.
    pub(super) fn record_cut(&mut self, sent: u64) {
        self.trouble.cuts += 1;
        self.trouble.sent = self.trouble.sent.min(sent);
    }

    /// Changes the form after repeated cuts. A chunk size of which no chunk ever arrived is given up at once. Returns
    /// whether the form has changed.
    fn after_cuts(&mut self) -> bool {
        let is_stuck =
            matches!(self.form, UploadForm::Chunks(_)) && self.upload.session.offset == 0;
        let cuts = self.trouble.cuts;
        let is_due = cuts >= MAX_CUTS || (cuts > 0 && is_stuck);
        if !is_due
            || self.size <= SMALL
            || !self.forms.cut_off(self.form, self.size, self.trouble.sent)
        {
            return false;
        }
        self.trouble = FailureCounts::default();
        self.form = self.forms.choose(self.size);
        tracing::debug!(
            "the upload of {} was cut off again and again, it goes on as {:?}",
            self.upload.digest,
            self.form
        );
        true
    }

    /// Opens a new session. The request for it also asks whether the blob exists.
    pub(super) async fn reopen(&mut self) -> StepResult {
        self.feeder.reset();
        self.patches = 0;
        // Concurrent uploads may have learned which form works.
        self.forms.merge(&self.client.inner.capabilities.forms());
        self.form = self.forms.choose(self.size);
        let (repository, digest) = (&self.upload.repository, &self.upload.digest);
        let opened = if self.is_damaged() {
            // A claim that the blob exists would be wrong.
            let session = session::plain(self.client, repository, digest).await;
            session.map(OpenedSession::Session)
        } else {
            session::open(self.client, repository, digest, None).await
        };
        match opened {
            Ok(OpenedSession::Present { .. }) => Ok(NextStep::Done),
            Ok(OpenedSession::Session(session)) => {
                tracing::debug!("the upload of {digest} begins anew");
                *self.upload.session = session;
                Ok(NextStep::Send)
            }
            Err(error) => Err(StepFailure::Final(error)),
        }
    }

    /// Returns whether the blob exists, by one HEAD, if the registry's answers can be trusted. A HEAD that is answered
    /// 429 is sent again later.
    pub(super) async fn is_there(&mut self) -> Result<bool, StepFailure> {
        let digest = &self.upload.digest;
        let path = self.upload.repository.path();
        let capabilities = &self.client.inner.capabilities;
        if capabilities.is_disproved(path, digest) {
            return Ok(false);
        }
        match head_blob(
            self.client,
            &mut self.context,
            &self.upload.repository,
            digest,
        )
        .await
        {
            Ok(Some(StoredBlob { length })) => {
                let is_right = length.is_none_or(|length| length == self.size);
                if !is_right {
                    capabilities.saw_damage(path, digest, None);
                }
                Ok(is_right)
            }
            Ok(None) => Ok(false),
            Err(error) => Err(StepFailure::Later(
                error,
                NextStep::Settle { complete: true },
            )),
        }
    }
}
