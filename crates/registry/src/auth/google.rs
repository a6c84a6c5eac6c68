//! Google service accounts, exchanged for access tokens (RFC 7523, user `_oauth2_` of the classic auth file).

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::auth::secret::Secret;
use crate::auth::token::basic;
use crate::error::{Error, ErrorKind};
use crate::keyed_once::KeyedOnce;
use crate::reference::Registry;
use crate::transport::{
    AnswerLimit, Attempts, Call, Endpoint, Lane, RequestBody, RetryPolicy, TlsExceptions,
    Transport, authority,
};

/// Scope of an access token: everything that the account may do. It includes Container Registry and Artifact Registry.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// Validity of a signed request, the maximum that Google allows.
const ASSERTION_LIFE: Duration = Duration::from_secs(3600);
/// A token is exchanged anew when less than this is left of it.
const MARGIN: Duration = Duration::from_secs(300);
/// The longest life believed, and the one assumed where none is said.
const MAX_LIFE: Duration = Duration::from_secs(3600);
/// A refused token that is older than this may have run out.
const YOUTH: Duration = Duration::from_secs(30);
const MAX_REPLY: u64 = 64 * 1024;
/// Accounts whose tokens are kept.
const MAX_ACCOUNTS: usize = 64;

/// The user that goes with an access token.
pub(super) const ACCESS_TOKEN_USER: &str = "oauth2accesstoken";

/// Returns whether `_oauth2_` means a service account at `registry`: `gcr.io`, `*.gcr.io` and Artifact Registry's
/// `*-docker.pkg.dev`.
pub(crate) fn is_google(registry: &Registry) -> bool {
    let host = registry.api_host();
    host == "gcr.io" || host.ends_with(".gcr.io") || host.ends_with("-docker.pkg.dev")
}

/// The service account in a password of user `_oauth2_`: base64 of its JSON key file. An error is a clause without
/// any of the content.
pub(super) fn decode(password: &Secret) -> Result<Secret, String> {
    let compact: String = password.reveal().split_ascii_whitespace().collect();
    let bytes = STANDARD.decode(compact).map_err(|_| {
        "is not base64: user _oauth2_ wants the service account's JSON key file in base64"
            .to_owned()
    })?;
    let text = String::from_utf8(bytes)
        .map_err(|_| "holds base64 of something that is no JSON".to_owned())?;
    ServiceAccountKey::parse(&text)?;
    Ok(Secret::new(text))
}

/// A key file, as far as it matters.
#[derive(Deserialize)]
struct ServiceAccountKey {
    client_email: String,
    private_key: String,
    private_key_id: Option<String>,
    token_uri: String,
}

impl ServiceAccountKey {
    fn parse(text: &str) -> Result<Self, String> {
        // The parser's own message may quote the file.
        serde_json::from_str(text).map_err(|error| {
            format!(
                "holds no service account key (a JSON document with client_email, private_key and token_uri): it \
                 goes wrong in line {} column {}",
                error.line(),
                error.column()
            )
        })
    }
    /// Claims of the signed request for a token.
    fn assertion(&self, now: SystemTime) -> Result<String, &'static str> {
        let seconds = |time: SystemTime| {
            time.duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs()
        };
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": self.private_key_id });
        let claims = json!({
            "iss": self.client_email,
            "scope": SCOPE,
            "aud": self.token_uri,
            "iat": seconds(now),
            "exp": seconds(now + ASSERTION_LIFE),
        });
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let statement = format!(
            "{}.{}",
            encode(header.to_string().as_bytes()),
            encode(claims.to_string().as_bytes())
        );
        let der = PrivatePkcs8KeyDer::from_pem_slice(self.private_key.as_bytes())
            .map_err(|_| "its private_key is no PKCS #8 key in PEM")?;
        let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der())
            .map_err(|_| "its private_key is no RSA key")?;
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            statement.as_bytes(),
            &mut signature,
        )
        .map_err(|_| "its private_key cannot sign")?;
        Ok(format!("{statement}.{}", encode(&signature)))
    }
}

/// The access tokens of the service accounts in use.
pub(super) struct ServiceAccounts {
    tokens: KeyedOnce<Secret, AccessToken>,
}

impl Default for ServiceAccounts {
    fn default() -> Self {
        Self {
            tokens: KeyedOnce::new(MAX_ACCOUNTS),
        }
    }
}

#[derive(Clone, Debug)]
struct AccessToken {
    token: Secret,
    requested_at: Instant,
    expires_at: Instant,
}

