//! A small HTTP client without logic of its own: no redirects, no retries, one connection for each request. For
//! conformance tests, and to push images to real registries.

mod body;
mod exchange;
mod push;
mod walk;

use std::io;
use std::sync::Arc;

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, Method, header};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub use body::Payload;
use body::Sent;
pub use push::push_over_http;
pub use walk::verify_over_http;

/// The client's login.
#[derive(Clone, Default)]
pub enum Login {
    /// Anonymous.
    #[default]
    Nobody,
    /// A user name and a password, sent with every request.
    Basic(String, String),
    /// A token, sent with every request.
    Token(String),
    /// A user name and a password, with which tokens are fetched if a challenge demands one.
    Exchange(String, String),
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct RawResponse {
    /// Status.
    pub status: u16,
    /// Header fields.
    pub headers: HeaderMap,
    /// Body, as far as it was received.
    pub body: Bytes,
    /// False if the connection broke before the end of the body.
    pub complete: bool,
}

impl RawResponse {
    /// Returns a header field; empty if it is missing.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    /// Returns the body as JSON, or null if it is not.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Returns the code of the first error in the body; empty if there is none.
    pub fn error_code(&self) -> String {
        let code = self.json().pointer("/errors/0/code").cloned();
        code.and_then(|code| code.as_str().map(str::to_owned))
            .unwrap_or_default()
    }
}

/// A client for one server.
#[derive(Clone)]
pub struct Client {
    base: String,
    login: Login,
    tls: Option<Arc<ClientConfig>>,
    http2: bool,
}

impl Client {
    /// Returns a client for the server at `base`: `http://host:port`.
    pub fn new(base: impl Into<String>) -> Self {
        Self {
            base: base.into(),
            login: Login::Nobody,
            tls: None,
            http2: false,
        }
    }

    /// Uses HTTP/2, without negotiation over plain connections. Must be called before [`Client::trust`].
    pub fn http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    /// Sets the login.
    pub fn login(mut self, login: Login) -> Self {
        self.login = login;
        self
    }

    /// Trusts servers with certificates of this authority.
    pub fn trust(mut self, ca_pem: &str) -> io::Result<Self> {
        let ca = CertificateDer::from_pem_slice(ca_pem.as_bytes()).map_err(io::Error::other)?;
        let mut roots = RootCertStore::empty();
        roots.add(ca).map_err(io::Error::other)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        if self.http2 {
            config.alpn_protocols.push(b"h2".to_vec());
        }
        self.tls = Some(Arc::new(config));
        Ok(self)
    }

    /// URL of the server.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Sends a GET.
    pub async fn get(&self, url: &str) -> io::Result<RawResponse> {
        self.send(Method::GET, url, &[], Payload::None).await
    }

    /// Sends one request to a path of the server or to a whole URL. With [`Login::Exchange`] a 401 is answered with a
    /// token, once.
    pub async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        payload: Payload,
    ) -> io::Result<RawResponse> {
        let own = match &self.login {
            Login::Nobody | Login::Exchange(..) => None,
            Login::Basic(user, password) => Some(basic(user, password)),
            Login::Token(token) => Some(format!("Bearer {token}")),
        };
        let answer = self
            .once(&method, url, headers, payload.clone(), own.as_deref())
            .await?;
        let Login::Exchange(user, password) = &self.login else {
            return Ok(answer);
        };
        if answer.status != 401 {
            return Ok(answer);
        }
        let token = self.exchange(answer.header("www-authenticate"), user, password);
        let token = Box::pin(token).await?;
        self.once(&method, url, headers, payload, Some(&token))
            .await
    }

