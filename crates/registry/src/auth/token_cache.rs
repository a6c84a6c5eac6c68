//! The tokens of one registry.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use http::HeaderValue;
use tokio::time::Instant;

use crate::auth::credential::Credential;
use crate::auth::scopes::Scopes;
use crate::keyed_once::SingleFlight;
use crate::lock::lock;

/// Maximum number of groups (credential and first repository), and of tokens in each.
const MAX_GROUPS: usize = 1024;
const MAX_SLOTS: usize = 64;
/// Maximum number of requests whose outcome with a shared token is remembered.
const MAX_FARED: usize = 64;
/// Bounds of the remaining lifetime at which a token is renewed, which is 15 % of its lifetime.
const MIN_MARGIN: Duration = Duration::from_secs(10);
const MAX_MARGIN: Duration = Duration::from_secs(300);
/// Age below which a token that was never accepted counts as new, and age below which a token that is called valid but
/// insufficient does. Some registries call an expired token insufficient.
const YOUTH: Duration = Duration::from_secs(30);
const SURELY_GOOD: Duration = Duration::from_secs(60);

/// A token with its `Authorization` header.
#[derive(Debug)]
pub(super) struct Token {
    header: HeaderValue,
    /// Requested scopes. For a shared token that names its scopes, those that it grants.
    granted: Scopes,
    /// Scopes that the token names, if it does.
    named: Option<Scopes>,
    requested_at: Instant,
    expires_at: Instant,
    /// The token has expired according to the registry.
    is_expired: AtomicBool,
    accepted: AtomicBool,
    /// Outcome of each request that used it, for a shared token.
    shared: Option<Mutex<Vec<TokenUse>>>,
}

/// Outcome of a request with a shared token.
#[derive(Debug)]
struct TokenUse {
    wanted: Scopes,
    is_accepted: bool,
}

impl Token {
    /// Creates a token that was requested at `born` (local clock) and is valid for `life`.
    pub(super) fn new(
        header: HeaderValue,
        granted: Scopes,
        requested_at: Instant,
        life: Duration,
    ) -> Self {
        Self {
            header,
            granted,
            named: None,
            requested_at,
            expires_at: requested_at.checked_add(life).unwrap_or(requested_at),
            is_expired: AtomicBool::new(false),
            accepted: AtomicBool::new(false),
            shared: None,
        }
    }
    /// Returns whether the token grants all of `wanted`, according to its server.
    pub(super) fn grants(&self, wanted: &Scopes) -> bool {
        let named = self.named.as_ref();
        self.granted.covers(wanted) && named.is_none_or(|named| named.covers(wanted))
    }
    /// Adds the scopes that the token names.
    pub(super) fn with_granted(mut self, named: Option<Scopes>) -> Self {
        self.named = named;
        self
    }
    /// Marks the token as shared by several requests.
    pub(super) fn shared(mut self) -> Self {
        if let Some(named) = &self.named {
            self.granted = self.granted.restricted_to(named);
        }
        self.shared = Some(Mutex::default());
        self
    }
    /// Returns whether several requests share it.
    pub(super) fn is_shared(&self) -> bool {
        self.shared.is_some()
    }
    /// Returns whether the token names its scopes.
    pub(super) fn is_readable(&self) -> bool {
        self.named.is_some()
    }
    /// Returns the scopes that it grants, as far as is known.
    pub(super) fn granted(&self) -> &Scopes {
        &self.granted
    }
    /// Returns whether it serves a request for `wanted` as well as a token of its own would.
    pub(super) fn is_for(&self, wanted: &Scopes) -> bool {
        self.granted.holds_head_of(wanted)
    }
    /// Returns whether it can be sent with a request for `wanted`.
    pub(super) fn is_usable(&self, wanted: &Scopes) -> bool {
        self.is_fresh() && self.recorded_use(wanted) != Some(false)
    }
    /// Returns whether the registry accepted it for `wanted`, or `None` if that is unknown.
    pub(super) fn recorded_use(&self, wanted: &Scopes) -> Option<bool> {
        let Some(shared) = &self.shared else {
            return self.accepted.load(Ordering::Relaxed).then_some(true);
        };
        let uses = lock(shared);
        let own = uses.iter().find(|own| own.wanted == *wanted);
        own.map(|own| own.is_accepted)
    }
    /// Records whether the registry accepted it for `wanted`.
    pub(super) fn record_use(&self, wanted: &Scopes, is_accepted: bool) {
        let Some(shared) = &self.shared else {
            self.accepted.fetch_or(is_accepted, Ordering::Relaxed);
            return;
        };
        let mut uses = lock(shared);
        if let Some(own) = uses.iter_mut().find(|own| own.wanted == *wanted) {
            own.is_accepted = is_accepted;
            return;
        }
        if uses.len() >= MAX_FARED {
            uses.remove(0);
        }
        uses.push(TokenUse {
            wanted: wanted.clone(),
            is_accepted,
        });
    }
    /// Marks it as expired.
    pub(super) fn discard(&self) {
        self.is_expired.store(true, Ordering::Relaxed);
    }
    /// Returns the `Authorization` header.
    pub(super) fn header(&self) -> &HeaderValue {
        &self.header
    }
    /// Returns whether enough of its lifetime remains for a new request.
    pub(super) fn is_fresh(&self) -> bool {
        if self.is_expired.load(Ordering::Relaxed) {
            return false;
        }
        let life = self.expires_at.duration_since(self.requested_at);
        let margin = (life * 3 / 20).clamp(MIN_MARGIN, MAX_MARGIN);
        self.expires_at.saturating_duration_since(Instant::now()) > margin
    }
    /// Returns whether a refused request for `wanted` may mean that the token expired, because it was accepted before
    /// or is not new. `insufficient` means that the registry calls it valid but insufficient.
    pub(super) fn may_have_run_out(&self, wanted: &Scopes, insufficient: bool) -> bool {
        let age = self.requested_at.elapsed();
        if insufficient {
            return age >= SURELY_GOOD;
        }
        self.recorded_use(wanted) == Some(true) || age >= YOUTH
    }
}