impl ServiceAccounts {
    /// An access token of the account whose key file is `json`, which came from `origin`.
    pub(super) async fn token(
        &self,
        json: &Secret,
        endpoint: &Endpoint,
        transport: &Arc<Transport>,
        retry: RetryPolicy,
        origin: &str,
    ) -> Result<Secret, Error> {
        let is_good = |token: &AccessToken| {
            token.expires_at.saturating_duration_since(Instant::now()) > MARGIN
        };
        let exchange = async {
            // Google's certificate is checked, even if the registry's is not.
            let endpoint = Endpoint {
                registry: endpoint.registry.clone(),
                exceptions: TlsExceptions::NONE,
            };
            let exchange = TokenExchange {
                transport,
                retry,
                endpoint,
                origin,
            };
            // Boxed: it is rare, and the future of every request would have room for it.
            Box::pin(exchange.run(json)).await
        };
        let token = self.tokens.get(json.clone(), is_good, exchange).await?;
        Ok(token.token)
    }
    /// Drops the access token that `used` was made of if it may have run out; whether another one is to be had.
    pub(super) fn renew(&self, json: &Secret, used: &HeaderValue) -> bool {
        match self.tokens.peek(json) {
            Some(current) if basic(ACCESS_TOKEN_USER, &current.token).as_ref() == Some(used) => {
                let is_old = current.requested_at.elapsed() >= YOUTH;
                if is_old {
                    self.tokens.forget(|token| token.token == current.token);
                }
                is_old
            }
            _ => true,
        }
    }
}

/// One exchange at Google.
struct TokenExchange<'a> {
    transport: &'a Arc<Transport>,
    retry: RetryPolicy,
    endpoint: Endpoint,
    origin: &'a str,
}

/// Answer of Google's token endpoint.
#[derive(Deserialize)]
struct ExchangeReply {
    access_token: String,
    expires_in: Option<u64>,
}

impl TokenExchange<'_> {
    async fn run(&self, json: &Secret) -> Result<AccessToken, Error> {
        let action: Arc<str> = "exchange a service account for an access token".into();
        let invalid = |why: &str| {
            let message = format!("the service account (from {}) {why}", self.origin);
            Error::new(
                ErrorKind::Credentials,
                &*action,
                self.endpoint.registry.as_str(),
                message,
            )
        };
        let account = ServiceAccountKey::parse(json.reveal()).map_err(|why| invalid(&why))?;
        let url = token_url(&account.token_uri).ok_or_else(|| {
            invalid("names a token_uri that is not an https address of googleapis.com, so it is not sent there")
        })?;
        let mut attempts = Attempts::new(self.transport, &self.endpoint, self.retry);
        let mut tries = 1;
        loop {
            let assertion = account
                .assertion(SystemTime::now())
                .map_err(|why| invalid(&format!("cannot be used: {why}")))?;
            match self.request_token(&action, &url, &assertion, tries).await {
                Ok(token) => return Ok(token),
                Err(error) => tries = attempts.after(error).await?,
            }
        }
    }
    async fn request_token(
        &self,
        action: &Arc<str>,
        url: &Url,
        assertion: &str,
        tries: u32,
    ) -> Result<AccessToken, Error> {
        let requested_at = Instant::now();
        let form = Serializer::new(String::new())
            .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
            .append_pair("assertion", assertion)
            .finish();
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        let call = Call {
            action: action.clone(),
            endpoint: self.endpoint.clone(),
            method: Method::POST,
            url: url.clone(),
            headers,
            body: RequestBody::Bytes(form.into()),
            lane: Lane::Calls,
            public_only: false,
            answer: AnswerLimit::Normal,
            follow_redirects: false,
            weight: 0,
            tries,
            guard: None,
        };
        let response = self.transport.send(call).await?;
        let status = response.status;
        let host = authority(url);
        if !status.is_success() {
            let error = Error::from_answer_of("it", action, host, response).await;
            return Err(self.explain(error));
        }
        let body = response.body.bytes(MAX_REPLY).await?;
        let reply: ExchangeReply = serde_json::from_slice(&body).map_err(|_| {
            Error::new(
                ErrorKind::Protocol,
                &**action,
                host,
                "the answer holds no access token",
            )
            .with_status(status)
        })?;
        let life = reply
            .expires_in
            .map_or(MAX_LIFE, Duration::from_secs)
            .min(MAX_LIFE);
        Ok(AccessToken {
            token: Secret::new(reply.access_token),
            requested_at,
            expires_at: requested_at + life,
        })
    }
    /// A refusal says whose key was refused.
    fn explain(&self, error: Error) -> Error {
        let Some(status) = error
            .status()
            .filter(|status| matches!(status.as_u16(), 400 | 401 | 403))
        else {
            return error;
        };
        let message = format!(
            "{}; the service account (from {}) is refused: look whether its key is still valid and the clock here right",
            error.message(),
            self.origin
        );
        Error::new(
            ErrorKind::Unauthorized,
            error.action(),
            error.host(),
            message,
        )
        .with_status(status)
    }
}

/// Checks the `token_uri` of a key file: the author of the file would receive the signature.
fn token_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let host = url.domain()?;
    let is_google = host == "googleapis.com" || host.ends_with(".googleapis.com");
    (url.scheme() == "https" && is_google).then_some(url)
}
