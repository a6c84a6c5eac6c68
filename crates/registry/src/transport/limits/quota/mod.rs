//! Number of pulls that a registry has left for us: Docker Hub's quota (docs/protocol.md#warnings-and-quotas).
//!
//! The answers to GET and HEAD of manifests declare it: `ratelimit-limit: 100;w=21600`, `ratelimit-remaining:
//! 57;w=21600`, `docker-ratelimit-source`. A GET counts, a HEAD does not; without these headers there is no limit. The
//! rules, for each registry and account:
//!
//! - There are never more GETs of manifests in flight than pulls are left. HEADs are always sent: they are free, and
//!   show when there are more.
//! - When a tenth or less is left, a warning is reported once.
//! - When none is left, no GET is sent that can only be refused. After the time in which the quota gives one pull on
//!   average (3.6 min for 100 in 6 h), one is assumed to be back, and tried. All such waits of a run together,
//!   including those for a `Retry-After`, last at most [`PATIENCE`]; then pulls fail immediately, with the reason. So a
//!   run that lacks a few pulls succeeds, and one that lacks hundreds ends soon, with a list for the next run, instead
//!   of hanging for a night.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::lock::lock;
use crate::reference::Registry;
use crate::text;
use crate::transport::shutdown_deadline::{DeadlineExceeded, ShutdownDeadline};

/// Longest time that a run waits for pulls to come back, in total.
const PATIENCE: Duration = Duration::from_secs(900);
/// Longest window that is accepted.
const LONGEST_WINDOW: u64 = 31 * 24 * 60 * 60;
/// Maximum length of the registry's name for an account that is shown.
const LONGEST_SOURCE: usize = 64;

/// The quotas of all accounts.
#[derive(Default)]
pub(in crate::transport) struct Quotas(Mutex<HashMap<(Registry, String), Arc<QuotaAccount>>>);

/// One account at one registry.
pub(in crate::transport) struct QuotaAccount {
    /// The user; empty for anonymous pulls.
    user: String,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The quota that the registry declared. `None`: no known limit.
    quota: Option<PullQuota>,
    in_flight: u64,
    /// Time at which one pull is assumed to be back.
    due: Option<Instant>,
    /// Time that the run has waited for pulls.
    waited: Duration,
    told_of_few: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct PullQuota {
    limit: u64,
    window: Duration,
    left: u64,
    /// Owner of the quota, in the registry's words.
    source: Option<String>,
    /// Time of the declaration.
    at: Instant,
}

/// The next step for a pull.
#[derive(Debug, PartialEq, Eq)]
enum PullDecision {
    Go,
    /// Wait until another pull has its answer, or until then. The first to wait also receives the message to report.
    Wait(Option<Instant>, Option<String>),
    Fail(String),
}

/// Reason for which a pull is not sent.
#[derive(Debug)]
pub(in crate::transport) enum PullRefused {
    /// The run ends before it may be sent.
    DeadlineExceeded,
    /// No pull is left; with a clause.
    UsedUp(String),
}

/// A pull in flight.
pub(in crate::transport) struct PendingPull {
    account: Arc<QuotaAccount>,
    /// True while it is unknown if the pull was counted.
    unknown: bool,
}

impl Quotas {
    /// Returns the account of `user` at `registry`.
    pub(in crate::transport) fn account(
        &self,
        registry: &Registry,
        user: &str,
    ) -> Arc<QuotaAccount> {
        let mut accounts = lock(&self.0);
        let made = accounts
            .entry((registry.clone(), user.to_owned()))
            .or_insert_with(|| {
                Arc::new(QuotaAccount {
                    user: user.to_owned(),
                    state: Mutex::default(),
                    changed: Notify::new(),
                })
            });
        Arc::clone(made)
    }
    /// Returns the smallest number of pulls that an account at `registry` has left.
    pub(in crate::transport) fn remaining(&self, registry: &Registry) -> Option<u64> {
        let accounts = lock(&self.0);
        let accounts = accounts.iter().filter(|((of, _), _)| of == registry);
        let left = accounts.filter_map(|(_, account)| {
            let state = account.lock();
            state.quota.as_ref().map(|quota| quota.left)
        });
        left.min()
    }
}

impl QuotaAccount {
    /// Waits until a pull may be sent. Messages for a person go to `tell`.
    pub(in crate::transport) async fn admit(
        self: &Arc<Self>,
        shutdown: &ShutdownDeadline,
        tell: impl Fn(&str),
    ) -> Result<PendingPull, PullRefused> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // No change is missed from here on.
            changed.as_mut().enable();
            let decision = self.lock().decide(Instant::now(), &self.user);
            let (until, news) = match decision {
                PullDecision::Go => {
                    return Ok(PendingPull {
                        account: Arc::clone(self),
                        unknown: true,
                    });
                }
                PullDecision::Fail(why) => return Err(PullRefused::UsedUp(why)),
                PullDecision::Wait(until, news) => (until, news),
            };
            if let Some(news) = news {
                tell(&news);
            }
            let Some(until) = until else {
                changed.await;
                continue;
            };
            tokio::select! {
                () = changed => {}
                waited = shutdown.until(until) => waited.map_err(|DeadlineExceeded| PullRefused::DeadlineExceeded)?,
            }
        }
    }
    /// Records the answer to a request that began at `began`. Returns a message for a person.
    pub(in crate::transport) fn record_answer(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        began: Instant,
    ) -> Option<String> {
        let mut state = self.lock();
        match read(headers) {
            Some(told) => state.update(told, began),
            // An error without these headers does not mean that there is no limit.
            None if status.is_success() => state.quota = None,
            None => return None,
        }
        let news = state.few(&self.user);
        drop(state);
        self.changed.notify_waiters();
        news
    }
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn decide(&mut self, now: Instant, user: &str) -> PullDecision {
        let Some(quota) = self.quota.as_mut() else {
            self.in_flight = self.in_flight.saturating_add(1);
            return PullDecision::Go;
        };
        if self.in_flight >= quota.left && self.in_flight > 0 {
            return PullDecision::Wait(None, None);
        }
        if quota.left == 0 {
            match self.due {
                Some(due) if due <= now => {
                    self.due = None;
                    quota.left = 1;
                }
                Some(due) => return PullDecision::Wait(Some(due), None),
                None => {
                    let step = quota.step();
                    let after = self.waited.saturating_add(step);
                    if after > PATIENCE {
                        return PullDecision::Fail(quota.used_up(user));
                    }
                    let first = self.waited.is_zero();
                    self.waited = after;
                    self.due = Some(now + step);
                    let news = first.then(|| quota.waiting(user));
                    return PullDecision::Wait(self.due, news);
                }
            }
        }
        self.in_flight = self.in_flight.saturating_add(1);
        PullDecision::Go
    }
    /// Answers may overtake each other. A lower number is accepted; a higher one only if its request began after the
    /// last accepted answer had come.
    fn update(&mut self, told: PullQuota, began: Instant) {
        let stale = self
            .quota
            .as_ref()
            .is_some_and(|known| told.left > known.left && began < known.at);
        if stale {
            return;
        }
        if told.left > 0 {
            self.due = None;
        }
        self.quota = Some(told);
    }
    /// Returns, once, a message that few pulls are left.
    fn few(&mut self, user: &str) -> Option<String> {
        let quota = self.quota.as_ref()?;
        if self.told_of_few || quota.left > quota.limit / 10 {
            return None;
        }
        self.told_of_few = true;
        Some(quota.few(user))
    }
}

