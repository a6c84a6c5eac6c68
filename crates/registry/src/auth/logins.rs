//! Tracks which logins a host accepts, so that a refused one is not sent again and again: Harbor, LDAP and GitLab lock
//! accounts for that.
//!
//! Until a login was accepted, its requests are sent one at a time. After a refusal the login alone is checked, as
//! `docker login` does, because the refusal may be about one repository. A login that was refused three times, or once
//! on its own, is not sent again: every further request fails at once with the same error. A login that was accepted
//! before is doubted only after three refusals in a row.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::auth::credential::Credential;
use crate::error::Error;
use crate::lock::lock;

/// Maximum number of refused requests with a login that was never accepted.
const MAX_REFUSALS: u32 = 3;
/// Time for which a request waits for the first one alone. A host that hangs for one must not hold up all.
const PATIENCE: Duration = Duration::from_secs(3);
/// Time for which a request waits at all.
const LIMIT: Duration = Duration::from_secs(60);
/// Maximum number of logins, and of repositories of each, that are remembered.
const MAX_LOGINS: usize = 1024;
const MAX_REPOSITORIES: usize = 4096;

/// The logins at one host.
#[derive(Debug, Default)]
pub(super) struct Logins(Mutex<HashMap<Credential, [Arc<LoginGate>; 2]>>);

/// Admits requests with one login for one kind of access.
#[derive(Debug, Default)]
pub(super) struct LoginGate {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    is_proven: bool,
    /// Refusals since the login was last accepted.
    refusals: u32,
    in_flight: u32,
    /// The login alone was checked, without a clear answer.
    is_checked: bool,
    /// Another login of the same account was refused: this one is checked alone before it is used.
    is_renewed: bool,
    last: Option<Error>,
    /// The error of every further request.
    refused: Option<Error>,
    /// Repositories that were let in.
    repositories: HashSet<String>,
}

/// Decision on a request with a login.
pub(super) enum LoginAdmission {
    /// Send it. The guard is held until the answer is known.
    Go(Option<LoginGuard>),
    /// Check the login alone first, and report to [`LoginGate::checked`].
    Check(LoginGuard),
    /// Fail: the login is refused.
    Refused(Error),
}

/// A request with a login that was not accepted yet.
#[derive(Debug)]
pub(super) struct LoginGuard(Arc<LoginGate>);

/// The outcome of a check of the login alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    Accepted,
    Refused,
    Unclear,
}

impl Logins {
    /// Returns the gate of `credential` for reading or writing.
    pub(super) fn gate(&self, credential: &Credential, writes: bool) -> Arc<LoginGate> {
        let mut logins = lock(&self.0);
        if logins.len() >= MAX_LOGINS && !logins.contains_key(credential) {
            return Arc::default();
        }
        let gates = if let Some(gates) = logins.get(credential) {
            gates.clone()
        } else {
            let mut same_account = logins
                .iter()
                .filter(|(other, _)| other.user() == credential.user())
                .flat_map(|(_, gates)| gates);
            let refused = same_account.find_map(|gate| gate.state().doubt());
            let gates = [(); 2].map(|()| LoginGate::after(refused.as_ref()));
            logins.insert(credential.clone(), gates.clone());
            gates
        };
        let [reads, write] = gates;
        if writes { write } else { reads }
    }
    /// Forgets the logins that are not sent again, so that each is tried once more.
    pub(super) fn forget_refusals(&self) {
        let is_refused = |gate: &Arc<LoginGate>| gate.state().refused.is_some();
        lock(&self.0).retain(|_, gates| !gates.iter().any(is_refused));
    }
}

