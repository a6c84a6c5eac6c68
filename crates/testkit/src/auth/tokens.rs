//! Granted tokens.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use tokio::time::Instant;

use super::{Scope, TokenRules, jwt};
use crate::lock::lock;

/// The tokens granted by a token server.
#[derive(Default)]
pub(crate) struct Tokens {
    inner: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next: u64,
    granted: HashMap<String, Grant>,
    refresh: HashMap<String, String>,
}

#[derive(Clone)]
struct Grant {
    user: Option<String>,
    scopes: Vec<Scope>,
    until: Instant,
}

/// Contents of a token.
#[derive(Clone, Debug)]
pub struct Claims {
    /// The user, or `None` for an anonymous caller.
    pub user: Option<String>,
    pub(crate) scopes: Vec<Scope>,
}

impl Tokens {
    /// Grants a token.
    pub(crate) fn grant(
        &self,
        user: Option<&str>,
        scopes: Vec<Scope>,
        rules: &TokenRules,
    ) -> String {
        let mut table = self.lock();
        table.next += 1;
        let padding = "x".repeat(rules.padding);
        let number = table.next;
        let token = if rules.readable {
            format!("{}.{number}{padding}", jwt::unsigned(user, &scopes, rules))
        } else {
            format!("token-{number}{padding}")
        };
        let grant = Grant {
            user: user.map(str::to_owned),
            scopes,
            until: Instant::now() + rules.lifetime,
        };
        table.granted.insert(token.clone(), grant);
        token
    }

    /// Returns a new refresh token for this user.
    pub(crate) fn grant_refresh(&self, user: &str) -> String {
        let mut table = self.lock();
        table.next += 1;
        let token = format!("refresh-{}", table.next);
        table.refresh.insert(token.clone(), user.to_owned());
        token
    }

    pub(crate) fn user_of_refresh(&self, token: &str) -> Option<String> {
        self.lock().refresh.get(token).cloned()
    }

    /// Returns the contents of a token, if it is known and has not expired.
    pub(crate) fn claims(&self, token: &str) -> Option<Claims> {
        let table = self.lock();
        let grant = table.granted.get(token)?;
        (Instant::now() < grant.until).then(|| Claims {
            user: grant.user.clone(),
            scopes: grant.scopes.clone(),
        })
    }

    /// Revokes all tokens granted so far.
    pub(crate) fn expire(&self) {
        self.lock().granted.clear();
    }

    /// Revokes one token.
    pub(crate) fn expire_one(&self, token: &str) {
        self.lock().granted.remove(token);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        lock(&self.inner)
    }
}
