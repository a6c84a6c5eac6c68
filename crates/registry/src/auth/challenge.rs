//! `WWW-Authenticate`: what a registry asks for (RFC 9110 section 11, docs/protocol.md#challenges).
//!
//! Real headers bend the grammar: unquoted URLs, `Basic` without a realm, schemes that nobody knows. What makes no
//! sense is passed over; only a Bearer challenge with a realm and a Basic challenge are kept.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// Header lines read, the longest line in bytes, and challenges, parameters and scopes kept.
const MAX_LINES: usize = 16;
const MAX_LINE: usize = 16 * 1024;
const MAX_CHALLENGES: usize = 16;
const MAX_PARAMETERS: usize = 32;
const MAX_SCOPES: usize = 32;

/// A challenge that we can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A token from a token server.
    Bearer(BearerChallenge),
    /// User and password with every request.
    Basic,
}

/// The parameters of a Bearer challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BearerChallenge {
    /// The token server, an absolute URL or one relative to the registry.
    pub(super) realm: String,
    /// For whom the token is. Gitea says nothing.
    pub(super) service: Option<String>,
    /// Scopes that the token needs, one per item.
    pub(super) scopes: Vec<String>,
    /// True if the registry says that the token is valid but grants too little (`insufficient_scope`).
    pub(super) insufficient: bool,
    /// The token itself was refused (`invalid_token`, RFC 6750), not its scopes.
    pub(super) invalid: bool,
}

/// Returns whether `headers` contain a challenge that can be answered.
pub(crate) fn is_present(headers: &HeaderMap) -> bool {
    best(headers).is_some()
}

/// The challenge to answer: the first Bearer with a realm, else Basic. Negotiate, NTLM and the like are skipped.
pub(super) fn best(headers: &HeaderMap) -> Option<Challenge> {
    let mut basic = None;
    for raw in headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .take(MAX_LINES)
        .filter(|line| line.len() <= MAX_LINE)
        .flat_map(|line| parse(&String::from_utf8_lossy(line.as_bytes())))
        .take(MAX_CHALLENGES)
    {
        if raw.scheme.eq_ignore_ascii_case("bearer") {
            if let Some(bearer) = raw.bearer() {
                return Some(Challenge::Bearer(bearer));
            }
        } else if raw.scheme.eq_ignore_ascii_case("basic") {
            basic = Some(Challenge::Basic);
        }
    }
    basic
}

/// One challenge as it was written.
#[derive(Debug, PartialEq, Eq)]
struct RawChallenge {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl RawChallenge {
    /// A parameter by its lower-case name; the first of several wins.
    fn get(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
    fn bearer(&self) -> Option<BearerChallenge> {
        let realm = self
            .get("realm")
            .map(str::trim)
            .filter(|realm| !realm.is_empty())?;
        Some(BearerChallenge {
            realm: realm.to_owned(),
            service: self
                .get("service")
                .filter(|service| !service.is_empty())
                .map(str::to_owned),
            scopes: self
                .get("scope")
                .unwrap_or_default()
                .split_ascii_whitespace()
                .take(MAX_SCOPES)
                .map(str::to_owned)
                .collect(),
            insufficient: self.get("error") == Some("insufficient_scope"),
            invalid: self.get("error") == Some("invalid_token"),
        })
    }
}

/// All challenges of one header line.
fn parse(line: &str) -> Vec<RawChallenge> {
    let mut cursor = HeaderCursor { rest: line };
    let mut found: Vec<RawChallenge> = Vec::new();
    loop {
        cursor.skip(|c| c.is_ascii_whitespace() || c == ',');
        if cursor.rest.is_empty() || found.len() > MAX_CHALLENGES {
            return found;
        }
        let name = cursor.take_while(is_token);
        if name.is_empty() {
            // Junk, a stray quoted text perhaps: on to the next comma.
            cursor.value();
            cursor.skip(|c| c != ',');
            continue;
        }
        cursor.skip(|c| c.is_ascii_whitespace());
        match (cursor.rest.strip_prefix('='), found.last_mut()) {
            (Some(rest), Some(challenge)) => {
                cursor.rest = rest;
                cursor.skip(|c| c.is_ascii_whitespace());
                let value = cursor.value();
                if challenge.parameters.len() < MAX_PARAMETERS {
                    challenge.parameters.push((name.to_owned(), value));
                }
            }
            // A parameter that belongs to no scheme.
            (Some(_), None) => cursor.skip(|c| c != ','),
            (None, _) => {
                cursor.skip_token68();
                found.push(RawChallenge {
                    scheme: name.to_owned(),
                    parameters: Vec::new(),
                });
            }
        }
    }
}

/// Rest of a header value that is not parsed yet.
struct HeaderCursor<'a> {
    rest: &'a str,
}

impl<'a> HeaderCursor<'a> {
    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
    fn skip(&mut self, unwanted: impl Fn(char) -> bool) {
        self.take_while(unwanted);
    }
    /// Passes over the single blob that may follow a scheme (`Negotiate YII…==`).
    fn skip_token68(&mut self) {
        let mut ahead = HeaderCursor { rest: self.rest };
        ahead.skip(|c| c.is_ascii_alphanumeric() || "-._~+/".contains(c));
        ahead.skip(|c| c == '=');
        ahead.skip(|c| c.is_ascii_whitespace());
        if ahead.rest.is_empty() || ahead.rest.starts_with(',') {
            self.rest = ahead.rest;
        }
    }
    /// A quoted text, which may hold commas and escapes and may lack its end, or all up to a comma or a blank.
    fn value(&mut self) -> String {
        let Some(quoted) = self.rest.strip_prefix('"') else {
            return self
                .take_while(|c| c != ',' && !c.is_ascii_whitespace())
                .to_owned();
        };
        let mut text = String::new();
        let mut chars = quoted.chars();
        while let Some(c) = chars.next() {
            match c {
                '"' => break,
                '\\' => text.extend(chars.next()),
                _ => text.push(c),
            }
        }
        self.rest = chars.as_str();
        text
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn of(lines: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(
                WWW_AUTHENTICATE,
                HeaderValue::from_bytes(line.as_bytes()).unwrap(),
            );
        }
        best(&headers)
    }