/// Cache slot for one credential and one list of scopes.
#[derive(Debug)]
pub(super) struct TokenSlot {
    wanted: Scopes,
    /// Fetches the token once for all waiting tasks.
    pub(super) flight: SingleFlight<Arc<Token>>,
}

/// Slots of one credential with the same first scope. A token of one may serve another.
#[derive(Debug)]
struct TokenGroup {
    used: Instant,
    slots: Vec<Arc<TokenSlot>>,
}

/// Bounded cache of tokens by credential and scopes. The least recently used are evicted first.
#[derive(Debug, Default)]
pub(super) struct TokenCache {
    groups: Mutex<HashMap<(Credential, String), TokenGroup>>,
}

impl TokenCache {
    /// Returns a fresh token for `wanted`: the one that was requested with exactly these scopes, or one that grants
    /// more in the same first repository.
    pub(super) fn find(&self, credential: &Credential, wanted: &Scopes) -> Option<Arc<Token>> {
        let mut groups = self.groups();
        let group = groups.get_mut(&key(credential, wanted))?;
        group.used = Instant::now();
        let good =
            |slot: &Arc<TokenSlot>| slot.flight.peek().filter(|token| token.is_usable(wanted));
        let exact = group
            .slots
            .iter()
            .find(|slot| slot.wanted == *wanted)
            .and_then(good);
        exact.or_else(|| {
            group
                .slots
                .iter()
                .filter_map(good)
                .find(|token| token.granted.covers(wanted))
        })
    }
    /// Returns the slot for exactly these scopes.
    pub(super) fn slot(&self, credential: &Credential, wanted: &Scopes) -> Arc<TokenSlot> {
        let mut groups = self.groups();
        let key = key(credential, wanted);
        if groups.len() >= MAX_GROUPS && !groups.contains_key(&key) {
            make_room(&mut groups);
        }
        let group = groups.entry(key).or_insert_with(|| TokenGroup {
            used: Instant::now(),
            slots: Vec::new(),
        });
        group.used = Instant::now();
        if let Some(slot) = group.slots.iter().find(|slot| slot.wanted == *wanted) {
            return slot.clone();
        }
        if group.slots.len() >= MAX_SLOTS {
            group.slots.remove(0);
        }
        let slot = Arc::new(TokenSlot {
            wanted: wanted.clone(),
            flight: SingleFlight::default(),
        });
        group.slots.push(slot.clone());
        slot
    }
    fn groups(&self) -> MutexGuard<'_, HashMap<(Credential, String), TokenGroup>> {
        lock(&self.groups)
    }
    #[cfg(test)]
    fn len(&self) -> usize {
        self.groups().len()
    }
}

fn key(credential: &Credential, wanted: &Scopes) -> (Credential, String) {
    (credential.clone(), wanted.head().to_owned())
}

