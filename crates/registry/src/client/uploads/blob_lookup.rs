//! Finding out what the registry has after an outcome that nobody knows.

use http::{Method, StatusCode};

use crate::auth::ScopeSet;
use crate::client::blobs::blob_ask;
use crate::client::call::CallOutcome;
use crate::client::ranges;
use crate::error::{Error, ErrorKind};

use super::driver::{NextStep, StepFailure, StepResult, UploadDriver};
use super::forms::FormRefusal;
use super::session::{self, OpenedSession};

/// Breaks in a row that left nothing behind at the registry before another form is tried: a refusal that is lost
/// with its connection looks like that.
const MAX_BARREN: u32 = 2;
/// Bodies that no proxy's limit is below.
const SMALL: u64 = 1 << 20;

/// A blob that is there.
pub(super) struct StoredBlob {
    /// Its length, where the registry says it.
    pub(super) length: Option<u64>,
}

impl UploadDriver<'_> {
    /// Finds out what the registry has.
    pub(super) async fn resolve_outcome(&mut self, complete: bool) -> StepResult {
        if complete && self.is_there().await? {
            return Ok(NextStep::Done);
        }
        if self.size <= SMALL {
            // Sent anew it costs no more than the question where it stands.
            return Ok(NextStep::Reopen);
        }
        let ask = self.upload.session_request(Method::GET).follow(false);
        let response = match self.client.once(&mut self.visit, &ask).await {
            Ok(CallOutcome::Answer(response)) => response,
            Ok(CallOutcome::Refused(error)) => return Err(StepFailure::Final(error)),
            Err(error) => return Err(StepFailure::Later(error, NextStep::Settle { complete })),
        };
        if !response.status.is_success() {
            let error = ask.failure(response).await;
            if error.kind() == ErrorKind::RateLimited {
                return Err(StepFailure::Later(
                    error,
                    NextStep::Settle { complete: false },
                ));
            }
            return Ok(self.after_lost_bytes());
        }
        self.relocate(&ask, &response).await?;
        let stored = self
            .upload
            .session
            .dialect
            .stored_by_status(&response.headers);
        response.body.drain().await;
        Ok(self.resume(stored))
    }

    /// Goes on from `stored` bytes, if that can be.
    fn resume(&mut self, stored: Option<u64>) -> NextStep {
        let session = &mut self.upload.session;
        let stored = match stored {
            // One too many is a way to count.
            Some(stored) if stored == session.sent + 1 => session.sent,
            Some(stored) if stored <= session.sent => stored,
            _ => return self.after_lost_bytes(),
        };
        if stored == 0 {
            session.offset = 0;
            return match self.after_lost_bytes() {
                // Nothing arrived, and the session lives: it serves again.
                NextStep::Reopen if self.trouble.barren < MAX_BARREN => NextStep::Send,
                next => next,
            };
        }
        if !self.resumable {
            return NextStep::Reopen;
        }
        tracing::debug!(
            "the upload of {} goes on at byte {stored} of {}",
            self.upload.digest,
            self.size
        );
        self.set_offset(stored);
        NextStep::Send
    }

    /// Nothing of what was sent is left. When that happens again and again the registry, or a proxy before it, may
    /// be refusing the size of the body without our seeing it.
    fn after_lost_bytes(&mut self) -> NextStep {
        if self.trouble.barren >= MAX_BARREN
            && self.size > SMALL
            && self.forms.refuse(self.form, self.size, FormRefusal::Size)
        {
            self.trouble.barren = 0;
            self.form = self.forms.choose(self.size);
        }
        NextStep::Reopen
    }

    /// A new session; asking for it also asks whether the blob is there.
    pub(super) async fn reopen(&mut self) -> StepResult {
        self.feeder.reset();
        self.patches = 0;
        let (repository, digest) = (&self.upload.repository, &self.upload.digest);
        let opened = if self.is_damaged() {
            // Its word on having the blob is worth nothing.
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

    /// Returns whether the blob is there, by one HEAD, where the registry's word is good. A HEAD that is answered 429
    /// is sent again later.
    pub(super) async fn is_there(&mut self) -> Result<bool, StepFailure> {
        let path = self.upload.repository.path();
        if self
            .client
            .inner
            .habits
            .is_disproved(path, &self.upload.digest)
        {
            return Ok(false);
        }
        match self.head_blob().await {
            Ok(Some(StoredBlob { length })) => {
                let is_right = length.is_none_or(|length| length == self.size);
                if !is_right {
                    let (path, digest) = (self.upload.repository.path(), &self.upload.digest);
                    self.client.inner.habits.saw_damage(path, digest, None);
                }
                Ok(is_right)
            }
            Err(error) if error.kind() == ErrorKind::RateLimited => Err(StepFailure::Later(
                error,
                NextStep::Settle { complete: true },
            )),
            Ok(None) | Err(_) => Ok(false),
        }
    }

    /// HEAD of the blob.
    pub(super) async fn head_blob(&mut self) -> Result<Option<StoredBlob>, Error> {
        let (repository, digest) = (&self.upload.repository, &self.upload.digest);
        let ask = blob_ask(Method::HEAD, repository, digest, "look for blob")
            .scopes(ScopeSet::push(repository))
            .follow(false);
        let CallOutcome::Answer(response) = self.client.once(&mut self.visit, &ask).await? else {
            return Ok(None);
        };
        let status = response.status;
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Err(ask.failure(response).await);
        }
        let length = ranges::content_length(&response.headers);
        response.body.drain().await;
        Ok(match status {
            // A redirect to where the blob is stored; its length is told there.
            _ if status.is_redirection() => Some(StoredBlob { length: None }),
            _ if status.is_success() => Some(StoredBlob { length }),
            _ => None,
        })
    }
}
