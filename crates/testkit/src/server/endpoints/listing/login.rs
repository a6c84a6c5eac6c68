//! Logins of listing APIs.

use serde_json::{Value, json};

use super::refusal;
use crate::auth::Auth;
use crate::log::Authorization;
use crate::profile::{ListingApi, ListingLogin, Vendor};
use crate::reply::Reply;
use crate::server::call::Call;

/// Checks the login of a request.
pub(super) fn check(call: &Call, api: &ListingApi) -> Result<(), Reply> {
    let request = call.request();
    if api.vendor == Vendor::Github && request.header("user-agent").is_none() {
        let message = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header";
        return Err(refusal(api.vendor, 403, message));
    }
    let private = request.header("private-token");
    let private = private.filter(|_| api.vendor == Vendor::Gitlab);
    if request.authorization == Authorization::None && private.is_none() {
        return if api.anonymous {
            Ok(())
        } else {
            Err(unauthorized(api, false))
        };
    }
    let accepted = match (&api.login, &request.authorization) {
        (ListingLogin::Any, _) => true,
        (ListingLogin::Users, Authorization::Basic { user, password }) => {
            match &*call.connection.shared.auth() {
                Auth::Anonymous => false,
                Auth::Basic(access) | Auth::Bearer(access, _) => access.knows(user, password),
            }
        }
        (ListingLogin::Basic(name, secret), Authorization::Basic { user, password }) => {
            (name, secret) == (user, password)
        }
        (ListingLogin::Bearer(token), Authorization::Bearer(given)) => token == given,
        (ListingLogin::Bearer(token), _) => private == Some(token),
        (ListingLogin::Exchange(name, _), Authorization::Bearer(given)) => *given == token_of(name),
        _ => false,
    };
    if accepted {
        Ok(())
    } else {
        Err(unauthorized(api, true))
    }
}

fn unauthorized(api: &ListingApi, given: bool) -> Reply {
    let message = match (api.vendor, given) {
        (Vendor::Harbor, _) => "unauthorized",
        (Vendor::Github, true) => "Bad credentials",
        (Vendor::Github, false) => "Requires authentication",
        (Vendor::Quay | Vendor::Gitlab, _) => "Unauthorized",
        (Vendor::Hub, _) => "unauthorized access to repository",
    };
    refusal(api.vendor, 401, message)
}

/// Answers a request for a token with a name and a secret.
pub(super) async fn exchange(call: &mut Call, api: &ListingApi) -> Reply {
    let body = call.body.all(64 * 1024).await.unwrap_or_default();
    let document: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let field = |name: &str| document.get(name).and_then(Value::as_str);
    let (Some(identifier), Some(secret)) = (field("identifier"), field("secret")) else {
        return refusal(api.vendor, 400, "bad request");
    };
    match &api.login {
        ListingLogin::Exchange(name, password) if name == identifier && password == secret => {
            Reply::new(200).json(&json!({"access_token": token_of(name)}))
        }
        _ => refusal(api.vendor, 401, "incorrect authentication credentials"),
    }
}

fn token_of(name: &str) -> String {
    format!("hub-token-of-{name}")
}