    async fn once(
        &self,
        method: &Method,
        url: &str,
        headers: &[(&str, &str)],
        payload: Payload,
        authorization: Option<&str>,
    ) -> io::Result<RawResponse> {
        let url = self.resolve(url);
        let (scheme, rest) = url.split_once("://").ok_or_else(|| bad(&url))?;
        let slash = rest.find('/').unwrap_or(rest.len());
        let (host, path) = rest.split_at(slash);
        let mut request = http::Request::builder()
            .method(method)
            .uri(if path.is_empty() { "/" } else { path })
            .header(header::HOST, host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        if let Payload::Bytes(bytes) = &payload {
            request = request.header(header::CONTENT_LENGTH, bytes.len());
        }
        let request = request.body(Sent::new(payload)).map_err(io::Error::other)?;
        let address = if host.contains("]:") || (host.contains(':') && !host.ends_with(']')) {
            host.to_owned()
        } else {
            format!("{host}:{}", if scheme == "https" { 443 } else { 80 })
        };
        let stream = TcpStream::connect(&address).await?;
        stream.set_nodelay(true)?;
        if scheme == "http" {
            return self.exchange_over(stream, request).await;
        }
        let tls = self
            .tls
            .clone()
            .ok_or_else(|| io::Error::other("no authority is trusted"))?;
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let stream = TlsConnector::from(tls).connect(name, stream).await?;
        self.exchange_over(stream, request).await
    }

    async fn exchange_over<S>(
        &self,
        stream: S,
        request: http::Request<Sent>,
    ) -> io::Result<RawResponse>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if self.http2 {
            exchange::over_http2(stream, request).await
        } else {
            exchange::over_http1(stream, request).await
        }
    }

    /// Resolves the `Location` of an answer to a request for `url`: absolute, without a scheme, without a host, or
    /// relative to the directory of the URL.
    pub fn resolve_from(&self, url: &str, location: &str) -> String {
        let url = self.resolve(url);
        let scheme = url.split("//").next().unwrap_or("http:");
        if location.contains("://") {
            return location.to_owned();
        }
        if location.starts_with("//") {
            return format!("{scheme}{location}");
        }
        if location.starts_with('/') {
            let origin: Vec<&str> = url.splitn(4, '/').take(3).collect();
            return format!("{}{location}", origin.join("/"));
        }
        let path = url.split('?').next().unwrap_or_default();
        let directory = path
            .rsplit_once('/')
            .map_or(path, |(directory, _)| directory);
        format!("{directory}/{location}")
    }

    fn resolve(&self, url: &str) -> String {
        if url.contains("://") {
            url.to_owned()
        } else {
            format!("{}{url}", self.base)
        }
    }

    async fn exchange(&self, challenge: &str, user: &str, password: &str) -> io::Result<String> {
        if challenge.starts_with("Basic") {
            return Ok(basic(user, password));
        }
        let value = |name: &str| {
            let (_, rest) = challenge.split_once(&format!("{name}=\""))?;
            rest.split('"').next().map(str::to_owned)
        };
        let realm = value("realm").ok_or_else(|| bad(challenge))?;
        let scopes = value("scope").unwrap_or_default();
        let scopes = scopes.split(' ').filter(|scope| !scope.is_empty());
        let scopes: Vec<String> = scopes.map(|s| format!("&scope={s}")).collect();
        let service = value("service").unwrap_or_default();
        let url = format!("{realm}?service={service}{}", scopes.concat());
        let login = Login::Basic(user.to_owned(), password.to_owned());
        let answer = self.clone().login(login).get(&url).await?;
        let document = answer.json();
        let token = document
            .get("token")
            .or_else(|| document.get("access_token"));
        let token = token.and_then(serde_json::Value::as_str);
        token
            .map(|token| format!("Bearer {token}"))
            .ok_or_else(|| bad(&String::from_utf8_lossy(&answer.body)))
    }
}

fn basic(user: &str, password: &str) -> String {
    let pair = format!("{user}:{password}");
    let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
    format!("Basic {encoded}")
}

fn bad(what: &str) -> io::Error {
    io::Error::other(format!("cannot be used: {what}"))
}
