//! Ping of a registry: `GET /v2/` (docs/protocol.md#ping).

use http::{HeaderMap, Method};

use crate::auth::{Credential, LoginScheme, ScopeSet, is_no_registry};
use crate::client::Client;
use crate::client::call_outcome::CallOutcome;
use crate::client::registry_check::not_a_registry;
use crate::client::request::RequestSpec;
use crate::error::{Cause, Error, ErrorKind};
use crate::transport::Response;

/// Header of distribution and most others.
const API_VERSION: &str = "docker-distribution-api-version";
/// Longest version that is returned, in bytes.
const MAX_VERSION: usize = 64;

/// A registry that answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ping {
    /// Login of the answered request.
    pub login: PingLogin,
    /// Kind of login that the registry asks for; `None` if it asks for none.
    pub scheme: Option<LoginScheme>,
    /// The `Docker-Distribution-Api-Version` of the answer (`registry/2.0`), which not every registry states.
    pub api_version: Option<String>,
}

/// Login of a request that a registry answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PingLogin {
    /// The registry answers everybody. A registry with tokens granted one without a login.
    NotRequired,
    /// The registry accepted the login that is configured for it.
    Accepted,
    /// The registry asks for a login, and none is configured for it. Some of its repositories may be public.
    Missing,
}

impl Client {
    /// Asks the registry whether it is one, and whether it accepts the login that is configured for it as a whole. One
    /// request if no login is needed or the challenge is known already.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthorized`] if the login is refused, [`ErrorKind::Protocol`] if the host does not answer like a
    /// registry, or else the error of the connection.
    pub async fn ping(&self) -> Result<Ping, Error> {
        let registry = self.registry();
        let request = RequestSpec::new(
            Method::GET,
            registry,
            ScopeSet::default(),
            "",
            format!("ping {registry}"),
        );
        let context = self.request_context(registry).await?;
        let is_anonymous = context.access.credential == Credential::Anonymous;
        let answered = self.outcome(&request, |status| status.is_success()).await;
        let scheme = self.inner.auth.login_scheme(&context.endpoint);
        match answered {
            Ok(CallOutcome::Answer(response)) => {
                let login = if is_anonymous || scheme.is_none() {
                    PingLogin::NotRequired
                } else {
                    PingLogin::Accepted
                };
                let api_version = self.accept_base(&request, response).await?;
                Ok(Ping {
                    login,
                    scheme,
                    api_version,
                })
            }
            Ok(CallOutcome::Refused(error)) | Err(error) => {
                let is_missing = is_anonymous && error.cause() == Cause::NoLogin;
                if is_missing && scheme.is_some() {
                    return Ok(Ping {
                        login: PingLogin::Missing,
                        scheme,
                        api_version: None,
                    });
                }
                match error.status() {
                    Some(status) if error.lacks_registry_signs() => {
                        Err(not_a_registry(error, status))
                    }
                    _ => Err(error),
                }
            }
        }
    }

    /// Checks a success, and returns the version that it states.
    async fn accept_base(
        &self,
        request: &RequestSpec,
        response: Response,
    ) -> Result<Option<String>, Error> {
        let Response {
            status,
            headers,
            body,
            ..
        } = response;
        body.drain().await;
        if is_no_registry(status, &headers) {
            let error = request.error(ErrorKind::Protocol, "").with_status(status);
            return Err(not_a_registry(error, status));
        }
        self.inner.capabilities.record_registry();
        Ok(api_version(&headers))
    }
}

fn api_version(headers: &HeaderMap) -> Option<String> {
    let version = headers.get(API_VERSION)?.to_str().ok()?.trim();
    (!version.is_empty() && version.len() <= MAX_VERSION).then(|| version.to_owned())
}
