//! Scopes that a token grants, if they are readable.
//!
//! Only to know it beforehand: whether a token is taken is the registry's business, which alone can check it.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use crate::auth::scopes::Scopes;

/// The most entries that are read.
const MAX_ENTRIES: usize = 256;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The claims of the distribution project's tokens.
#[derive(Deserialize)]
struct TokenClaims {
    access: Vec<GrantedAccess>,
}

#[derive(Deserialize)]
struct GrantedAccess {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    actions: Vec<String>,
}

/// Returns the scopes that `token` grants according to itself (a JWT of the distribution project's form) or to `scope`,
/// from the token server's answer. Returns `None` if neither names any.
pub(super) fn read(token: &str, scope: Option<&str>) -> Option<Scopes> {
    claims(token).or_else(|| scope.and_then(scopes))
}

fn claims(token: &str) -> Option<Scopes> {
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    let payload = BASE64.decode(payload).ok()?;
    let claims: TokenClaims = serde_json::from_slice(&payload).ok()?;
    let mut granted = Scopes::default();
    for entry in claims.access.iter().take(MAX_ENTRIES) {
        if !entry.actions.is_empty() {
            let actions = entry.actions.join(",");
            granted.add(&format!("{}:{}:{actions}", entry.kind, entry.name));
        }
    }
    Some(granted)
}

/// Servers write all sorts of things into `scope`; it counts where it names a repository.
fn scopes(text: &str) -> Option<Scopes> {
    let mut granted = Scopes::default();
    for scope in text.split_ascii_whitespace().take(MAX_ENTRIES) {
        granted.add(scope);
    }
    (granted.repositories() > 0).then_some(granted)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};

    use super::*;

    #[test]
    fn reads_a_token_of_the_distribution_project_s_form() {
        let claims = r#"{"iss":"x","access":[
            {"type":"repository","name":"a/b","actions":["pull","push"]},
            {"type":"repository","name":"denied","actions":[]},
            {"type":"registry","class":"","name":"catalog","actions":["*"]}]}"#;
        for payload in [URL_SAFE.encode(claims), URL_SAFE_NO_PAD.encode(claims)] {
            let granted = read(&format!("e30.{payload}.c2ln"), None).unwrap();
            assert_eq!(
                granted.to_string(),
                "repository:a/b:pull,push registry:catalog:*"
            );
        }
        let nothing = URL_SAFE_NO_PAD.encode(r#"{"access":[]}"#);
        assert_eq!(
            read(&format!("e30.{nothing}.s"), Some("repository:a:pull")),
            Some(Scopes::default())
        );
    }

    #[test]
    fn reads_the_answer_where_the_token_says_nothing() {
        let other = URL_SAFE_NO_PAD.encode(r#"{"UserID":1,"access":null}"#);
        for token in ["opaque", "a.b.c", "..", "", &format!("e30.{other}.s")] {
            let granted = read(token, Some("repository:a:pull repository:b:pull,push"));
            assert_eq!(
                granted.unwrap().to_string(),
                "repository:a:pull repository:b:pull,push"
            );
            assert_eq!(read(token, Some("read write")), None);
            assert_eq!(read(token, None), None);
        }
    }
}