    fn bearer(lines: &[&str]) -> BearerChallenge {
        match of(lines) {
            Some(Challenge::Bearer(bearer)) => bearer,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn reads_what_docker_hub_sends() {
        let found = bearer(&[
            r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull,push",error="insufficient_scope""#,
        ]);
        assert_eq!(found.realm, "https://auth.docker.io/token");
        assert_eq!(found.service.as_deref(), Some("registry.docker.io"));
        assert_eq!(found.scopes, ["repository:library/nginx:pull,push"]);
        assert!(found.insufficient);
    }

    #[test]
    fn prefers_bearer_over_basic_wherever_it_stands() {
        let lines: [&[&str]; 4] = [
            &["Basic", r#"Bearer realm="https://g/v2/token""#],
            &[r#"Bearer realm="https://g/v2/token", Basic realm="x""#],
            &[r#"Basic realm="a, b=\"c\"", BEARER Realm = "https://g/v2/token""#],
            &["Negotiate YIIG==, NTLM, Bearer realm=https://g/v2/token,service=x"],
        ];
        for line in lines {
            assert_eq!(bearer(line).realm, "https://g/v2/token", "{line:?}");
        }
    }

    #[test]
    fn basic_needs_no_realm_and_bearer_does() {
        for line in [
            "Basic",
            "basic realm=\"\"",
            "Bearer service=\"x\", Basic",
            "Bearer, Basic",
        ] {
            assert_eq!(of(&[line]), Some(Challenge::Basic), "{line}");
        }
        for line in [
            "",
            "Bearer",
            "Negotiate",
            "Digest realm=\"x\", nonce=\"y\"",
            "=,=,\"",
            "realm=\"x\"",
        ] {
            assert_eq!(of(&[line]), None, "{line}");
        }
    }

    #[test]
    fn quoted_values_hold_escapes_and_commas_and_may_lack_their_end() {
        let found = bearer(&[
            r#"Bearer service="a\"b\\c",scope="repository:a:pull,push registry:catalog:*" , realm="/token"#,
        ]);
        assert_eq!(found.service.as_deref(), Some(r#"a"b\c"#));
        assert_eq!(
            found.scopes,
            ["repository:a:pull,push", "registry:catalog:*"]
        );
        assert_eq!(found.realm, "/token");
    }

    #[test]
    fn the_first_of_two_equal_parameters_wins_and_junk_between_is_passed_over() {
        let found = bearer(&[r#"Bearer realm="/a", @@@, "junk, here", realm="/b""#]);
        assert_eq!(found.realm, "/a");
    }

    #[test]
    fn what_is_out_of_bounds_is_left_out() {
        let long = format!("Bearer realm=\"{}\"", "x".repeat(MAX_LINE));
        assert_eq!(of(&[&long, "Basic"]), Some(Challenge::Basic));
        let many = "Digest a=b,".repeat(MAX_CHALLENGES) + "Basic";
        assert_eq!(of(&[&many]), None);
        let scopes = "s ".repeat(1000);
        assert_eq!(
            bearer(&[&format!("Bearer realm=\"/\",scope=\"{scopes}\"")])
                .scopes
                .len(),
            MAX_SCOPES
        );
    }

    proptest! {
        #[test]
        fn never_fails_whatever_is_sent(line in "[ -~\u{80}-\u{ff}]{0,200}") {
            if let Ok(value) = HeaderValue::from_bytes(line.as_bytes()) {
                let mut headers = HeaderMap::new();
                headers.append(WWW_AUTHENTICATE, value);
                let _ = best(&headers);
            }
        }
    }
}
