//! The token server's endpoint.

use std::time::SystemTime;

use bytes::Bytes;
use http::Method;
use serde_json::{Map, Value, json};

use super::{Access, Denied, Scope, Signer, TokenField, TokenRules, Tokens};
use crate::log::{Authorization, Request, query_pairs};
use crate::reply::Reply;

/// A token request.
struct Asked {
    user: Option<String>,
    scopes: Vec<String>,
    offline: bool,
}

/// State of a token server.
pub(crate) struct Office<'a> {
    pub(crate) access: &'a Access,
    pub(crate) rules: &'a TokenRules,
    pub(crate) tokens: &'a Tokens,
    pub(crate) signer: Option<&'a Signer>,
    /// Returns true if a repository exists.
    pub(crate) exists: &'a dyn Fn(&str) -> bool,
}

/// Answers a token request, by GET or by POST.
pub(crate) fn answer(office: &Office<'_>, request: &Request, body: &Bytes) -> Reply {
    let Office {
        access,
        rules,
        tokens,
        signer,
        exists,
    } = *office;
    let asked = if request.method == Method::GET {
        by_get(access, tokens, request)
    } else if request.method == Method::POST {
        match rules.refuses_post {
            Some(status) => return Reply::error(status, "UNSUPPORTED", "use GET"),
            None => by_post(access, tokens, body),
        }
    } else {
        Err(Reply::new(405))
    };
    let granted = asked.and_then(|asked| Ok((scopes(access, rules, exists, &asked)?, asked)));
    match granted {
        Ok((scopes, asked)) => grant(rules, tokens, signer, &asked, scopes),
        Err(reply) => reply,
    }
}

fn by_get(access: &Access, tokens: &Tokens, request: &Request) -> Result<Asked, Reply> {
    let user = match &request.authorization {
        Authorization::None => None,
        Authorization::Basic { user, password }
            if access.knows(user, password)
                || tokens.user_of_refresh(password).as_ref() == Some(user) =>
        {
            Some(user.clone())
        }
        _ => return Err(wrong_credentials()),
    };
    Ok(Asked {
        user,
        scopes: request
            .parameters("scope")
            .iter()
            .flat_map(|scopes| scopes.split(' '))
            .map(str::to_owned)
            .collect(),
        offline: request.parameter("offline_token").as_deref() == Some("true"),
    })
}

fn by_post(access: &Access, tokens: &Tokens, body: &Bytes) -> Result<Asked, Reply> {
    let body = String::from_utf8_lossy(body);
    let field = |name: &str| {
        query_pairs(Some(&body))
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    };
    let text = |name: &str| field(name).unwrap_or_default();
    if text("client_id").is_empty() || text("service").is_empty() {
        return Err(bad_request("invalid_request"));
    }
    let user = match text("grant_type").as_str() {
        "password" if access.knows(&text("username"), &text("password")) => text("username"),
        "refresh_token" => {
            let token = text("refresh_token");
            let known = access.user_of_identity_token(&token).map(str::to_owned);
            known
                .or_else(|| tokens.user_of_refresh(&token))
                .ok_or_else(wrong_credentials)?
        }
        "password" => return Err(wrong_credentials()),
        _ => return Err(bad_request("unsupported_grant_type")),
    };
    Ok(Asked {
        user: Some(user),
        scopes: text("scope")
            .split(' ')
            .filter(|s| !s.is_empty())
            .map(str::to_owned)
            .collect(),
        offline: text("access_type") == "offline" || text("grant_type") == "refresh_token",
    })
}

fn scopes(
    access: &Access,
    rules: &TokenRules,
    exists: &dyn Fn(&str) -> bool,
    asked: &Asked,
) -> Result<Vec<Scope>, Reply> {
    if let Some(status) = rules.refuses_several.filter(|_| asked.scopes.len() > 1) {
        return Err(Reply::error(status, "DENIED", "one scope at a time"));
    }
    let count = if rules.first_scope_only {
        1
    } else {
        usize::MAX
    };
    let mut granted = Vec::new();
    for text in asked.scopes.iter().take(count) {
        let Some(wanted) = Scope::parse(text) else {
            return Err(bad_request("invalid_scope"));
        };
        let known = |action: &String| {
            rules
                .actions
                .as_ref()
                .is_none_or(|actions| actions.contains(&action.as_str()))
        };
        if !wanted.actions.iter().all(known) {
            return Err(bad_request("invalid_scope"));
        }
        let scope = access.allowed(asked.user.as_deref(), &wanted);
        let pulls = wanted.actions.iter().all(|action| action == "pull");
        let unknown = rules.denies_unknown && pulls && !exists(&wanted.name);
        if !scope.actions.is_empty() && !unknown {
            granted.push(scope);
            continue;
        }
        match rules.denied {
            Denied::FailsAmongOthers(_) if asked.scopes.len() == 1 => {}
            Denied::Fails(status) | Denied::FailsAmongOthers(status) => {
                let message = "requested access to the resource is denied";
                return Err(Reply::error(status, "DENIED", message));
            }
            Denied::LeftOut => {}
        }
    }
    Ok(granted)
}

fn grant(
    rules: &TokenRules,
    tokens: &Tokens,
    signer: Option<&Signer>,
    asked: &Asked,
    scopes: Vec<Scope>,
) -> Reply {
    let user = asked.user.as_deref();
    let scope: Vec<String> = scopes.iter().map(ToString::to_string).collect();
    // Tokens without a signature are kept in a table, in which this crate's registry finds them.
    let token = signer.and_then(|signer| signer.sign(user, &scopes, rules));
    let token = token.unwrap_or_else(|| tokens.grant(user, scopes, rules));
    let mut answer = Map::new();
    if rules.field != TokenField::AccessToken {
        answer.insert("token".into(), json!(token));
    }
    if rules.field != TokenField::Token {
        answer.insert("access_token".into(), json!(token));
    }
    if rules.says_lifetime {
        answer.insert("expires_in".into(), json!(rules.lifetime.as_secs()));
    }
    if rules.says_scope {
        answer.insert("scope".into(), json!(scope.join(" ")));
    }
    if rules.issued_at {
        answer.insert("issued_at".into(), json!(rfc3339(SystemTime::now())));
    }
    if asked.offline
        && rules.refresh_tokens
        && let Some(user) = user
    {
        answer.insert("refresh_token".into(), json!(tokens.grant_refresh(user)));
    }
    Reply::new(200).json(&Value::Object(answer))
}

fn wrong_credentials() -> Reply {
    Reply::detailed(
        401,
        "UNAUTHORIZED",
        "incorrect username or password",
        Value::Null,
    )
}

fn bad_request(error: &str) -> Reply {
    Reply::new(400).json(&json!({"error": error}))
}

/// Formats a time as token servers do, in whole seconds.
fn rfc3339(time: SystemTime) -> String {
    let seconds = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // From the number of days to the date, after Howard Hinnant's `civil_from_days`.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_shifted + 2) / 5 + 1;
    let month = if month_shifted < 10 {
        month_shifted + 3
    } else {
        month_shifted - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates() {
        let at = |seconds| rfc3339(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(1_795_470_540), "2026-11-23T21:49:00Z");
    }
}
