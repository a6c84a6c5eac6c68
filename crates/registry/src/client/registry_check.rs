//! Detection of hosts that are no registry, after an answer that registries do not give.
//!
//! Costs one `GET /v2/` for each host of a run, only after a failed request, and only if the host has not served anything
//! before.

use crate::client::Client;
use crate::error::{Cause, Error, ErrorKind};
use crate::reference::Repository;

impl Client {
    /// Returns `result`. If its error is an answer without any sign of a registry, and `GET /v2/` is answered without one
    /// as well, the error says that the host does not answer like a registry.
    pub(super) async fn checked<T>(
        &self,
        repository: &Repository,
        result: Result<T, Error>,
    ) -> Result<T, Error> {
        match result {
            Err(error)
                if error.lacks_registry_signs() && !self.inner.capabilities.is_registry() =>
            {
                Err(self.check_registry(repository, error).await)
            }
            result => result,
        }
    }

    async fn check_registry(&self, repository: &Repository, error: Error) -> Error {
        let Ok(context) = self.repository_context(repository).await else {
            return error;
        };
        let Some(base) = self.inner.auth.non_registry_status(&context.endpoint).await else {
            return error;
        };
        let host = error.host().to_owned();
        let answered = match error.status() {
            Some(status) if status.is_success() => String::new(),
            Some(status) => format!("{status} to this request, and "),
            None => String::new(),
        };
        error
            .with_kind(ErrorKind::Protocol)
            .with_cause(Cause::NotUnderstood)
            .with_message(format!(
                "{host} does not answer like a registry: it answered {answered}{base} to `GET /v2/`"
            ))
    }
}
