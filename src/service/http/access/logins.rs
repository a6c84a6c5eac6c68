//! Logins of the page, in memory: a restart ends them.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::lock::lock;
use crate::service::http::access::tokens::TokenDigest;

/// Name of the cookie.
pub(crate) const COOKIE_NAME: &str = "image-syncer-login";
/// Duration of a login.
pub(crate) const LOGIN_TIME: Duration = Duration::from_secs(12 * 60 * 60);
/// Maximum number of logins. The oldest one ends for a further one.
const MOST: usize = 1_024;

/// Logins by the digest of their id.
#[derive(Default)]
pub(super) struct Logins(Mutex<HashMap<TokenDigest, Login>>);

struct Login {
    name: Arc<str>,
    token: TokenDigest,
    ends: Instant,
}

/// Id of a login: the value of its cookie.
pub(crate) struct LoginId(String);

impl LoginId {
    /// Returns the id, for the one header that has it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl Logins {
    /// Starts a login with the token `name`. `None` if the machine has no random numbers.
    pub(super) fn start(&self, name: Arc<str>, token: TokenDigest) -> Option<LoginId> {
        let mut bytes = [0; 32];
        aws_lc_rs::rand::fill(&mut bytes).ok()?;
        let mut id = String::new();
        for byte in bytes {
            // A string can always be written to.
            let _ = write!(id, "{byte:02x}");
        }
        let now = Instant::now();
        let mut logins = lock(&self.0);
        logins.retain(|_, login| login.ends > now);
        if logins.len() >= MOST {
            let oldest = logins.iter().min_by_key(|(_, login)| login.ends);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                logins.remove(&oldest);
            }
        }
        let login = Login {
            name,
            token,
            ends: now + LOGIN_TIME,
        };
        logins.insert(TokenDigest::new(&id), login);
        Some(LoginId(id))
    }

    /// Returns the token of a login that has not ended.
    pub(super) fn find(&self, id: &str) -> Option<(Arc<str>, TokenDigest)> {
        let logins = lock(&self.0);
        let login = logins.get(&TokenDigest::new(id))?;
        (login.ends > Instant::now()).then(|| (Arc::clone(&login.name), login.token.clone()))
    }

    /// Ends a login.
    pub(super) fn end(&self, id: &str) {
        lock(&self.0).remove(&TokenDigest::new(id));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_login_lasts_twelve_hours_and_their_number_is_bounded() {
        let logins = Logins::default();
        let start = || {
            logins
                .start("ops".into(), TokenDigest::new("secret"))
                .unwrap()
        };
        let first = start();
        assert_eq!(first.reveal().len(), 64);
        tokio::time::advance(LOGIN_TIME * 99 / 100).await;
        assert!(logins.find(first.reveal()).is_some());
        tokio::time::advance(LOGIN_TIME / 100).await;
        assert!(logins.find(first.reveal()).is_none());
        let second = start();
        for _ in 0..MOST {
            tokio::time::advance(Duration::from_millis(1)).await;
            start();
        }
        assert_eq!(lock(&logins.0).len(), MOST);
        assert!(logins.find(second.reveal()).is_none());
        let last = start();
        assert!(logins.find(last.reveal()).is_some());
        logins.end(last.reveal());
        assert!(logins.find(last.reveal()).is_none());
    }
}
