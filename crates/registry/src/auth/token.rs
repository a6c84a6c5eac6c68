//! Token requests (docs/protocol.md#tokens).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::auth::grant;
use crate::auth::logins::Checked;
use crate::auth::scopes::Scopes;
use crate::auth::secret::Secret;
use crate::auth::token_cache::Token;
use crate::error::{Cause, Error, ErrorKind};
use crate::transport::{
    AnswerLimit, Attempts, Call, Endpoint, Lane, RequestBody, Response, RetryPolicy, Transport,
    authority,
};

/// Maximum size of a token server's answer, in bytes.
const MAX_REPLY: u64 = 128 * 1024;
/// Minimum and maximum lifetime. A missing or shorter one counts as the minimum (the distribution project's rule).
pub(super) const MIN_LIFE: Duration = Duration::from_secs(60);
pub(super) const MAX_LIFE: Duration = Duration::from_secs(24 * 3600);
/// Client name for `OAuth2` servers.
const CLIENT_ID: &str = "image-syncer";

/// Login for a token server.
#[derive(Clone, Debug)]
pub(super) enum TokenLogin {
    /// No login.
    Nobody,
    /// User and password.
    Password {
        /// User name.
        username: String,
        /// Password.
        password: Secret,
    },
    /// Identity token.
    Identity(Secret),
}

impl TokenLogin {
    /// Describes the login without the secret.
    fn user_name(&self) -> String {
        match self {
            Self::Nobody => "for anybody".to_owned(),
            Self::Password { username, .. } => format!("as {username}"),
            Self::Identity(_) => "by identity token".to_owned(),
        }
    }
}

/// Realm and service of a token server, as the challenge names them.
pub(super) struct TokenSource {
    pub(super) realm: String,
    pub(super) service: Option<String>,
}

/// A token server of one registry.
pub(super) struct TokenServer<'a> {
    /// Transport of the requests.
    pub(super) transport: &'a Arc<Transport>,
    /// Retry policy.
    pub(super) retry: RetryPolicy,
    /// Registry that the tokens are for.
    pub(super) endpoint: &'a Endpoint,
    /// Address, checked by [`crate::auth::realm`].
    pub(super) realm: Url,
    /// Service that the tokens are for.
    pub(super) service: Option<&'a str>,
}

impl TokenServer<'_> {
    /// Requests a token for `wanted`. Transient failures are retried; a refusal keeps its status. A 401 without a
    /// reason is transient if the login `is_proven`.
    pub(super) async fn token(
        &self,
        login: &TokenLogin,
        wanted: &Scopes,
        is_proven: bool,
    ) -> Result<Token, Error> {
        let action: Arc<str> = wanted.action().into();
        let mut attempts = Attempts::new(self.transport, self.endpoint, self.retry);
        let mut tries = 1;
        loop {
            let requested_at = Instant::now();
            let outcome = match self
                .transport
                .send(self.call(&action, login, wanted, tries))
                .await
            {
                Ok(response) => self.read(&action, response).await,
                Err(error) => Err(error),
            };
            match outcome {
                Ok(answer) => {
                    tracing::debug!(
                        host = self.host(),
                        "got a token for {wanted}, {}, good for {} s",
                        login.user_name(),
                        answer.life.as_secs()
                    );
                    let token =
                        Token::new(answer.header, wanted.clone(), requested_at, answer.life);
                    return Ok(token.with_granted(answer.named));
                }
                Err(error) => {
                    let may_pass = is_proven
                        && wanted.repositories() <= 1
                        && error.status() == Some(StatusCode::UNAUTHORIZED)
                        && error.may_pass(tries, self.retry.retries, false);
                    let error = if may_pass { error.passing() } else { error };
                    tries = attempts.after(error).await?;
                }
            }
        }
    }
    /// Checks the login alone, as `docker login` does, with a token request without scopes.
    pub(super) async fn check(&self, login: &TokenLogin) -> Checked {
        let action: Arc<str> = "check the login".into();
        let call = self.call(&action, login, &Scopes::default(), 1);
        let Ok(response) = self.transport.send(call).await else {
            return Checked::Unclear;
        };
        let status = response.status;
        response.body.drain().await;
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Checked::Refused,
            status if status.is_success() => Checked::Accepted,
            _ => Checked::Unclear,
        }
    }
    fn call(&self, action: &Arc<str>, login: &TokenLogin, wanted: &Scopes, tries: u32) -> Call {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let mut url = self.realm.clone();
        let (method, body) = if let TokenLogin::Identity(token) = login {
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            headers.insert(CONTENT_TYPE, form);
            (Method::POST, RequestBody::Bytes(self.form(token, wanted)))
        } else {
            self.query(&mut url, login, wanted);
            if let TokenLogin::Password { username, password } = login
                && let Some(header) = basic(username, password)
            {
                headers.insert(AUTHORIZATION, header);
            }
            (Method::GET, RequestBody::Empty)
        };
        Call {
            action: action.clone(),
            endpoint: self.endpoint.clone(),
            follow_redirects: method == Method::GET,
            method,
            url,
            headers,
            body,
            lane: Lane::Calls,
            public_only: false,
            answer: AnswerLimit::Normal,
            weight: 0,
            tries,
            guard: None,
        }
    }
    /// Adds one `scope` parameter per scope to the query of the realm.
    fn query(&self, url: &mut Url, login: &TokenLogin, wanted: &Scopes) {
        let mut pairs = url.query_pairs_mut();
        if let Some(service) = self.service {
            pairs.append_pair("service", service);
        }
        for scope in wanted.texts() {
            pairs.append_pair("scope", &scope);
        }
        if let TokenLogin::Password { username, .. } = login {
            pairs.append_pair("account", username);
        }
    }
    /// Builds the refresh-token grant of `OAuth2`, with all scopes in one parameter.
    fn form(&self, token: &Secret, wanted: &Scopes) -> Bytes {
        let scopes: Vec<String> = wanted.texts().collect();
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token")
            .append_pair("refresh_token", token.reveal())
            .append_pair("client_id", CLIENT_ID);
        if let Some(service) = self.service {
            form.append_pair("service", service);
        }
        if !scopes.is_empty() {
            form.append_pair("scope", &scopes.join(" "));
        }
        form.finish().into()
    }
    async fn read(&self, action: &str, response: Response) -> Result<IssuedToken, Error> {
        let status = response.status;
        if !status.is_success() {
            let host = self.host();
            let error = Error::from_answer_of("the token server", action, host, response).await;
            return Err(if error.kind() == ErrorKind::Protocol {
                error.with_cause(Cause::TokenServer)
            } else {
                error
            });
        }
        let body = response.body.bytes(MAX_REPLY).await?;
        let unusable = |why: &str| {
            Error::new(
                ErrorKind::Protocol,
                action,
                self.host(),
                format!("the token server's answer {why}"),
            )
            .with_status(status)
            .with_cause(Cause::TokenServer)
        };
        parse_reply(&body).map_err(unusable)
    }
    /// Returns host and port of the realm for messages.
    fn host(&self) -> &str {
        authority(&self.realm)
    }
}

