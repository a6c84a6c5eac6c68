//! Secrets that went out with a request, kept out of what is told of its answer: some servers, and more proxies,
//! repeat a request's headers or form in their error pages.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use url::form_urlencoded;

use crate::auth::Secret;
use crate::transport::RequestBody;

/// Shorter secrets are not looked for: they would blot out half of a sentence, and its gaps would spell them.
const SHORTEST: usize = 4;
/// Fields of a form that are secrets.
const FIELDS: [&str; 2] = ["refresh_token", "assertion"];
/// What stands in their place.
const VEILED: &str = "***";

/// The secrets of one request, the longest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Veil(Arc<[Secret]>);

impl Veil {
    /// Of a request with these headers and this body.
    pub(crate) fn of(headers: &HeaderMap, body: &RequestBody) -> Self {
        let mut secrets = Vec::new();
        for value in headers.get_all(AUTHORIZATION) {
            if let Some((scheme, secret)) = value.to_str().ok().and_then(|v| v.split_once(' ')) {
                if scheme.eq_ignore_ascii_case("basic") {
                    secrets.extend(password(secret));
                }
                secrets.push(secret.to_owned());
            }
        }
        let is_form = headers
            .get(CONTENT_TYPE)
            .is_some_and(|value| value == "application/x-www-form-urlencoded");
        if let (true, RequestBody::Bytes(form)) = (is_form, body) {
            secrets.extend(
                form_urlencoded::parse(form)
                    .filter(|(name, _)| FIELDS.contains(&name.as_ref()))
                    .map(|(_, value)| value.into_owned()),
            );
        }
        // A secret may hold another one; what is left of it would tell.
        secrets.retain(|secret| secret.len() >= SHORTEST);
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets.into_iter().map(Secret::new).collect())
    }

    /// `text` without the secrets.
    pub(crate) fn over<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut shown = Cow::Borrowed(text);
        for secret in self.0.iter() {
            if shown.contains(secret.reveal()) {
                shown = Cow::Owned(shown.replace(secret.reveal(), VEILED));
            }
        }
        shown
    }
}

/// The password in the credentials of `Basic`.
fn password(encoded: &str) -> Option<String> {
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    Some(text.split_once(':')?.1.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::HeaderValue;

    #[test]
    fn takes_out_what_was_sent_and_nothing_else() {
        let mut headers = HeaderMap::new();
        let basic = format!("Basic {}", STANDARD.encode("ada:hunter22"));
        headers.insert(
            AUTHORIZATION,
            HeaderValue::try_from(&basic).unwrap_or(HeaderValue::from_static("")),
        );
        let veil = Veil::of(&headers, &RequestBody::Empty);
        let echo = format!("no: {basic}, ada with hunter22");
        assert_eq!(veil.over(&echo), "no: Basic ***, ada with ***");
        assert_eq!(veil.over("no"), "no");

        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer tok.en"));
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        let form =
            Bytes::from_static(b"grant_type=refresh_token&refresh_token=a%2Bsecret&service=s");
        let veil = Veil::of(&headers, &RequestBody::Bytes(form));
        assert_eq!(
            veil.over("tok.en, a+secret, grant_type, s"),
            "***, ***, grant_type, s"
        );
        assert_eq!(format!("{veil:?}"), "Veil([***, ***])");
    }

    #[test]
    fn short_ones_are_left() {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer a"));
        assert_eq!(
            Veil::of(&headers, &RequestBody::Empty).over("a cat"),
            "a cat"
        );
    }
}
