//! Explanation of answers: of hosts that are no registry, and of refusals without a login.
//!
//! The detection of a host that is no registry costs one `GET /v2/` for each host of a run, only after a failed request, and only if the host has not served anything
//! before.

use http::StatusCode;

use crate::auth::{Credential, no_login};
use crate::client::Client;
use crate::error::{Cause, Error, ErrorKind};
use crate::reference::Resource;

impl Client {
    /// Returns `result`. If its error is an answer without any sign of a registry, and `GET /v2/` is answered without one
    /// as well, the error says that the host does not answer like a registry. If it is a 403 to a request without a
    /// login, it says that a login is missing.
    pub(super) async fn checked<T>(
        &self,
        resource: impl Into<Resource>,
        result: Result<T, Error>,
    ) -> Result<T, Error> {
        match result {
            Err(error)
                if error.lacks_registry_signs() && !self.inner.capabilities.is_registry() =>
            {
                Err(self.check_registry(&resource.into(), error).await)
            }
            Err(error) if is_denial(&error) => {
                Err(self.explain_denial(&resource.into(), error).await)
            }
            result => result,
        }
    }

    /// Names the missing login as the cause of a 403 to a request without one: the remedy is to log in, not a right.
    pub(super) async fn explain_denial(&self, resource: &Resource, error: Error) -> Error {
        let Ok(context) = self.request_context(resource).await else {
            return error;
        };
        let access = &context.access;
        if !is_denial(&error) || access.credential != Credential::Anonymous {
            return error;
        }
        let refusal = no_login(resource.registry(), access, None);
        error.with_clause(&refusal.clause).with_cause(refusal.cause)
    }

    async fn check_registry(&self, resource: &Resource, error: Error) -> Error {
        let Ok(context) = self.request_context(resource).await else {
            return error;
        };
        let Some(base) = self.inner.auth.non_registry_status(&context.endpoint).await else {
            return error;
        };
        let answered = match error.status() {
            Some(status) if status.is_success() => String::new(),
            Some(status) => format!("{status} to this request, and "),
            None => String::new(),
        };
        no_registry(error, &format!("{answered}{base}"))
    }
}

/// Returns whether the registry answered 403 without another reason than a missing right.
fn is_denial(error: &Error) -> bool {
    error.status() == Some(StatusCode::FORBIDDEN)
        && matches!(error.cause(), Cause::NoPullRight | Cause::NoPushRight)
        && error
            .repository()
            .is_none_or(|it| it.registry().as_str() == error.host())
}

/// Returns the error for a host that answered `base` to `GET /v2/`, without any sign of a registry.
pub(super) fn not_a_registry(error: Error, base: StatusCode) -> Error {
    no_registry(error, &base.to_string())
}

fn no_registry(error: Error, answers: &str) -> Error {
    let host = error.host().to_owned();
    error
        .with_kind(ErrorKind::Protocol)
        .with_cause(Cause::NotUnderstood)
        .with_message(format!(
            "{host} does not answer like a registry: it answered {answers} to `GET /v2/`"
        ))
}