impl PullQuota {
    /// Returns the time in which one pull comes back on average.
    fn step(&self) -> Duration {
        let limit = u32::try_from(self.limit).unwrap_or(u32::MAX).max(1);
        (self.window / limit).max(Duration::from_secs(1))
    }
    fn few(&self, user: &str) -> String {
        format!("{}; {}", self.describe(user), advice(user))
    }
    fn waiting(&self, user: &str) -> String {
        format!(
            "{}: one is tried every {}, for {} at most; then what is left fails, until a later run",
            self.describe(user),
            span(self.step()),
            span(PATIENCE)
        )
    }
    fn used_up(&self, user: &str) -> String {
        format!(
            "its pull quota is used up: {}, and this run no longer waits for more; {}",
            self.describe(user),
            advice(user)
        )
    }
    fn describe(&self, user: &str) -> String {
        let left = match self.left {
            0 => "none".to_owned(),
            left => left.to_string(),
        };
        let who = match (user, &self.source) {
            ("", Some(source)) => format!("anonymous pulls from {source}"),
            ("", None) => "anonymous pulls from this address".to_owned(),
            (user, Some(source)) => format!("{user} ({source})"),
            (user, None) => user.to_owned(),
        };
        format!(
            "{left} of {} pulls in {} are left for {who}",
            self.limit,
            span(self.window)
        )
    }
}

/// Returns the clause with the ways to get more pulls.
fn advice(user: &str) -> &'static str {
    if user.is_empty() {
        "a login has a higher quota (docker login, or --auth)"
    } else {
        "a larger plan has more"
    }
}

/// Returns true if the headers of an answer declare a quota.
pub(in crate::transport) fn declares_quota(headers: &HeaderMap) -> bool {
    read(headers).is_some()
}

/// Returns the quota in the headers of an answer.
fn read(headers: &HeaderMap) -> Option<PullQuota> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let (limit, window) = counted(text("ratelimit-limit")?)?;
    let (left, _) = counted(text("ratelimit-remaining")?)?;
    let source = text("docker-ratelimit-source").map(|source| text::clean(source, LONGEST_SOURCE));
    (limit > 0).then_some(PullQuota {
        limit,
        window,
        left: left.min(limit),
        source: source.filter(|source| !source.is_empty()),
        at: Instant::now(),
    })
}

/// Parses `57;w=21600`. Without a window it is an unknown kind of limit.
fn counted(value: &str) -> Option<(u64, Duration)> {
    let (count, parameters) = value.split_once(';')?;
    let mut parameters = parameters.split(';');
    let window = parameters.find_map(|parameter| parameter.trim().strip_prefix("w="))?;
    let seconds: u64 = window.trim().parse().ok()?;
    let known = (1..=LONGEST_WINDOW).contains(&seconds);
    let count = count.trim().parse().ok()?;
    known.then(|| (count, Duration::from_secs(seconds)))
}

/// Formats a time as `6 h`, `15 min`, `216 s`.
fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds % 3600 == 0 => format!("{} h", seconds / 3600),
        seconds if seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

impl PendingPull {
    /// Marks that its answer came, and was [recorded](QuotaAccount::record_answer).
    pub(in crate::transport) fn complete(mut self) {
        self.unknown = false;
    }
}

impl Drop for PendingPull {
    fn drop(&mut self) {
        let mut state = self.account.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
        if self.unknown
            && let Some(quota) = state.quota.as_mut()
        {
            quota.left = quota.left.saturating_sub(1);
        }
        drop(state);
        self.account.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
