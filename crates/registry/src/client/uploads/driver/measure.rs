//! Comparison of a blob that was closed with the one that was sent, where the registry may have kept something else.

use http::{Method, StatusCode};

use crate::auth::ScopeSet;
use crate::client::blob_request::blob_request;
use crate::client::call_outcome::CallOutcome;
use crate::client::ranges;
use crate::client::uploads::blob_lookup::{StoredBlob, head_blob};
use crate::error::{Error, ErrorKind};

use super::{NextStep, StepFailure, StepResult, UploadDriver};

impl UploadDriver<'_> {
    /// Returns whether the blob was seen with a wrong length before it was sent.
    pub(super) fn is_damaged(&self) -> bool {
        let path = self.upload.repository.path();
        let capabilities = &self.client.inner.capabilities;
        capabilities.is_damaged(path, &self.upload.digest)
    }

    /// Compares the length of the blob that was closed. Artifactory was seen to keep only the last of several `PATCH`
    /// bodies; a registry that has a damaged blob may accept the bytes and keep the damage.
    pub(super) async fn measure(&mut self) -> StepResult {
        let (path, digest) = (self.upload.repository.path(), &self.upload.digest);
        let length = match head_blob(
            self.client,
            &mut self.context,
            &self.upload.repository,
            digest,
        )
        .await
        {
            Ok(Some(StoredBlob { length })) => length.filter(|length| *length != self.size),
            // The registry has said already that the blob exists.
            Ok(None) => None,
            Err(error) => return Err(StepFailure::Later(error, NextStep::Measure)),
        };
        let Some(length) = length else {
            self.client.inner.capabilities.repaired(path, digest);
            return Ok(NextStep::Done);
        };
        let size = self.size;
        let parts = self.patches;
        if parts > 1 {
            let message =
                format!("the registry took {size} bytes in {parts} parts and kept {length}");
            if self.gives_up_chunks() {
                let error = self.corrupt(message);
                self.record_damage(None);
                return Err(StepFailure::Later(
                    error.with_kind(ErrorKind::UploadLost),
                    NextStep::Reopen,
                ));
            }
            return Err(self.damaged(message));
        }
        // Some servers state other lengths in answers to HEAD.
        if self.length_by_get().await == Some(size) {
            return Ok(NextStep::Done);
        }
        Err(self.damaged(format!(
            "the registry has {length} bytes there instead of {size}; it was sent again and is still wrong there: \
             its storage is damaged. Delete the blob at the registry, collect its garbage, and run again"
        )))
    }

    fn corrupt(&self, message: String) -> Error {
        let request = self.upload.session_request(Method::PUT);
        request.error(ErrorKind::Corrupt, message)
    }

    /// Fails this upload and all later ones of the blob.
    fn damaged(&self, message: String) -> StepFailure {
        let error = self.corrupt(message);
        self.record_damage(Some(&error));
        StepFailure::Final(error)
    }

    fn record_damage(&self, error: Option<&Error>) {
        let (path, digest) = (self.upload.repository.path(), &self.upload.digest);
        self.client
            .inner
            .capabilities
            .saw_damage(path, digest, error);
    }

    /// Returns the length by the head of a GET, whose body is dropped; `None` if there is none.
    async fn length_by_get(&mut self) -> Option<u64> {
        let (repository, digest) = (&self.upload.repository, &self.upload.digest);
        let request = blob_request(Method::GET, repository, digest, "measure blob")
            .scopes(ScopeSet::push(repository));
        match self.client.once(&mut self.context, &request).await.ok()? {
            CallOutcome::Answer(response) if response.status == StatusCode::OK => {
                ranges::content_length(&response.headers)
            }
            _ => None,
        }
    }
}
