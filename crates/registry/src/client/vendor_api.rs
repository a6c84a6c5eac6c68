//! Requests to the API of a vendor, at the registry's host or at another one (docs/protocol.md#listings).
//!
//! The host of the API has its own limits, pauses and connections. A login is sent to that host alone.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use url::Url;

use crate::auth::{Access, Credential, KeychainEntry, LoginChoice, ScopeSet, describe_login};
use crate::client::request::RequestSpec;
use crate::client::{Client, checked_url};
use crate::error::{Cause, Error, ErrorKind};
use crate::listing::{ApiAnswer, ListingMemory, ListingSettings, VendorApi};
use crate::reference::{Registry, Repository, Resource};
use crate::transport::{
    AnswerLimit, Attempts, Call, Endpoint, Lane, RequestBody, Response, RetryPolicy, authority,
};

/// Service that the tokens of every Harbor are for.
const HARBOR_SERVICE: &str = "harbor-registry";

/// Maximum number of retries of a request that another one can replace, and the longest wait for it.
const MAX_OPTIONAL_RETRIES: u32 = 2;
const MAX_OPTIONAL_WAIT: Duration = Duration::from_secs(10);

/// Access to the API of a vendor.
#[derive(Clone)]
pub(crate) struct ApiAccess {
    pub(crate) api: Arc<dyn VendorApi>,
    /// Registry or repository that the list belongs to, for credentials and errors.
    pub(crate) resource: Resource,
    pub(crate) endpoint: Endpoint,
    /// Base URL of the API, ending in `/`.
    pub(crate) base: Url,
    /// Login for the API.
    pub(super) login: Access,
    /// Entry of the login, if it is not that of the registry.
    pub(super) entry: Option<KeychainEntry>,
    /// True if a newer login or token was requested already.
    pub(super) is_renewed: bool,
    pub(super) retry: RetryPolicy,
}

/// Answer with the address that it came from.
pub(crate) struct FetchedPage {
    pub(crate) status: StatusCode,
    pub(crate) url: Url,
    pub(crate) answer: ApiAnswer,
}

impl Client {
    /// Returns the memory of lists.
    pub(crate) fn listing_memory(&self) -> &ListingMemory {
        &self.inner.listing
    }

    /// Returns the settings of lists for `resource`.
    pub(crate) fn listing_settings(&self, path: &str) -> ListingSettings {
        self.inner.listings.settings(&self.inner.registry, path)
    }

    /// Returns whether the registry's challenge is that of Harbor; `None` if no challenge with a service is known.
    pub(crate) async fn has_harbor_challenge(&self, resource: &Resource) -> Option<bool> {
        let context = self.request_context(resource).await.ok()?;
        let service = self.inner.auth.token_service(&context.endpoint)?;
        Some(service == HARBOR_SERVICE)
    }

    /// Determines the address and the login of an API.
    pub(crate) async fn api_access(
        &self,
        api: Arc<dyn VendorApi>,
        settings: &ListingSettings,
        resource: &Resource,
        action: &str,
    ) -> Result<ApiAccess, Error> {
        let context = self.request_context(resource).await?;
        let registry = &self.inner.registry;
        let given = match (&settings.api, api.base(registry)) {
            (Some(url), _) => Some(with_slash(url.clone())),
            (None, Some(text)) => Url::parse(text).ok(),
            (None, None) => None,
        };
        let (endpoint, base) = if let Some(base) = given {
            let insecure = context.access.insecure;
            (self.api_endpoint(&base, insecure), base)
        } else {
            let base = self.base(&context, action).await?;
            (context.endpoint.clone(), base)
        };
        let choice = match &settings.api_login {
            None if api.accepts_registry_login() => None,
            choice => Some(choice.clone().unwrap_or(LoginChoice::Anonymous)),
        };
        let entry = choice.map(|login| {
            let host = endpoint.registry.as_str();
            let origin = format!("api-login of {registry}");
            KeychainEntry::new(host, login, origin)
        });
        let login = match &entry {
            Some(entry) => self.inner.keychain.access_with(entry.clone()).await?,
            None => context.access,
        };
        Ok(ApiAccess {
            api,
            resource: resource.clone(),
            endpoint,
            base,
            login,
            entry,
            is_renewed: false,
            retry: self.inner.retry,
        })
    }

