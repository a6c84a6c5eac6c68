//! Deletion of manifests, tags and blobs (docs/protocol.md#deletion).
//!
//! Retries follow the policy of the pipeline. A 404 to another try after an answer was lost is a success: the lost one
//! was.

use http::{Method, StatusCode};

use crate::auth::ScopeSet;
use crate::client::Client;
use crate::client::call::may_have_arrived;
use crate::client::call_outcome::CallOutcome;
use crate::client::request::RequestSpec;
use crate::client::request_context::RequestContext;
use crate::digest::Digest;
use crate::error::{Cause, Error, ErrorKind};
use crate::reference::{Repository, Target};

/// Advice for a registry that deletes nothing of a kind.
const NO_MANIFESTS: &str = "it does not delete manifests: allow that in its settings (distribution: \
`REGISTRY_STORAGE_DELETE_ENABLED=true`)";
const NO_TAGS: &str = "it does not delete tags alone, or nothing at all: delete the manifest by its digest, which \
deletes its other tags as well";
const NO_BLOBS: &str = "it does not delete blobs: delete the manifests that name it, and let the registry collect its garbage";

impl Client {
    /// Deletes a manifest by its digest, with all tags that name it, or a tag alone. Its blobs stay until the registry
    /// collects its garbage.
    ///
    /// Not every registry deletes a tag alone. No manifest is deleted in its place: other tags may name it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if it does not exist, [`ErrorKind::Rejected`] if the registry does not delete manifests
    /// or tags.
    pub async fn delete_manifest(
        &self,
        repository: &Repository,
        target: &Target,
    ) -> Result<(), Error> {
        let (noun, advice, at) = match target {
            Target::Tag(_) => ("tag", NO_TAGS, ":"),
            Target::Digest(_) => ("manifest", NO_MANIFESTS, "@"),
        };
        let request = RequestSpec::new(
            Method::DELETE,
            repository,
            ScopeSet::delete(repository),
            format!("manifests/{target}"),
            format!("delete {noun} {}{at}{target}", repository.path()),
        )
        .guarded(self.tag_guard.clone());
        let deleted = self.delete(&request, advice).await;
        self.checked(repository, deleted).await
    }

    /// Deletes a blob. Few registries support that, and none checks whether a manifest still needs it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if it does not exist, [`ErrorKind::Rejected`] if the registry does not delete blobs.
    pub async fn delete_blob(&self, repository: &Repository, digest: &Digest) -> Result<(), Error> {
        let request = RequestSpec::new(
            Method::DELETE,
            repository,
            ScopeSet::delete(repository),
            format!("blobs/{digest}"),
            format!("delete blob {digest} of {}", repository.path()),
        );
        let deleted = self.delete(&request, NO_BLOBS).await;
        self.checked(repository, deleted).await
    }

    async fn delete(&self, request: &RequestSpec, advice: &str) -> Result<(), Error> {
        let mut context = self.request_context(&request.resource).await?;
        let mut attempts = self.attempts(&context);
        // The outcome of a try is unknown.
        let mut is_unclear = false;
        loop {
            let error = match self.delete_once(&mut context, request).await {
                Ok(()) => return Ok(()),
                Err(error) if is_unclear && error.kind() == ErrorKind::NotFound => return Ok(()),
                Err(error) => explain(error, advice),
            };
            is_unclear |= may_have_arrived(&error);
            context.tries = attempts.after(error).await?;
        }
    }

    async fn delete_once(
        &self,
        context: &mut RequestContext,
        request: &RequestSpec,
    ) -> Result<(), Error> {
        match self.once(context, request).await? {
            CallOutcome::Answer(response) if response.status.is_success() => {
                response.body.drain().await;
                Ok(())
            }
            CallOutcome::Answer(response) => Err(request.failure(response).await),
            CallOutcome::Refused(error) => Err(error),
        }
    }
}

/// Adds advice to the answer of a registry that does not support the request. distribution 2 takes a tag for an invalid
/// digest.
fn explain(error: Error, advice: &str) -> Error {
    let is_unsupported = matches!(error.code(), Some("UNSUPPORTED" | "DIGEST_INVALID"))
        || matches!(
            error.status(),
            Some(StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED)
        );
    if !is_unsupported || error.cause() == Cause::ReadOnly {
        return error;
    }
    error
        .with_kind(ErrorKind::Rejected)
        .with_cause(Cause::Policy)
        .with_clause(advice)
}