/// Token in the answer of a token server.
pub(super) struct IssuedToken {
    /// `Authorization` header with the token.
    pub(super) header: HeaderValue,
    /// Lifetime.
    pub(super) life: Duration,
    /// Scopes that it grants, if they are readable.
    named: Option<Scopes>,
}

/// Parses the answer of a token server. The error is a clause without any of the content.
pub(super) fn parse_reply(body: &[u8]) -> Result<IssuedToken, &'static str> {
    let reply: TokenReply =
        serde_json::from_slice(body).map_err(|_| match body.trim_ascii_start().first() {
            Some(b'<') => "is a web page and not a JSON document with a token",
            _ => "is not a JSON document with a token",
        })?;
    let token = reply.token().ok_or("holds no token")?;
    Ok(IssuedToken {
        header: bearer(token).ok_or("holds a token that no header can carry")?,
        life: reply.lifetime(),
        named: grant::read(token, reply.scope.as_ref().and_then(Value::as_str)),
    })
}

/// Answer of a token server. Fields of a wrong type count as absent.
#[derive(Deserialize)]
struct TokenReply {
    token: Option<Value>,
    access_token: Option<Value>,
    expires_in: Option<Value>,
    scope: Option<Value>,
}

impl TokenReply {
    fn token(&self) -> Option<&str> {
        [&self.token, &self.access_token]
            .into_iter()
            .filter_map(|token| token.as_ref()?.as_str())
            .find(|token| !token.is_empty())
    }
    fn lifetime(&self) -> Duration {
        let seconds = match &self.expires_in {
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            _ => None,
        };
        seconds
            .filter(|seconds| !seconds.is_nan())
            .and_then(|seconds| {
                Duration::try_from_secs_f64(seconds.min(MAX_LIFE.as_secs_f64())).ok()
            })
            .unwrap_or(MIN_LIFE)
            .max(MIN_LIFE)
    }
}

/// Returns a `Bearer …` header that is marked as sensitive.
pub(crate) fn bearer(token: &str) -> Option<HeaderValue> {
    sensitive(&format!("Bearer {token}"))
}

/// Returns a `Basic …` header that is marked as sensitive.
pub(crate) fn basic(username: &str, password: &Secret) -> Option<HeaderValue> {
    sensitive(&format!(
        "Basic {}",
        STANDARD.encode(format!("{username}:{}", password.reveal()))
    ))
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(text).ok()?;
    header.set_sensitive(true);
    Some(header)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn named(reply: &str) -> Option<String> {
        let scope = parse_reply(reply.as_bytes()).unwrap().named;
        scope.map(|scope| scope.to_string())
    }

    #[test]
    fn what_a_token_is_good_for_is_known_where_repositories_are_named() {
        let both = "repository:a:pull,push repository:b:pull";
        let reply = |scope: &str| format!(r#"{{"token":"t","scope":{scope}}}"#);
        assert_eq!(named(&reply(&format!("\"{both}\""))).as_deref(), Some(both));
        for scope in ["null", "7", r#""""#, r#""aws""#] {
            assert_eq!(named(&reply(scope)), None, "{scope}");
        }
        assert_eq!(named(r#"{"token":"t"}"#), None);
    }
}
