//! Rights of clients: bearer tokens, logins of the page, and clients without either.
//!
//! Without tokens, a service that only this machine reaches allows everything, and one at another address nothing but
//! its health and metrics; with `anonymous: read` it may be read. Browsers send requests of foreign pages with the
//! cookies of this one, and reach this machine for foreign pages, so requests without a bearer token are checked for
//! the page that they come from.

mod browser;
mod logins;
mod throttle;
mod tokens;

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, AUTHORIZATION, COOKIE};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use image_syncer_sync::config::{ServiceConfig, TokenScope};

use crate::service::http::Reporter;
use crate::service::http::connection::Connection;
use crate::service::http::problem::Problem;

use logins::Logins;
pub(crate) use logins::{COOKIE_NAME, LOGIN_TIME, LoginId};
use throttle::Throttle;
use tokens::{TokenDigest, Tokens};

/// Rights of clients.
pub(crate) struct Access {
    tokens: Tokens,
    logins: Logins,
    failures: Throttle,
    reporter: Reporter,
}

/// Client of a request: an extension of the requests of guarded routes.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// Name of its token; `None` without one.
    pub(crate) name: Option<Arc<str>>,
    /// Its rights.
    pub(crate) scope: TokenScope,
    /// True if a cookie has the login.
    pub(crate) has_cookie: bool,
    /// True if there are tokens, so that it could log in.
    pub(crate) can_log_in: bool,
}

impl Access {
    /// Looks up the tokens.
    ///
    /// # Errors
    /// A sentence, if one cannot be read.
    pub(crate) fn new(
        config: &ServiceConfig,
        environment: impl Fn(&str) -> Option<String>,
        reporter: Reporter,
    ) -> Result<Self, String> {
        Ok(Self {
            tokens: Tokens::new(config, environment, reporter.clone())?,
            logins: Logins::default(),
            failures: Throttle::default(),
            reporter,
        })
    }

    /// Returns the client of a request, if it has the right `scope`.
    async fn admit(
        &self,
        connection: &Connection,
        request: &RequestHead,
        scope: TokenScope,
    ) -> Result<Client, Problem> {
        let headers = &request.headers;
        let client = self.client(connection, headers).await?;
        if client.scope < scope {
            let detail = match &client.name {
                Some(name) => {
                    format!("the token `{name}` may only read. Give it `scope: sync` in the files.")
                }
                None if self.tokens.is_empty() => NO_TOKENS.to_owned(),
                None => {
                    return Err(unauthorized("this needs a token with the scope `sync`"));
                }
            };
            return Err(Problem::forbidden(detail));
        }
        if request.is_write() && !headers.contains_key(AUTHORIZATION) {
            browser::same_origin(headers)?;
            if client.has_cookie || !request.is_api() {
                browser::from_own_page(headers, request.is_api())?;
            }
        }
        Ok(client)
    }

    async fn client(
        &self,
        connection: &Connection,
        headers: &HeaderMap,
    ) -> Result<Client, Problem> {
        if headers.contains_key(AUTHORIZATION) {
            let token = bearer(headers);
            let token = token.ok_or_else(|| {
                unauthorized("the header Authorization is invalid. Send `Bearer TOKEN` in it.")
            })?;
            return self.verified(connection.peer.ip(), token).await;
        }
        if let Some(client) = self.logged_in(headers).await {
            return Ok(client);
        }
        let anonymous = |scope| Client {
            name: None,
            scope,
            has_cookie: false,
            can_log_in: !self.tokens.is_empty(),
        };
        if connection.is_local() && (self.tokens.is_empty() || self.tokens.allows_reads()) {
            if !connection.is_named(headers) {
                return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, FOREIGN_HOST));
            }
            if self.tokens.is_empty() {
                return Ok(anonymous(TokenScope::Sync));
            }
        }
        if self.tokens.allows_reads() {
            return Ok(anonymous(TokenScope::Read));
        }
        if self.tokens.is_empty() {
            return Err(Problem::forbidden(NO_TOKENS));
        }
        Err(unauthorized(
            "there is no token. Send one of `service.tokens` in the header `Authorization: Bearer TOKEN`, or log in.",
        ))
    }

    /// Returns the client with this token. Attempts are limited for each address.
    pub(crate) async fn verified(&self, peer: IpAddr, token: &str) -> Result<Client, Problem> {
        self.failures.permit(peer)?;
        let found = self.tokens.find(&TokenDigest::new(token)).await;
        let Some((name, scope)) = found else {
            self.failures.add(peer);
            let text = format!("a client at {peer} sent an unknown token");
            self.reporter.warn(&text);
            return Err(unauthorized(
                "the token is unknown. Tokens are in `service.tokens` in the files.",
            ));
        };
        Ok(Client {
            name: Some(name),
            scope,
            has_cookie: false,
            can_log_in: true,
        })
    }

    /// Starts a login with a token that was verified.
    pub(crate) fn log_in(&self, client: &Client, token: &str) -> Option<LoginId> {
        let name = client.name.clone()?;
        self.logins.start(name, TokenDigest::new(token))
    }

    /// Ends the login of a request.
    pub(crate) fn log_out(&self, headers: &HeaderMap) {
        if let Some(id) = login_id(headers) {
            self.logins.end(id);
        }
    }

    async fn logged_in(&self, headers: &HeaderMap) -> Option<Client> {
        let (name, digest) = self.logins.find(login_id(headers)?)?;
        // The token may have been replaced since.
        let (current, scope) = self.tokens.find(&digest).await?;
        (current == name).then_some(Client {
            name: Some(name),
            scope,
            has_cookie: true,
            can_log_in: true,
        })
    }
}

