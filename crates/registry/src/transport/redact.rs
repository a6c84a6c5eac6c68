//! Redaction by value: secrets that were sent are removed from everything that is shown of answers.
//!
//! Servers and proxies repeat a request's headers, form or URL in their error pages, in headers, and sometimes in the
//! answer to another request. All secrets of a transport are therefore collected here, and every text from outside is
//! filtered. Signed queries are secrets as well: their holder may read or write what they sign.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE, PROXY_AUTHORIZATION};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::{Url, form_urlencoded};

use crate::digest::Digest;
use crate::lock::lock;
use crate::transport::RequestBody;

/// Shorter secrets are not removed: their gaps would destroy a sentence, and spell the secret.
const SHORTEST: usize = 4;
/// Length of the prefix by which secrets are indexed.
const INDEXED: usize = 8;
/// Minimum length of a truncated secret that is still removed.
const CUT: usize = 12;
/// Shorter values of a query are not signatures.
const SHORTEST_PARAMETER: usize = 8;
/// Minimum length of a value that may be a signature, for every name of its parameter.
const SIGNATURE: usize = 16;
/// Replacement of a secret.
const REDACTED: &str = "***";

/// Longest secret that is remembered, in bytes. A longer one is remembered by its beginning.
const MAX_SECRET: usize = 8 * 1024;
/// Bounds of one generation: forms of secrets, and their bytes.
const MAX_FORMS: usize = 8 * 1024;
const MAX_BYTES: usize = 2 * 1024 * 1024;

/// Form fields with a long-lived secret, and with a short-lived one.
const LOGIN_FIELDS: [&str; 3] = ["refresh_token", "password", "client_secret"];
const PASSING_FIELDS: [&str; 2] = ["assertion", "access_token"];

/// Parameters of the registry's and the token server's own protocols. They hold names that errors need.
const PUBLIC_PARAMETERS: [&str; 12] = [
    "account",
    "artifacttype",
    "client_id",
    "digest",
    "from",
    "grant_type",
    "last",
    "mount",
    "n",
    "ns",
    "scope",
    "service",
];
/// Parameters that hold a secret of any length.
const SECRET_PARAMETERS: [&str; 5] = ["_state", "auth", "key", "sig", "state"];
/// Parts of the names of other parameters with secrets (`X-Amz-Signature`, `access_token`).
const SECRET_PARTS: [&str; 6] = [
    "credential",
    "passw",
    "policy",
    "secret",
    "signature",
    "token",
];

/// Percent-encoding as in a query: all but the unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The secrets that a transport has sent. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct SecretRedactor(Arc<Mutex<Secrets>>);

/// Secrets in memory of bounded size. Logins are few and kept for the whole run; tokens and signed queries come by the
/// thousand, and the older half of them is dropped at the bound.
#[derive(Default)]
struct Secrets {
    logins: Generation,
    passing: Generation,
    passed: Generation,
}

/// Secrets in all forms that are searched for.
#[derive(Default)]
struct Generation {
    /// The secrets themselves.
    known: HashSet<Box<str>>,
    /// Their forms, by the first bytes.
    indexed: HashMap<[u8; INDEXED], Vec<Box<str>>>,
    /// Forms shorter than that.
    short: Vec<Box<str>>,
    forms: usize,
    bytes: usize,
}

/// Time for which a secret is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lifetime {
    Login,
    Passing,
}

impl std::fmt::Debug for SecretRedactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretRedactor(***)")
    }
}

impl SecretRedactor {
    /// Remembers the secrets of a request.
    pub(super) fn remember_request(&self, url: &Url, headers: &HeaderMap, body: &RequestBody) {
        let mut secrets = self.lock();
        for name in [AUTHORIZATION, PROXY_AUTHORIZATION] {
            for value in headers.get_all(name) {
                if let Ok(value) = value.to_str() {
                    secrets.learn_authorization(value);
                }
            }
        }
        let is_form = headers
            .get(CONTENT_TYPE)
            .is_some_and(|value| value == "application/x-www-form-urlencoded");
        if let (true, RequestBody::Bytes(form)) = (is_form, body) {
            for (name, value) in form_urlencoded::parse(form) {
                if LOGIN_FIELDS.contains(&name.as_ref()) {
                    secrets.remember(&value, Lifetime::Login);
                } else if PASSING_FIELDS.contains(&name.as_ref()) {
                    secrets.remember(&value, Lifetime::Passing);
                }
            }
        }
        for value in query_secrets(url) {
            secrets.remember(&value, Lifetime::Passing);
        }
    }

