//! Logins of the APIs of vendors.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};

use crate::auth::{Credential, Secret, basic, bearer, describe_login};
use crate::client::{ApiAccess, Client};
use crate::error::{Error, ErrorKind};
use crate::listing::LoginForm;
use crate::transport::{Attempts, RequestBody};

/// Maximum number of bytes of a token answer.
const MAX_TOKEN_BYTES: u64 = 1024 * 1024;

impl Client {
    /// Drops the login if the API at another host refuses that of the registry: public lists need none.
    pub(super) fn may_drop_login(&self, access: &mut ApiAccess, error: &Error) -> bool {
        let is_of_registry = access.entry.is_none();
        let host = &access.endpoint.registry;
        if !is_of_registry
            || *host == self.inner.registry
            || error.kind() != ErrorKind::Unauthorized
        {
            return false;
        }
        let login = &mut access.login;
        if login.credential == Credential::Anonymous {
            return false;
        }
        self.inner.listing.login_refused(&login.credential, error);
        login.origin = format!(
            "{host} refuses the login of {}, {}",
            self.inner.registry,
            describe_login(login)
        );
        login.credential = Credential::Anonymous;
        true
    }

    /// Replaces a refused token or login by a newer one. Happens once.
    pub(super) async fn renew_api_login(
        &self,
        access: &mut ApiAccess,
        used: Option<&HeaderValue>,
    ) -> Result<bool, Error> {
        if access.is_renewed || used.is_none() {
            return Ok(false);
        }
        access.is_renewed = true;
        if matches!(access.api.login_form(), LoginForm::Exchange(_))
            && self.inner.listing.forget_token(&access.login.credential)
        {
            return Ok(true);
        }
        let (keychain, login) = (&self.inner.keychain, &access.login);
        let newer = match &access.entry {
            Some(entry) => keychain.renewed_with(entry.clone(), login).await?,
            None => keychain.renewed_for(&access.resource, login).await?,
        };
        let is_newer = newer.is_some();
        access.login = newer.unwrap_or_else(|| access.login.clone());
        Ok(is_newer)
    }

    /// Returns the `Authorization` header of a request to the API.
    pub(super) async fn api_authorization(
        &self,
        access: &ApiAccess,
        action: &Arc<str>,
    ) -> Result<Option<HeaderValue>, Error> {
        Ok(match (&access.login.credential, access.api.login_form()) {
            (Credential::Anonymous | Credential::GoogleServiceAccount(_), _) => None,
            // The token of a registry's token server is for that server.
            (Credential::Identity(_), _) if access.entry.is_none() => None,
            (Credential::Bearer(token) | Credential::Identity(token), _) => bearer(token.reveal()),
            (Credential::Basic { username, password }, LoginForm::Basic) => {
                basic(username, password)
            }
            (Credential::Basic { password, .. }, LoginForm::Bearer) => bearer(password.reveal()),
            (Credential::Basic { username, password }, LoginForm::Exchange(path)) => {
                let fetch = self.exchange(access, path, (username, password), action);
                let token = self
                    .inner
                    .listing
                    .token(&access.login.credential, Box::pin(fetch))
                    .await?;
                bearer(token.reveal())
            }
        })
    }

    /// Gets a token for a login: `{"identifier", "secret"}` is answered with `{"access_token"}`.
    async fn exchange(
        &self,
        access: &ApiAccess,
        path: &str,
        (username, password): (&str, &Secret),
        action: &Arc<str>,
    ) -> Result<Secret, Error> {
        let url = access.url(path, action)?;
        let body = serde_json::json!({"identifier": username, "secret": password.reveal()});
        let body = Bytes::from(body.to_string());
        let transport = &self.inner.transport;
        // An answer may repeat it.
        transport.learn_password(password);
        let mut attempts = Attempts::new(transport, &access.endpoint, access.retry)
            .with_resource(&access.resource);
        let mut tries = 1;
        loop {
            let read = async {
                let mut call = access.call(Method::POST, url.clone(), action, tries);
                call.headers
                    .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                call.body = RequestBody::Bytes(body.clone());
                call.follow_redirects = false;
                let response = transport.send(call).await?;
                if response.status != StatusCode::OK {
                    return Err(access.failure(action, response).await);
                }
                response.body.bytes(MAX_TOKEN_BYTES).await
            };
            match read.await {
                Ok(bytes) => return access.token_in(&bytes, action),
                Err(error) => tries = attempts.after(error).await?,
            }
        }
    }
}

impl ApiAccess {
    fn token_in(&self, bytes: &[u8], action: &str) -> Result<Secret, Error> {
        #[derive(serde::Deserialize)]
        struct Reply {
            access_token: String,
        }
        let reply: Reply = serde_json::from_slice(bytes).map_err(|_| {
            let message = format!("{} answered a login without a token", self.api.name());
            self.error(ErrorKind::Protocol, action, message)
        })?;
        Ok(Secret::new(reply.access_token))
    }
}