impl LoginGate {
    /// Creates the gate of a login that replaces one that was `refused`, if there was one.
    fn after(refused: Option<&Error>) -> Arc<Self> {
        let state = State {
            is_renewed: refused.is_some(),
            last: refused.cloned(),
            ..State::default()
        };
        Arc::new(Self {
            state: Mutex::new(state),
            changed: Notify::new(),
        })
    }
    /// Waits for the decision on a request with the login.
    pub(super) async fn admit(self: &Arc<Self>) -> LoginAdmission {
        let start = Instant::now();
        loop {
            let mut changed = pin!(self.changed.notified());
            // Before the look at the state, so that no change falls between the two.
            changed.as_mut().enable();
            let waited = start.elapsed();
            if let Some(admission) = self.try_admit(waited >= PATIENCE) {
                return admission;
            }
            if waited >= LIMIT {
                return LoginAdmission::Go(None);
            }
            let limit = if waited < PATIENCE { PATIENCE } else { LIMIT };
            timeout_at(start + limit, changed).await.ok();
        }
    }
    fn try_admit(self: &Arc<Self>, is_patient: bool) -> Option<LoginAdmission> {
        let mut state = self.state();
        if let Some(error) = &state.refused {
            return Some(LoginAdmission::Refused(error.clone()));
        }
        let is_doubtful = state.refusals >= MAX_REFUSALS;
        if state.is_proven && !is_doubtful {
            return Some(LoginAdmission::Go(None));
        }
        let is_unsure = state.refusals > 0 || state.is_renewed;
        let checks = is_doubtful || (is_unsure && !state.is_checked);
        let may_go = if checks {
            state.in_flight == 0
        } else {
            state.refusals + state.in_flight < MAX_REFUSALS && (state.in_flight == 0 || is_patient)
        };
        if !may_go {
            return None;
        }
        state.in_flight += 1;
        let guard = LoginGuard(Arc::clone(self));
        Some(if checks {
            LoginAdmission::Check(guard)
        } else {
            LoginAdmission::Go(Some(guard))
        })
    }
    /// Records that the host accepted the login.
    pub(super) fn accepted(&self) {
        let mut state = self.state();
        let is_news = !state.is_proven || state.refusals > 0;
        state.is_proven = true;
        state.refusals = 0;
        state.is_checked = false;
        drop(state);
        if is_news {
            self.changed.notify_waiters();
        }
    }
    /// Records that a request for `repository` was accepted.
    pub(super) fn record_accepted(&self, repository: &str) {
        self.accepted();
        let mut state = self.state();
        if !state.repositories.contains(repository) && state.repositories.len() < MAX_REPOSITORIES {
            state.repositories.insert(repository.to_owned());
        }
    }
    /// Records that a request was refused with `error`.
    pub(super) fn refused(&self, error: &Error) {
        let mut state = self.state();
        state.refusals = state.refusals.saturating_add(1);
        state.last = Some(error.clone());
        if !state.is_proven && state.refusals >= MAX_REFUSALS {
            state.refused = Some(error.clone());
        }
        drop(state);
        self.changed.notify_waiters();
    }
    /// Records the outcome of a check of the login alone.
    pub(super) fn checked(&self, outcome: Checked) {
        match outcome {
            Checked::Accepted => self.accepted(),
            Checked::Refused => {
                let mut state = self.state();
                let last = state.last.clone();
                state.refused = last;
            }
            Checked::Unclear => {
                let mut state = self.state();
                state.is_checked = true;
                if state.is_proven {
                    state.refusals = 0;
                }
            }
        }
        self.changed.notify_waiters();
    }
    /// Returns whether the host accepted the login before.
    pub(super) fn is_proven(&self) -> bool {
        self.state().is_proven
    }
    /// Returns whether a request for `repository` was accepted before.
    pub(super) fn knows(&self, repository: &str) -> bool {
        self.state().repositories.contains(repository)
    }
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Returns the refusal of a login that was never accepted.
    fn doubt(&self) -> Option<Error> {
        let is_refused = self.refused.is_some() || (self.refusals > 0 && !self.is_proven);
        self.last.clone().filter(|_| is_refused)
    }
}

impl Drop for LoginGuard {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.in_flight = state.in_flight.saturating_sub(1);
        drop(state);
        self.0.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use futures_util::FutureExt;

    use super::*;
    use crate::error::ErrorKind;

    fn error() -> Error {
        Error::new(ErrorKind::Unauthorized, "fetch", "r.example", "401")
    }

    fn go(gate: &Arc<LoginGate>) -> Option<LoginGuard> {
        match gate.admit().now_or_never() {
            Some(LoginAdmission::Go(guard)) => guard,
            _ => panic!("it does not go"),
        }
    }

