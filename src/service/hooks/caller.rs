//! Authentication of the callers of hooks.

use aws_lc_rs::hmac;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::service::secret::SharedSecret;

/// Header of GitHub's signatures: `sha256=` and the HMAC-SHA256 of the body in hexadecimal digits.
const SIGNATURE: &str = "x-hub-signature-256";

/// Result of an authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// The caller has the secret.
    Granted,
    /// The caller presents no secret.
    NoSecret,
    /// The caller presents another secret.
    WrongSecret,
    /// The signature of the body decides.
    Signed,
}

/// Checks the secret of a caller, in its path (`path_token`) or in the header `Authorization`: as a bearer token, as the
/// password of any user, or alone.
pub(super) fn check(
    secret: &SharedSecret,
    headers: &HeaderMap,
    path_token: Option<&str>,
) -> Access {
    let header = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let presented = path_token.map(str::as_bytes).into_iter().chain(header);
    let mut is_any = false;
    for text in presented {
        is_any = true;
        if secret.matches(text) || inner_secret(text).is_some_and(|inner| secret.matches(&inner)) {
            return Access::Granted;
        }
    }
    if headers.contains_key(SIGNATURE) {
        Access::Signed
    } else if is_any {
        Access::WrongSecret
    } else {
        Access::NoSecret
    }
}

/// Checks the signature of a body.
pub(super) fn is_signed(secret: &SharedSecret, headers: &HeaderMap, body: &[u8]) -> bool {
    let signature = headers.get(SIGNATURE).and_then(|it| it.to_str().ok());
    let signature = signature.and_then(|it| it.strip_prefix("sha256="));
    let Some(signature) = signature.and_then(from_hex) else {
        return false;
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.current().reveal().as_bytes());
    hmac::verify(&key, body, &signature).is_ok()
}

/// Returns the secret in `Bearer SECRET` or `Basic …`.
fn inner_secret(header: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(header).ok()?;
    let (scheme, rest) = text.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.as_bytes().to_vec());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let login = BASE64_STANDARD.decode(rest).ok()?;
    let colon = login.iter().position(|byte| *byte == b':')?;
    login.get(colon + 1..).map(<[u8]>::to_vec)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| {
            digit
                .to_digit(16)
                .and_then(|value| u8::try_from(value).ok())
        })
        .collect();
    let digits = digits?;
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(high << 4 | low),
        _ => None,
    });
    pairs.collect()
}