/// Drops groups without a fresh token, and then, if too few were dropped, the less recently used half.
fn make_room(groups: &mut HashMap<(Credential, String), TokenGroup>) {
    groups.retain(|_, group| {
        group.slots.iter().any(|slot| {
            // A slot that somebody holds may be waiting for its token at this moment.
            Arc::strong_count(slot) > 1 || slot.flight.peek().is_some_and(|token| token.is_fresh())
        })
    });
    if groups.len() > MAX_GROUPS * 3 / 4 {
        let mut ages: Vec<Instant> = groups.values().map(|group| group.used).collect();
        ages.sort_unstable();
        if let Some(&median) = ages.get(ages.len() / 2) {
            groups.retain(|_, group| group.used > median);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn token(text: &'static str, wanted: &Scopes, life: u64) -> Arc<Token> {
        let header = HeaderValue::from_static(text);
        Arc::new(Token::new(
            header,
            wanted.clone(),
            Instant::now(),
            Duration::from_secs(life),
        ))
    }

    async fn put(tokens: &TokenCache, wanted: &Scopes, token: Arc<Token>) {
        let slot = tokens.slot(&Credential::Anonymous, wanted);
        slot.flight
            .get(|_| false, async { Ok(token) })
            .await
            .unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_renewed_while_some_of_its_life_is_left() {
        let wanted = Scopes::one("repository:a:pull");
        for (life, good_for) in [(60, 49), (300, 254), (3600, 3299), (43_200, 42_899)] {
            let token = token("x", &wanted, life);
            tokio::time::advance(Duration::from_secs(good_for)).await;
            assert!(token.is_fresh(), "{life}");
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(!token.is_fresh(), "{life}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wider_token_of_the_same_repository_does() {
        let tokens = TokenCache::default();
        let (pull, push) = (
            Scopes::one("repository:a:pull"),
            Scopes::one("repository:a:pull,push"),
        );
        put(&tokens, &push, token("push", &push, 60)).await;
        assert_eq!(
            tokens.find(&Credential::Anonymous, &pull).unwrap().header(),
            "push"
        );
        put(&tokens, &pull, token("pull", &pull, 600)).await;
        assert_eq!(
            tokens.find(&Credential::Anonymous, &pull).unwrap().header(),
            "pull"
        );
        let other = Credential::Bearer(crate::auth::Secret::new("x"));
        assert!(tokens.find(&other, &pull).is_none());
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(tokens.find(&Credential::Anonymous, &push).is_none());
    }

    #[tokio::test]
    async fn a_token_grants_what_was_asked_for_and_its_server_did_not_leave_out() {
        let (push, mount) = ("repository:a:pull,push", "repository:b:pull");
        let mut both = Scopes::one(push);
        both.add(mount);
        let token = |asked: &Scopes, named: Option<Scopes>| {
            let header = HeaderValue::from_static("x");
            Token::new(header, asked.clone(), Instant::now(), MIN_MARGIN).with_granted(named)
        };
        assert!(token(&both, None).grants(&both));
        assert!(token(&both, Some(both.clone())).grants(&both));
        assert!(!token(&both, Some(Scopes::one(push))).grants(&both));
        assert!(!token(&Scopes::one(push), None).grants(&both));
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_was_never_let_in_is_fresh_for_a_while() {
        let wanted = Scopes::one("repository:a:pull");
        let tokens = TokenCache::default();
        put(&tokens, &wanted, token("x", &wanted, 600)).await;
        let found = tokens.find(&Credential::Anonymous, &wanted).unwrap();
        assert!(!found.may_have_run_out(&wanted, false));
        found.record_use(&wanted, true);
        assert!(found.may_have_run_out(&wanted, false));
        assert!(!found.may_have_run_out(&wanted, true));
        tokio::time::advance(SURELY_GOOD).await;
        assert!(found.may_have_run_out(&wanted, true));
        found.discard();
        assert!(tokens.find(&Credential::Anonymous, &wanted).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_however_many_repositories_there_are() {
        let tokens = TokenCache::default();
        for index in 0..20_000 {
            let wanted = Scopes::one(&format!("repository:r{index}:pull"));
            put(&tokens, &wanted, token("x", &wanted, 3600)).await;
            tokio::time::advance(Duration::from_millis(1)).await;
            assert!(tokens.len() <= MAX_GROUPS);
            assert!(tokens.find(&Credential::Anonymous, &wanted).is_some());
        }
        for index in 0..1000 {
            let mut wanted = Scopes::one("repository:a:pull,push");
            wanted.add(&format!("repository:r{index}:pull"));
            put(&tokens, &wanted, token("x", &wanted, 3600)).await;
        }
        let groups = tokens.groups();
        let group = groups
            .get(&key(
                &Credential::Anonymous,
                &Scopes::one("repository:a:pull"),
            ))
            .unwrap();
        assert_eq!(group.slots.len(), MAX_SLOTS);
    }
}
