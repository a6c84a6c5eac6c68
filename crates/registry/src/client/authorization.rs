//! Authorization of requests, and the answers that are about it.

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::auth::{Authorization, LoginScheme, MAX_AGAIN, ProbeGuard, UnauthorizedAction};
use crate::client::Client;
use crate::client::call_outcome::CallOutcome;
use crate::client::checked_url::CheckedUrl;
use crate::client::redirect_targets::TargetRequest;
use crate::client::request::RequestSpec;
use crate::client::request_context::RequestContext;
use crate::error::{Cause, Error};
use crate::transport::Response;

/// Authorization of one request.
pub(super) struct RequestAuth {
    /// `None` for other hosts and for registries that require none.
    authorization: Option<Authorization>,
    /// The request as it is sent to a registry that this one redirected to.
    pub(super) target: Option<Box<TargetRequest>>,
    /// Held until the answer is known; requests that wait for the first challenge wait for it. `None` for other hosts.
    turn: Option<ProbeGuard>,
}

/// Permission to send a request, or a refusal.
pub(super) enum Admission {
    Pass(RequestAuth),
    /// An earlier request was refused permanently, so this one would be as well.
    Refused(Error),
}

impl RequestAuth {
    /// Returns the value of `Authorization`.
    pub(super) fn header(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref().map(Authorization::header)
    }
}

impl Client {
    /// Returns whether an answer to a request without a login may hide something: some registries ask for a login only
    /// at `/v2/`, and answer 404 or 403 elsewhere.
    pub(super) fn may_be_hidden(
        &self,
        context: &RequestContext,
        address: &CheckedUrl,
        used: Option<&HeaderValue>,
        response: &Response,
    ) -> bool {
        used.is_none()
            && address.home
            && matches!(
                response.status,
                StatusCode::NOT_FOUND | StatusCode::FORBIDDEN
            )
            && self
                .inner
                .auth
                .may_ask_for_login(&context.endpoint, &context.access)
    }

    /// Returns the authorization of a request. Waits for a token, and for another request that learns the challenge.
    /// A login that is refused is renewed once.
    pub(super) async fn pass_for(
        &self,
        context: &mut RequestContext,
        request: &RequestSpec,
    ) -> Result<RequestAuth, Error> {
        match Box::pin(self.pass_once(context, request)).await {
            Err(error) if error.cause() == Cause::LoginRefused && self.renew(context).await? => {
                Box::pin(self.pass_once(context, request)).await
            }
            outcome => outcome,
        }
    }

    async fn pass_once(
        &self,
        context: &RequestContext,
        request: &RequestSpec,
    ) -> Result<RequestAuth, Error> {
        let base = self.base(context, &request.action).await?;
        let mut address = request.address(&base)?;
        let target = self.target_request(context, request, &mut address).await?;
        let admission = match &target {
            Some(target) => {
                let TargetRequest {
                    client,
                    context,
                    request,
                } = &**target;
                Box::pin(client.pass(context, request, &address)).await?
            }
            None => self.pass(context, request, &address).await?,
        };
        match admission {
            Admission::Pass(pass) => Ok(RequestAuth { target, ..pass }),
            Admission::Refused(error) => Err(error),
        }
    }

    /// Returns whether the token covers all scopes of `request`, as far as the token server says.
    pub(super) async fn may(&self, request: &RequestSpec) -> Result<bool, Error> {
        let context = self.request_context(&request.resource).await?;
        let auth = &self.inner.auth;
        Ok(auth.grants(&context.endpoint, &context.access, &request.scopes))
    }

    pub(super) async fn pass(
        &self,
        context: &RequestContext,
        request: &RequestSpec,
        address: &CheckedUrl,
    ) -> Result<Admission, Error> {
        let auth = &self.inner.auth;
        if !address.home {
            return Ok(Admission::Pass(RequestAuth {
                authorization: None,
                target: None,
                turn: None,
            }));
        }
        let turn = match auth
            .wait_for_challenge(&context.endpoint, &context.access, &request.method)
            .await
        {
            Ok(turn) => turn,
            Err(error) => {
                let error = error.shared_with(&request.action);
                return Ok(Admission::Refused(error.with_resource(&request.resource)));
            }
        };
        Ok(Admission::Pass(RequestAuth {
            authorization: auth
                .authorize(&context.endpoint, &context.access, &request.scopes)
                .await
                .map_err(|error| error.with_resource(&request.resource))?,
            target: None,
            turn: Some(turn),
        }))
    }