    /// Returns the host of an API as the network sees it. Plain http is used only if the address says so.
    fn api_endpoint(&self, base: &Url, is_registry_insecure: bool) -> Endpoint {
        let registry = &self.inner.registry;
        let host = Registry::parse(authority(base)).unwrap_or_else(|_| registry.clone());
        let is_insecure = host == *registry && is_registry_insecure;
        let mut endpoint = self.inner.transport.endpoint(&host, is_insecure);
        endpoint.exceptions.plain_http |= base.scheme() == "http";
        endpoint
    }

    /// Sends a GET to the API until it is answered with 200, or with another status that `fits`.
    pub(crate) async fn api_get(
        &self,
        access: &mut ApiAccess,
        url: &Url,
        limit: u64,
        action: &Arc<str>,
        fits: impl Fn(StatusCode) -> bool,
    ) -> Result<FetchedPage, Error> {
        let mut attempts = Attempts::new(&self.inner.transport, &access.endpoint, access.retry)
            .with_resource(&access.resource);
        let mut tries = 1;
        loop {
            let read = async {
                let response = self.api_response(access, url, action, tries, &fits).await?;
                Ok(FetchedPage {
                    status: response.status,
                    url: response.url,
                    answer: ApiAnswer {
                        headers: response.headers,
                        bytes: response.body.bytes(limit).await?,
                    },
                })
            };
            match read.await {
                Ok(page) => return Ok(page),
                Err(error) => tries = attempts.after(error).await?,
            }
        }
    }

    /// Sends a GET to the registry itself, with its tokens, until it is answered with 200 or another status that `fits`.
    pub(crate) async fn registry_page(
        &self,
        repository: &Repository,
        path: &str,
        limit: u64,
        action: &Arc<str>,
        fits: impl Fn(StatusCode) -> bool,
    ) -> Result<FetchedPage, Error> {
        let scopes = ScopeSet::pull(repository);
        let request = RequestSpec::new(Method::GET, repository, scopes, path, Arc::clone(action));
        let whole = self
            .buffered(&request, limit, |status| {
                status == StatusCode::OK || fits(status)
            })
            .await?;
        Ok(FetchedPage {
            status: whole.status,
            url: whole.url,
            answer: ApiAnswer {
                headers: whole.headers,
                bytes: whole.bytes,
            },
        })
    }

    /// Makes one try, and a second one with a newer login after a 401.
    async fn api_response(
        &self,
        access: &mut ApiAccess,
        url: &Url,
        action: &Arc<str>,
        tries: u32,
        fits: impl Fn(StatusCode) -> bool,
    ) -> Result<Response, Error> {
        loop {
            // Until the API accepted a login, requests with it are sent one at a time: hosts lock accounts.
            let memory = &self.inner.listing;
            let _turn = memory.login_turn(&access.login.credential).await;
            if let Some(error) = memory.login_refusal(&access.login.credential) {
                if self.may_drop_login(access, &error) {
                    continue;
                }
                return Err(error.shared_with(action).with_resource(&access.resource));
            }
            let header = match self.api_authorization(access, action).await {
                Err(error) if self.may_drop_login(access, &error) => continue,
                header => header?,
            };
            let mut call = access.call(Method::GET, url.clone(), action, tries);
            if let Some(value) = &header {
                call.headers.insert(AUTHORIZATION, value.clone());
            }
            let response = self.inner.transport.send(call).await?;
            let status = response.status;
            if status != StatusCode::UNAUTHORIZED {
                if header.is_some() && !is_transient(status) {
                    memory.login_accepted(&access.login.credential);
                }
                if status == StatusCode::OK || fits(status) {
                    return Ok(response);
                }
                return Err(access.failure(action, response).await);
            }
            let error = access.failure(action, response).await;
            if self.renew_api_login(access, header.as_ref()).await? {
                continue;
            }
            if header.is_some() {
                memory.login_refused(&access.login.credential, &error);
            }
            if header.is_none() || !self.may_drop_login(access, &error) {
                return Err(error);
            }
        }
    }
}

impl ApiAccess {
    /// Returns the access without a login.
    pub(crate) fn without_login(mut self) -> Self {
        self.login.credential = Credential::Anonymous;
        self
    }

    /// Limits the retries, for lists that can be replaced by another one.
    pub(crate) fn with_few_retries(mut self) -> Self {
        let retry = &mut self.retry;
        retry.retries = retry.retries.min(MAX_OPTIONAL_RETRIES);
        retry.max_retry_after = retry.max_retry_after.min(MAX_OPTIONAL_WAIT);
        self
    }