const NO_TOKENS: &str =
    "no tokens are configured. Write `service.tokens` in the files, or listen at 127.0.0.1 only.";
const FOREIGN_HOST: &str = "the header Host names another machine, and no tokens are configured. Open the page at \
                            localhost or its address, or write `service.tokens` in the files.";

fn unauthorized(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, detail)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn login_id(headers: &HeaderMap) -> Option<&str> {
    let values = headers.get_all(COOKIE).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let mut pairs = texts.flat_map(|text| text.split(';'));
    pairs.find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE_NAME).then_some(value)
    })
}

/// Parts of a request that rights depend on.
struct RequestHead {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl RequestHead {
    fn is_write(&self) -> bool {
        !matches!(self.method, Method::GET | Method::HEAD)
    }

    fn is_api(&self) -> bool {
        self.uri.path().starts_with("/api/")
    }

    /// Returns true if a browser opens a page.
    fn opens_page(&self) -> bool {
        self.method == Method::GET && !self.is_api() && accepts_pages(&self.headers)
    }
}

/// Right that a route needs.
#[derive(Clone)]
pub(crate) struct Guard {
    access: Arc<Access>,
    /// The scope; `None` for the one that the method of the request needs.
    scope: Option<TokenScope>,
}

impl Guard {
    /// Creates the guard of routes that need `scope`.
    pub(crate) fn new(access: &Arc<Access>, scope: TokenScope) -> Self {
        Self {
            access: Arc::clone(access),
            scope: Some(scope),
        }
    }

    /// Creates the guard of routes that read with GET and write with other methods.
    pub(crate) fn by_method(access: &Arc<Access>) -> Self {
        Self {
            access: Arc::clone(access),
            scope: None,
        }
    }
}

/// Middleware of guarded routes. A browser that opens a page without a login is sent to the login.
pub(crate) async fn check(
    State(guard): State<Guard>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(connection) = request.extensions().get::<Connection>().copied() else {
        return Problem::forbidden("the connection of the request is unknown").into_response();
    };
    let head = RequestHead {
        method: request.method().clone(),
        uri: request.uri().clone(),
        headers: request.headers().clone(),
    };
    let scope = guard.scope.unwrap_or(if head.is_write() {
        TokenScope::Sync
    } else {
        TokenScope::Read
    });
    match guard.access.admit(&connection, &head, scope).await {
        Ok(client) => {
            request.extensions_mut().insert(client);
            next.run(request).await
        }
        Err(problem) if problem.status() == StatusCode::UNAUTHORIZED && head.opens_page() => {
            Redirect::to(&browser::login_path(&head.uri)).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

/// Returns true for requests of a browser for a page.
pub(crate) fn accepts_pages(headers: &HeaderMap) -> bool {
    let value = headers.get(ACCEPT);
    let text = value.and_then(|value| value.to_str().ok());
    text.is_some_and(|text| text.contains("text/html"))
}

/// Refuses a request that a foreign page sent.
pub(crate) fn same_origin(headers: &HeaderMap) -> Result<(), Problem> {
    browser::same_origin(headers)
}