    #[tokio::test]
    async fn one_goes_until_the_login_is_accepted() {
        let gate = Arc::new(LoginGate::default());
        let first = go(&gate);
        assert!(first.is_some());
        assert!(gate.admit().now_or_never().is_none());
        gate.accepted();
        assert!(go(&gate).is_none() && go(&gate).is_none());
        drop(first);
    }

    #[tokio::test]
    async fn a_refusal_is_checked_and_a_refused_check_is_final() {
        let gate = Arc::new(LoginGate::default());
        let first = go(&gate);
        gate.refused(&error());
        drop(first);
        let LoginAdmission::Check(guard) = gate.admit().await else {
            panic!("it is not checked");
        };
        assert!(gate.admit().now_or_never().is_none());
        gate.checked(Checked::Refused);
        drop(guard);
        assert!(matches!(gate.admit().await, LoginAdmission::Refused(_)));
    }

    #[tokio::test]
    async fn a_forgotten_refusal_lets_one_request_go_and_accepted_logins_stay() {
        let login = |username: &str| Credential::Basic {
            username: username.to_owned(),
            password: crate::auth::Secret::new("secret"),
        };
        let logins = Logins::default();
        let accepted = logins.gate(&login("ada"), false);
        accepted.accepted();
        let refused = logins.gate(&login("bob"), false);
        for _ in 0..MAX_REFUSALS {
            refused.refused(&error());
        }
        let refused = logins.gate(&login("bob"), false);
        assert!(matches!(refused.admit().await, LoginAdmission::Refused(_)));
        logins.forget_refusals();
        let again = logins.gate(&login("bob"), false);
        let first = go(&again);
        assert!(first.is_some() && again.admit().now_or_never().is_none());
        assert!(Arc::ptr_eq(&accepted, &logins.gate(&login("ada"), false)));
    }

    #[tokio::test]
    async fn a_renewed_login_is_checked_alone_first_and_refused_at_once() {
        let login = |password: &str| Credential::Basic {
            username: "ada".to_owned(),
            password: crate::auth::Secret::new(password),
        };
        let logins = Logins::default();
        let old = logins.gate(&login("old"), false);
        drop((go(&old), old.refused(&error())));
        assert!(matches!(old.admit().await, LoginAdmission::Check(_)));
        old.checked(Checked::Refused);
        let renewed = logins.gate(&login("new"), false);
        assert!(matches!(renewed.admit().await, LoginAdmission::Check(_)));
        renewed.checked(Checked::Refused);
        assert!(matches!(renewed.admit().await, LoginAdmission::Refused(_)));
        let right = logins.gate(&login("right"), true);
        assert!(matches!(right.admit().await, LoginAdmission::Check(_)));
        right.checked(Checked::Accepted);
        assert!(go(&right).is_none());
        let other = Credential::Bearer(crate::auth::Secret::new("t"));
        assert!(go(&logins.gate(&other, false)).is_some());
    }

    #[tokio::test]
    async fn three_refusals_are_final_where_a_check_says_nothing() {
        let gate = Arc::new(LoginGate::default());
        drop((go(&gate), gate.refused(&error())));
        assert!(matches!(gate.admit().await, LoginAdmission::Check(_)));
        gate.checked(Checked::Unclear);
        drop((go(&gate), gate.refused(&error())));
        drop((go(&gate), gate.refused(&error())));
        assert!(matches!(gate.admit().await, LoginAdmission::Refused(_)));
    }

    #[tokio::test]
    async fn a_login_that_was_accepted_is_doubted_after_three_refusals_in_a_row() {
        let gate = Arc::new(LoginGate::default());
        gate.accepted();
        for _ in 0..2 {
            gate.refused(&error());
        }
        assert!(go(&gate).is_none());
        gate.accepted();
        for _ in 0..3 {
            gate.refused(&error());
        }
        assert!(matches!(gate.admit().await, LoginAdmission::Check(_)));
        gate.checked(Checked::Unclear);
        assert!(go(&gate).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_three_are_under_way_however_slow_the_host_is() {
        let gate = Arc::new(LoginGate::default());
        let first = go(&gate);
        let second = gate.admit().await;
        let third = gate.admit().await;
        let start = Instant::now();
        assert!(matches!(gate.admit().await, LoginAdmission::Go(None)));
        assert_eq!(start.elapsed(), LIMIT);
        drop((first, second, third));
    }
}