    /// Returns the address of `path` below the base.
    pub(crate) fn url(&self, path: &str, action: &str) -> Result<Url, Error> {
        self.base.join(path).map_err(|error| {
            let message = format!("{path} makes no URL");
            self.error(ErrorKind::Protocol, action, message)
                .with_source(error)
        })
    }

    /// Returns the address that the answer from `from` names as its next page, if it is at the API's host.
    pub(crate) fn link(&self, from: &Url, text: &str, action: &str) -> Result<Url, Error> {
        let resolved = checked_url::resolve(&self.base, from, text);
        let address = resolved
            .map_err(|why| self.error(ErrorKind::Refused, action, why))
            .map_err(|error| error.with_cause(Cause::NotUnderstood))?;
        if address.home {
            return Ok(address.url);
        }
        let host = authority(&address.url);
        let message = format!(
            "the next page is at {host}, and a list is not followed to another host; set `api` to the address by which \
             {} is reached",
            self.api.name()
        );
        Err(self.error(ErrorKind::Refused, action, message))
    }

    /// Returns whether a login is used.
    pub(crate) fn has_login(&self) -> bool {
        self.login.credential != Credential::Anonymous
    }

    /// Returns an error of this program about a request to the API.
    pub(crate) fn error(&self, kind: ErrorKind, action: &str, message: impl Into<String>) -> Error {
        Error::new(kind, action, authority(&self.base), message).with_resource(&self.resource)
    }

    pub(super) fn call(&self, method: Method, url: Url, action: &Arc<str>, tries: u32) -> Call {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let own = self.api.headers().iter();
        headers.extend(own.map(|(name, value)| {
            let value = HeaderValue::from_static(value);
            (HeaderName::from_static(name), value)
        }));
        Call {
            action: Arc::clone(action),
            endpoint: self.endpoint.clone(),
            method,
            url,
            headers,
            body: RequestBody::Empty,
            lane: Lane::Calls,
            public_only: false,
            answer: AnswerLimit::Normal,
            follow_redirects: true,
            weight: 0,
            tries,
            guard: None,
        }
    }

    /// Returns the error for an answer, with the login and the advice if the answer is about it.
    pub(super) async fn failure(&self, action: &str, response: Response) -> Error {
        let host = authority(&response.url).to_owned();
        let is_limited = is_rate_limit(response.status, &response.headers);
        let error = Error::from_answer_of(self.api.name(), action, &host, response).await;
        let error = error.with_resource(&self.resource);
        if is_limited {
            return error.with_kind(ErrorKind::RateLimited);
        }
        let advice = self.api.login_advice();
        let is_anonymous = self.login.credential == Credential::Anonymous;
        match error.kind() {
            ErrorKind::Unauthorized | ErrorKind::Denied if is_anonymous => {
                // An API with its own login says in its advice how to set one.
                let origin = if self.api.accepts_registry_login() {
                    format!(" ({})", self.login.origin)
                } else {
                    String::new()
                };
                error
                    .with_cause(Cause::NoLogin)
                    .with_clause(&format!("no login is used{origin}: {advice}"))
            }
            ErrorKind::Unauthorized => error.with_cause(Cause::LoginRefused).with_clause(&format!(
                "the login of {} is refused: {advice}",
                describe_login(&self.login)
            )),
            ErrorKind::Denied => error.with_cause(Cause::NoPullRight).with_clause(&format!(
                "the login of {} lacks a right: {advice}",
                describe_login(&self.login)
            )),
            ErrorKind::NotFound => match self.api.missing_advice() {
                Some(advice) => error.with_clause(advice),
                None => error,
            },
            _ => error,
        }
    }
}

fn with_slash(mut url: Url) -> Url {
    // Credentials in an address would be sent as Basic, and shown in messages.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    url
}

/// Returns whether a refusal is about the number of requests: GitHub answers 403.
fn is_rate_limit(status: StatusCode, headers: &HeaderMap) -> bool {
    let remaining = headers.get("x-ratelimit-remaining");
    status == StatusCode::FORBIDDEN && remaining.is_some_and(|left| left == "0")
}

/// Returns whether an answer is not about the request, so that the server may not have checked the credential.
fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500..)
}
