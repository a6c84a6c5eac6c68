//! Number of pulls that a registry has left for us: Docker Hub's quota (docs/protocol.md#warnings-and-quotas).
//!
//! Its answers to GET and HEAD of manifests say so: `ratelimit-limit: 100;w=21600`, `ratelimit-remaining: 57;w=21600`,
//! `docker-ratelimit-source`. A GET counts, a HEAD does not; who is not told is not limited. The rules, for each
//! registry and account:
//!
//! - There are never more GETs of manifests in flight than pulls are left. HEADs always go: they are free, and tell when
//!   there are more.
//! - When a tenth or less is left, that is told once.
//! - When none is left, none is sent that can only be refused. After the time in which the quota gives one pull on
//!   average (3.6 min for 100 in 6 h), one is taken to have come back, and tried. All such waits of a run together are at
//!   most [`PATIENCE`], what is also waited for a `Retry-After`; then pulls fail at once, and say why. So a run that lacks
//!   a few pulls ends well, and one that lacks hundreds ends soon, with a list of what the next has to do, instead of
//!   hanging for a night.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::reference::Registry;
use crate::text;
use crate::transport::shutdown_deadline::{DeadlineExceeded, ShutdownDeadline};

/// How long a run waits for pulls to come back, all in all.
const PATIENCE: Duration = Duration::from_secs(900);
/// The longest window that is believed.
const LONGEST_WINDOW: u64 = 31 * 24 * 60 * 60;
/// How much of what a registry calls an account is shown.
const LONGEST_SOURCE: usize = 64;

/// The quotas of all accounts.
#[derive(Default)]
pub(in crate::transport) struct Quotas(Mutex<HashMap<(Registry, String), Arc<QuotaAccount>>>);

/// One account at one registry.
pub(in crate::transport) struct QuotaAccount {
    /// Its user; empty for nobody.
    user: String,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// What the registry said; `None`: no limit, as far as is known.
    quota: Option<PullQuota>,
    in_flight: u64,
    /// When one pull is taken to have come back.
    due: Option<Instant>,
    /// What the run has waited for pulls.
    waited: Duration,
    told_of_few: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct PullQuota {
    limit: u64,
    window: Duration,
    left: u64,
    /// Whom it is for, in the registry's words.
    source: Option<String>,
    /// When it was told.
    at: Instant,
}

/// What may be done about a pull now.
#[derive(Debug, PartialEq, Eq)]
enum PullDecision {
    Go,
    /// Until another pull has its answer, or until then; the first who finds that out is told to tell it.
    Wait(Option<Instant>, Option<String>),
    Fail(String),
}

/// Why a pull is not made.
#[derive(Debug)]
pub(in crate::transport) enum PullRefused {
    /// The run ends before it may be made.
    DeadlineExceeded,
    /// None is left; a clause.
    UsedUp(String),
}

/// A pull on its way.
pub(in crate::transport) struct PendingPull {
    account: Arc<QuotaAccount>,
    /// Nobody knows whether it was counted.
    unknown: bool,
}

impl Quotas {
    /// The account of `user` at `registry`.
    pub(in crate::transport) fn account(
        &self,
        registry: &Registry,
        user: &str,
    ) -> Arc<QuotaAccount> {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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
}

impl QuotaAccount {
    /// Waits until a pull may be made; `tell` is given what a person should know.
    pub(in crate::transport) async fn admit(
        self: &Arc<Self>,
        patience: &ShutdownDeadline,
        tell: impl Fn(&str),
    ) -> Result<PendingPull, PullRefused> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // From here on no change is missed.
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
                waited = patience.until(until) => waited.map_err(|DeadlineExceeded| PullRefused::DeadlineExceeded)?,
            }
        }
    }
    /// Takes note of the answer to a request that was begun at `began`; gives back what a person should know.
    pub(in crate::transport) fn record_answer(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        began: Instant,
    ) -> Option<String> {
        let mut state = self.lock();
        match read(headers) {
            Some(told) => state.update(told, began),
            // An error says nothing by its silence.
            None if status.is_success() => state.quota = None,
            None => return None,
        }
        let news = state.few(&self.user);
        drop(state);
        self.changed.notify_waiters();
        news
    }
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// Answers overtake each other. One that says less is believed; one that says more only where its request was begun
    /// after the last that was believed had come.
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
    /// Once, that few pulls are left.
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
    /// The time in which one pull comes back on average.
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
            "its pull quota is used up: {}, and no more is waited for in this run; {}",
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

/// What gives more pulls.
fn advice(user: &str) -> &'static str {
    if user.is_empty() {
        "a login has more (docker login, or --auth)"
    } else {
        "a larger plan has more"
    }
}

/// What the headers of an answer say.
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

/// `57;w=21600`. Without a window it is another kind of limit, of which we know nothing.
fn counted(value: &str) -> Option<(u64, Duration)> {
    let (count, parameters) = value.split_once(';')?;
    let mut parameters = parameters.split(';');
    let window = parameters.find_map(|parameter| parameter.trim().strip_prefix("w="))?;
    let seconds: u64 = window.trim().parse().ok()?;
    let known = (1..=LONGEST_WINDOW).contains(&seconds);
    let count = count.trim().parse().ok()?;
    known.then(|| (count, Duration::from_secs(seconds)))
}

/// `6 h`, `15 min`, `216 s`.
fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds % 3600 == 0 => format!("{} h", seconds / 3600),
        seconds if seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

impl PendingPull {
    /// Its answer came, and was [taken note of](QuotaAccount::record_answer).
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