    /// Returns `false` for a 401 of the registry itself, and reports other answers to the authenticator. An answer from
    /// storage elsewhere says nothing about the token, and neither does a gateway that cannot reach the registry.
    pub(super) fn is_authorized(
        &self,
        context: &RequestContext,
        request: &RequestSpec,
        address: &CheckedUrl,
        pass: &RequestAuth,
        response: &Response,
    ) -> bool {
        if !address.home {
            return true;
        }
        let own = response.url.origin() == address.url.origin();
        if own && response.status == StatusCode::UNAUTHORIZED {
            return false;
        }
        if !is_transient_answer(response.status) {
            self.inner.auth.accepted(
                &context.endpoint,
                &context.access,
                &request.scopes,
                &request.method,
                pass.authorization.as_ref(),
            );
            if let Some(turn) = &pass.turn {
                turn.record_success();
            }
        }
        true
    }

    /// Handles the `again`th 401 of a request. Returns `None` if the request is worth sending again, and the error
    /// otherwise.
    pub(super) async fn refused(
        &self,
        context: &mut RequestContext,
        request: &RequestSpec,
        used: Option<&HeaderValue>,
        response: Response,
        again: u32,
    ) -> Result<Option<Error>, Error> {
        let headers = response.headers.clone();
        // Read first: the answer holds a permit of the host that the authenticator may send a request to.
        let told = request.failure(response).await;
        let auth = &self.inner.auth;
        let (endpoint, sent) = (&context.endpoint, (&request.method, used));
        let verdict = auth
            .refused(endpoint, &context.access, &request.scopes, sent, &headers)
            .await?;
        let is_proven = matches!(verdict, UnauthorizedAction::Passing { .. });
        let (refusal, passes) = match verdict {
            UnauthorizedAction::Again if again <= MAX_AGAIN => return Ok(None),
            // The answer does not say that the login is the reason.
            UnauthorizedAction::Again => return Ok(Some(told.with_cause(Cause::Other))),
            UnauthorizedAction::Final(refusal) => (refusal, false),
            UnauthorizedAction::Passing { refusal, is_known } => {
                let passes = told.may_pass(
                    context.tries + again - 1,
                    self.inner.retry.retries,
                    is_known,
                );
                (refusal, passes)
            }
        };
        // Harbor checks the project before rights; Alibaba Cloud refuses types as if rights were missing.
        let is_about_more = matches!(
            told.cause(),
            Cause::ProjectMissing | Cause::MediaTypeRefused
        );
        let error = if is_about_more {
            told
        } else {
            told.with_clause(&refusal.clause).with_cause(refusal.cause)
        };
        let is_doubtful = is_proven || names_harbor(&headers);
        let error = if request.method == Method::HEAD && used.is_some() && is_doubtful {
            error.without_reason()
        } else {
            error
        };
        auth.login_failed(endpoint, &context.access, &request.method, used, &error);
        if passes {
            return Err(error.passing());
        }
        if self.renew(context).await? {
            return Ok(None);
        }
        Ok(Some(error))
    }

    /// Returns `error`, or a better one if it is the refusal of a login to a HEAD, whose answer has no body: Harbor
    /// answers 401 for a project that does not exist as well, and says so only to a GET. That is sent if the host
    /// accepted the login before, or if Harbor accepts the login alone.
    pub(super) async fn with_reason(&self, request: &RequestSpec, error: Error) -> Error {
        if error.cause() != Cause::LoginRefused || !error.lacks_reason() || request.once {
            return error;
        }
        let Ok(mut context) = self.request_context(&request.resource).await else {
            return error;
        };
        if self.inner.auth.login_scheme(&context.endpoint) != Some(LoginScheme::Basic) {
            return error;
        }
        let get = request.clone().method(Method::GET);
        match Box::pin(self.once(&mut context, &get)).await {
            Ok(CallOutcome::Refused(reason)) | Err(reason)
                if reason.cause() == Cause::ProjectMissing =>
            {
                reason
            }
            _ => error,
        }
    }

    /// Replaces a refused credential by a newer one. Happens once.
    pub(super) async fn renew(&self, context: &mut RequestContext) -> Result<bool, Error> {
        if context.renewed {
            return Ok(false);
        }
        context.renewed = true;
        let newer = self
            .inner
            .keychain
            .renewed_for(&context.resource, &context.access)
            .await?;
        Ok(match newer {
            Some(access) => {
                context.access = access;
                true
            }
            None => false,
        })
    }
}

/// Returns whether the challenge of an answer is Harbor's.
fn names_harbor(headers: &HeaderMap) -> bool {
    let mut challenges = headers.get_all(WWW_AUTHENTICATE).iter();
    challenges.any(|value| {
        value
            .to_str()
            .is_ok_and(|text| text.to_ascii_lowercase().contains("realm=\"harbor\""))
    })
}

/// Returns whether an answer is not about the request, so that the server may not have checked the credential.
fn is_transient_answer(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502..)
}
