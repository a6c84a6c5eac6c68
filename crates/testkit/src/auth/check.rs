//! Authorisation of requests, with the challenge for those that are refused.

use http::header::WWW_AUTHENTICATE;

use super::{Access, Auth, ChallengeRules, Scope, TokenRules, Tokens, needed};
use crate::log::{Authorization, Kind, Request};
use crate::reply::Reply;

/// The caller of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller {
    /// The user, if the caller sent a name.
    pub(crate) user: Option<String>,
}

/// Authorises a request, or returns the answer that refuses it. `realm` is the URL of the token server.
pub(crate) fn check(
    auth: &Auth,
    tokens: &Tokens,
    realm: &str,
    request: &Request,
) -> Result<Caller, Reply> {
    match auth {
        Auth::Anonymous => Ok(Caller::default()),
        Auth::Basic(access) => basic(access, request),
        Auth::Bearer(access, rules) => match request.authorization {
            Authorization::Basic { .. } if rules.basic_too => basic(access, request),
            _ => bearer(rules, tokens, realm, request),
        },
    }
}

fn basic(access: &Access, request: &Request) -> Result<Caller, Reply> {
    let user = match &request.authorization {
        Authorization::Basic { user, password } if access.knows(user, password) => {
            Some(user.clone())
        }
        Authorization::None if may(access, None, request) && request.kind != Kind::Ping => None,
        _ => return Err(basic_challenge(&needed(request))),
    };
    if may(access, user.as_deref(), request) {
        Ok(Caller { user })
    } else {
        let message = "requested access to the resource is denied";
        Err(Reply::error(403, "DENIED", message))
    }
}

fn may(access: &Access, user: Option<&str>, request: &Request) -> bool {
    needed(request)
        .iter()
        .all(|scope| access.allowed(user, scope).covers(scope))
}

fn bearer(
    rules: &TokenRules,
    tokens: &Tokens,
    realm: &str,
    request: &Request,
) -> Result<Caller, Reply> {
    let needed = needed(request);
    let challenge = |error| bearer_challenge(rules, realm, request.kind, &needed, error);
    let Authorization::Bearer(token) = &request.authorization else {
        return Err(challenge(None));
    };
    let Some(claims) = tokens.claims(token) else {
        return Err(challenge(Some("invalid_token")));
    };
    let suffices = needed
        .iter()
        .all(|wanted| claims.scopes.iter().any(|scope| scope.covers(wanted)));
    if suffices {
        Ok(Caller { user: claims.user })
    } else {
        Err(challenge(Some("insufficient_scope")))
    }
}

fn unauthorized(needed: &[Scope]) -> Reply {
    let detail: Vec<_> = needed
        .iter()
        .flat_map(|scope| {
            scope.actions.iter().map(|action| {
                serde_json::json!({"Type": scope.kind, "Class": "", "Name": scope.name, "Action": action})
            })
        })
        .collect();
    Reply::detailed(
        401,
        "UNAUTHORIZED",
        "authentication required",
        if detail.is_empty() {
            serde_json::Value::Null
        } else {
            detail.into()
        },
    )
}

/// Returns a 401 that demands a user name and a password.
fn basic_challenge(needed: &[Scope]) -> Reply {
    unauthorized(needed).with(WWW_AUTHENTICATE, "Basic realm=\"Registry\"")
}

fn bearer_challenge(
    rules: &TokenRules,
    realm: &str,
    kind: Kind,
    needed: &[Scope],
    error: Option<&str>,
) -> Reply {
    let reply = unauthorized(needed);
    let ChallengeRules {
        service,
        scope,
        before,
        behind,
        one_line,
        basic_for_bad_tokens,
        only_on_ping,
    } = &rules.challenge;
    if *only_on_ping && kind != Kind::Ping {
        return reply;
    }
    if *basic_for_bad_tokens && error.is_some() {
        return reply.with(WWW_AUTHENTICATE, "Basic realm=\"harbor\"");
    }
    let mut parts = vec![format!("Bearer realm=\"{realm}\"")];
    if *service {
        parts.push(format!("service=\"{}\"", rules.service));
    }
    if *scope && !needed.is_empty() {
        let scopes: Vec<_> = needed.iter().map(ToString::to_string).collect();
        parts.push(format!("scope=\"{}\"", scopes.join(" ")));
    }
    if let Some(error) = error {
        parts.push(format!("error=\"{error}\""));
    }
    let bearer = parts.join(",");
    let all = before.iter().chain([&bearer]).chain(behind);
    if *one_line {
        let line: Vec<_> = all.map(String::as_str).collect();
        return reply.with(WWW_AUTHENTICATE, &line.join(", "));
    }
    all.fold(reply, |reply, line| reply.add(WWW_AUTHENTICATE, line))
}