    /// Remembers the login of a proxy, which is sent when connections are made.
    pub(super) fn learn_authorization(&self, value: &str) {
        self.lock().learn_authorization(value);
    }

    /// Remembers a password.
    pub(super) fn learn_password(&self, password: &str) {
        self.lock().remember(password, Lifetime::Login);
    }

    /// Returns `text` without the secrets.
    pub(crate) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let secrets = self.lock();
        let mut shown = String::new();
        let (mut at, mut copied) = (0, 0);
        while let Some(rest) = text.as_bytes().get(at..).filter(|rest| !rest.is_empty()) {
            let Some(length) = secrets.match_length(rest) else {
                at += 1;
                continue;
            };
            let mut end = at + length;
            // A truncated form may end within a character.
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            shown.push_str(text.get(copied..at).unwrap_or_default());
            shown.push_str(REDACTED);
            (at, copied) = (end, end);
        }
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        shown.push_str(text.get(copied..).unwrap_or_default());
        Cow::Owned(shown)
    }

    fn lock(&self) -> MutexGuard<'_, Secrets> {
        lock(&self.0)
    }
}

impl Secrets {
    fn learn_authorization(&mut self, value: &str) {
        let Some((scheme, secret)) = value.split_once(' ') else {
            return;
        };
        if !scheme.eq_ignore_ascii_case("basic") {
            self.remember(secret, Lifetime::Passing);
            return;
        }
        self.remember(secret, Lifetime::Login);
        let login = STANDARD.decode(secret).ok();
        if let Some(login) = login.and_then(|login| String::from_utf8(login).ok())
            && let Some((_, password)) = login.split_once(':')
        {
            self.remember(password, Lifetime::Login);
            self.remember(&URL_SAFE.encode(&login), Lifetime::Login);
        }
    }

    fn remember(&mut self, secret: &str, lifetime: Lifetime) {
        let secret = prefix(secret, MAX_SECRET);
        if secret.len() < SHORTEST {
            return;
        }
        let generation = match lifetime {
            Lifetime::Login => &mut self.logins,
            Lifetime::Passing => &mut self.passing,
        };
        if generation.known.contains(secret) {
            return;
        }
        if generation.is_full() {
            match lifetime {
                Lifetime::Login => self.logins = Generation::default(),
                Lifetime::Passing => self.passed = std::mem::take(&mut self.passing),
            }
        }
        match lifetime {
            Lifetime::Login => self.logins.insert(secret, lifetime),
            Lifetime::Passing => self.passing.insert(secret, lifetime),
        }
    }

    /// Number of bytes at the beginning of `text` that are a secret, or the beginning of one.
    fn match_length(&self, text: &[u8]) -> Option<usize> {
        [&self.logins, &self.passing, &self.passed]
            .into_iter()
            .filter_map(|generation| generation.match_length(text))
            .max()
    }
}

impl Generation {
    fn is_full(&self) -> bool {
        self.forms >= MAX_FORMS || self.bytes >= MAX_BYTES
    }

    fn insert(&mut self, secret: &str, lifetime: Lifetime) {
        self.known.insert(secret.into());
        self.bytes = self.bytes.saturating_add(secret.len());
        for form in forms(secret, lifetime) {
            self.forms += 1;
            self.bytes = self.bytes.saturating_add(form.len());
            match form.as_bytes().first_chunk::<INDEXED>().copied() {
                Some(key) => self.indexed.entry(key).or_default().push(form.into()),
                None => self.short.push(form.into()),
            }
        }
    }

    fn match_length(&self, text: &[u8]) -> Option<usize> {
        let key = text.first_chunk::<INDEXED>();
        let long = key.and_then(|key| self.indexed.get(key)).into_iter();
        let long = long.flatten().filter_map(|form| {
            let length = common_prefix(form.as_bytes(), text);
            (length >= CUT || length == form.len()).then_some(length)
        });
        let short = self.short.iter();
        let short =
            short.filter_map(|form| text.starts_with(form.as_bytes()).then_some(form.len()));
        long.chain(short).max()
    }
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Returns at most `longest` bytes from the beginning of `text`.
fn prefix(text: &str, longest: usize) -> &str {
    let mut end = text.len().min(longest);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Returns the forms in which servers repeat `secret`: as it was sent, decoded, encoded for a query or a form, escaped
/// for HTML and for JSON, without its padding, and as the parts of a login in base64.
fn forms(secret: &str, lifetime: Lifetime) -> HashSet<String> {
    let decoded = percent_decode_str(secret).decode_utf8_lossy().into_owned();
    let mut forms = HashSet::new();
    for text in [secret, &decoded] {
        let encoded = utf8_percent_encode(text, RESERVED).to_string();
        forms.insert(form_urlencoded::byte_serialize(text.as_bytes()).collect());
        forms.insert(lower_hex(&encoded));
        forms.insert(encoded);
        let html = text.replace('&', "&amp;").replace('<', "&lt;");
        let html = html.replace('>', "&gt;").replace('"', "&#34;");
        forms.insert(html.replace("&#34;", "&quot;").replace('\'', "&#x27;"));
        forms.insert(html.replace('\'', "&#39;").replace('+', "&#43;"));
        forms.insert(html.replace('\'', "&#39;"));
        forms.insert(text.replace('\\', "\\\\").replace('"', "\\\""));
        if lifetime == Lifetime::Login {
            forms.insert(STANDARD_NO_PAD.encode(text));
            forms.insert(URL_SAFE_NO_PAD.encode(text));
        }
        forms.insert(text.trim_end_matches('=').to_owned());
        forms.insert(text.to_owned());
    }
    forms.retain(|form| form.len() >= SHORTEST);
    forms
}

/// Returns `encoded` with its percent-encoded bytes in lower case, as some encoders write them.
fn lower_hex(encoded: &str) -> String {
    let mut pieces = encoded.split('%');
    let mut lower = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        lower.push('%');
        let (hex, rest) = piece.split_at_checked(2).unwrap_or((piece, ""));
        lower.push_str(&hex.to_ascii_lowercase());
        lower.push_str(rest);
    }
    lower
}

/// Returns the values in the query of `url` that would help a reader of the text to access something.
fn query_secrets(url: &Url) -> impl Iterator<Item = String> {
    let pieces = url.query().unwrap_or_default().split('&');
    pieces.filter_map(|piece| {
        let (name, value) = piece.split_once('=').unwrap_or(("", piece));
        let is_secret = value.len() >= SHORTEST_PARAMETER && is_secret_parameter(name, value);
        is_secret.then(|| value.to_owned())
    })
}

/// Returns true if a parameter has the name of a secret, or a value that looks random.
fn is_secret_parameter(name: &str, value: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let name = name.as_str();
    if PUBLIC_PARAMETERS.contains(&name) {
        return false;
    }
    if SECRET_PARAMETERS.contains(&name) || SECRET_PARTS.iter().any(|part| name.contains(part)) {
        return true;
    }
    let decoded = percent_decode_str(value).decode_utf8_lossy();
    value.len() >= SIGNATURE
        && value.contains(|c: char| c.is_ascii_digit())
        && Digest::parse(&decoded).is_err()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use bytes::Bytes;
    use http::HeaderValue;

    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn authorization(value: &str) -> HeaderMap {
        let value = HeaderValue::try_from(value).unwrap();
        HeaderMap::from_iter([(AUTHORIZATION, value)])
    }

    /// Returns a redactor after a request with `header` to `address`.
    fn after(address: &str, header: Option<&str>) -> SecretRedactor {
        let redactor = SecretRedactor::default();
        let headers = header.map(authorization).unwrap_or_default();
        redactor.remember_request(&url(address), &headers, &RequestBody::Empty);
        redactor
    }

    #[test]
    fn logins_are_redacted_in_all_their_forms() {
        let password = "hunt&r \"2'+/=";
        let basic = STANDARD.encode(format!("ada:{password}"));
        let redactor = after("https://r.example/", Some(&format!("Basic {basic}")));
        for form in [
            password.to_owned(),
            basic.clone(),
            basic.trim_end_matches('=').to_owned(),
            URL_SAFE.encode(format!("ada:{password}")),
            STANDARD.encode(password),
            "hunt%26r%20%222%27%2B%2F%3D".to_owned(),
            "hunt%26r%20%222%27%2b%2f%3d".to_owned(),
            "hunt%26r+%222%27%2B%2F%3D".to_owned(),
            "hunt&amp;r &#34;2&#39;+/=".to_owned(),
            "hunt&amp;r &#34;2&#39;&#43;/=".to_owned(),
            "hunt&amp;r &quot;2&#x27;+/=".to_owned(),
            "hunt&r \\\"2'+/=".to_owned(),
        ] {
            let shown = redactor.redact(&format!("ada: <{form}>")).into_owned();
            let padding = "=".repeat(shown.matches('=').count());
            assert_eq!(shown, format!("ada: <***{padding}>"), "{form}");
        }
        assert_eq!(redactor.redact("ada may not"), "ada may not");
        assert_eq!(format!("{redactor:?}"), "SecretRedactor(***)");
    }

    #[test]
    fn tokens_and_forms_are_redacted_in_later_answers_too() {
        let redactor = after("https://r.example/", Some("Bearer tok.en"));
        let form = b"grant_type=refresh_token&refresh_token=a%2Bsecret&service=s&assertion=signed";
        let headers = HeaderMap::from_iter([(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        )]);
        let body = RequestBody::Bytes(Bytes::from_static(form));
        redactor.remember_request(&url("https://t.example/"), &headers, &body);
        assert_eq!(
            redactor.redact("tok.en, a+secret, a%2Bsecret, signed, grant_type, s"),
            "***, ***, ***, ***, grant_type, s"
        );
    }

    #[test]
    fn signed_queries_are_redacted_and_names_are_not() {
        let signed = "https://cdn.example/x?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20261105T101112Z&\
                      X-Amz-Signature=0a1b2c3d4e5f&sp=r&sig=ab%2Fcd%3D%3D&_state=abcdefgh";
        let redactor = after(signed, None);
        for (echo, shown) in [
            (
                "no: X-Amz-Date=20261105T101112Z, sp=r",
                "no: X-Amz-Date=***, sp=r",
            ),
            ("X-Amz-Signature=0a1b2c3d4e5f", "X-Amz-Signature=***"),
            ("sig=ab/cd==, ab%2Fcd%3D%3D", "sig=***, ***"),
            ("/upload/_state=abcdefgh", "/upload/_state=***"),
        ] {
            assert_eq!(redactor.redact(echo), shown);
        }

        let own = format!(
            "https://r.example/v2/?n=1000&last=v1.2.3-alpine3.20.1&mount={DIGEST}&from=team/app-of-2026-01&\
             service=registry-number-1234&scope=repository:team/app-of-2026:pull&to={DIGEST}"
        );
        let redactor = after(&own, None);
        assert_eq!(redactor.redact(&own), own);
    }

    #[test]
    fn the_beginning_of_a_secret_is_redacted_where_the_rest_was_cut_off() {
        let redactor = after("https://r.example/?sig=0123456789äöü", None);
        assert_eq!(redactor.redact("is 0123456789%C3%A4%C3%"), "is ***");
        assert_eq!(redactor.redact("is 0123456789ä…"), "is ***…");
        assert_eq!(redactor.redact("is 0123456789, so"), "is 0123456789, so");
    }

    #[test]
    fn short_secrets_are_not_redacted() {
        let redactor = after("https://r.example/?state=done", Some("Bearer a"));
        assert_eq!(redactor.redact("a cat is done"), "a cat is done");
    }

    #[test]
    fn memory_is_bounded_and_logins_outlive_tokens() {
        let basic = format!("Basic {}", STANDARD.encode("ada:hunter22"));
        let redactor = after("https://r.example/", Some(&basic));
        let long = "x".repeat(64 * 1024);
        for index in 0..1_000 {
            redactor.learn_authorization(&format!("Bearer token-{index:05}-{long}"));
        }
        let secrets = redactor.lock();
        for generation in [&secrets.logins, &secrets.passing, &secrets.passed] {
            assert!(generation.bytes <= MAX_BYTES + 16 * MAX_SECRET);
        }
        drop(secrets);
        assert_eq!(redactor.redact("hunter22 token-00000"), "*** token-00000");
        assert_eq!(redactor.redact("token-00999"), "token-00999");
        assert_eq!(redactor.redact("token-00999-xx"), "***");
    }
}
