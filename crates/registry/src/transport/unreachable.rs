//! Hosts that cannot be reached: one operation finds out, and all others share its answer.
//!
//! Nothing is known of a host before the first request to it: that one goes ahead, and the others wait for its
//! connection. If it fails, the operation that made it retries by its policy ([`Attempts`](super::Attempts)), and no
//! other request is sent meanwhile. When the tries are used up, everybody who waited fails with that answer, and so
//! does whoever comes within the next seconds.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::{Instant, timeout_at};

use crate::error::{Error, ErrorKind};
use crate::transport::Transport;

/// Time during which a host that could not be reached is not tried again. After that a single request tries.
const HOLD: Duration = Duration::from_secs(10);
/// A host that answered this recently is tried again by the next operation at once: it may be restarting.
const RECENTLY: Duration = Duration::from_secs(60);
/// Time for which others wait for the next try after it was due. An operation may be held up itself, by one of those that
/// wait for it.
const SLACK: Duration = Duration::from_secs(1);
/// Time that others wait for a request that connects.
const CONNECTS_WITHIN: Duration = Duration::from_secs(30);
/// Maximum number of hosts that are remembered; redirects may name any number of them.
const MAX_HOSTS: usize = 4096;

/// A host as errors name it, and whether it is reached unverified.
pub(super) type HostKey = (String, bool);

/// The hosts of a run, as far as they were tried.
#[derive(Default)]
pub(super) struct UnreachableHosts(Arc<Shared>);

#[derive(Default)]
struct Shared {
    hosts: Mutex<HashMap<HostKey, Host>>,
    changed: Notify,
}

#[derive(Default)]
struct Host {
    state: State,
    /// Time of its last answer.
    answered: Option<Instant>,
    /// Requests that failed since it was last reached or given up.
    failures: u32,
    /// All tries of an operation failed, and it has not answered since.
    is_down: bool,
    /// The operation that retries, if one does; and the number of such operations so far.
    leader: Option<u64>,
    leaders: u64,
    /// The last operation that used up its tries, and how it ended.
    ended: Option<(u64, Error)>,
}

enum State {
    /// The next request tries. The operation that retries has until then, if there is one, to make it.
    Open { until: Option<Instant> },
    /// A request tries to connect.
    Connecting { since: Instant },
    /// It was reached.
    Reached,
    /// A request failed. The operation that retries it has until then for the next try.
    Failed { error: Error, until: Instant },
    /// All tries failed.
    Down { error: Error, until: Instant },
}

impl Default for State {
    fn default() -> Self {
        Self::Open { until: None }
    }
}

/// The leave to send a request to a host. Dropped without an outcome, it lets the next request try.
pub(super) struct Contact {
    shared: Arc<Shared>,
    key: HostKey,
    /// True if others wait for this request.
    is_first: bool,
}

/// The retries of one operation, on behalf of all that want to reach the host. Dropped early, it lets another
/// operation retry.
pub(super) struct Lead {
    shared: Arc<Shared>,
    key: HostKey,
    id: u64,
}

/// The part of an operation in finding out about its host.
#[derive(Default)]
pub(super) struct Part {
    /// Set while it retries on behalf of all.
    pub(super) lead: Option<Lead>,
    /// The first operation that it waited for since the host was last reached.
    followed: Option<u64>,
}

/// Next step of an operation after a request that could not reach its host.
pub(super) enum Next {
    /// It goes on: it retries on behalf of all, or the host can be tried.
    Proceed,
    /// It waits for another operation, at most until then.
    Follow(Instant),
    /// All tries failed.
    Down(Error),
}

impl UnreachableHosts {
    /// Waits for the leave to send a request to the host: not at all once it was reached, and while the first
    /// request connects, at most for `limit`.
    ///
    /// # Errors
    /// The error of the operation that tries, or has tried. It counts no tries where that operation goes on.
    pub(super) async fn wait_for_host(
        &self,
        key: HostKey,
        limit: Duration,
    ) -> Result<Contact, Error> {
        let deadline = Instant::now() + limit;
        let is_first = loop {
            let mut changed = pin!(self.changed());
            // Before the look at the state, so that no change falls between the two.
            changed.as_mut().enable();
            if let Some(is_first) = self.0.try_enter(&key)? {
                break is_first;
            }
            if timeout_at(deadline, changed).await.is_err() {
                break false;
            }
        };
        Ok(Contact {
            shared: Arc::clone(&self.0),
            key,
            is_first,
        })
    }
    /// Resolves when something is learned of a host.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.0.changed.notified()
    }
    /// Decides who goes on after `error`, by which a request of an operation with `part` ended. `None` where the error
    /// says nothing about reaching the host.
    pub(super) fn next(&self, key: &HostKey, error: &Error, part: &mut Part) -> Option<Next> {
        let mut hosts = self.0.lock();
        let host = hosts.get_mut(key)?;
        if !is_unreachable(error, host.answered.is_some()) {
            *part = Part::default();
            return None;
        }
        if let (Some((ended, error)), Some(followed)) = (&host.ended, part.followed)
            && followed <= *ended
        {
            return Some(Next::Down(error.clone()));
        }
        let now = Instant::now();
        let own = part.lead.as_ref().filter(|lead| lead.key == *key);
        let leads = own.is_some_and(|lead| host.leader == Some(lead.id));
        match &host.state {
            State::Down { error, until } if now < *until => Some(Next::Down(error.clone())),
            State::Reached => {
                part.followed = None;
                Some(Next::Proceed)
            }
            State::Open { .. } | State::Failed { .. } if leads => Some(Next::Proceed),
            State::Open { until: Some(until) } if host.leader.is_some() && now < *until => {
                part.followed = part.followed.or(host.leader);
                Some(Next::Follow(*until))
            }
            State::Open { .. } | State::Down { .. } => Some(Next::Proceed),
            State::Connecting { since } => {
                part.followed = part.followed.or(host.leader);
                Some(Next::Follow(*since + CONNECTS_WITHIN))
            }
            State::Failed { until, .. } if host.leader.is_some() && now < *until => {
                part.followed = part.followed.or(host.leader);
                Some(Next::Follow(*until))
            }
            State::Failed { .. } if host.is_down => {
                host.block_until_later(error);
                drop(hosts);
                self.0.changed.notify_waiters();
                Some(Next::Down(error.clone()))
            }
            State::Failed { .. } => {
                host.leaders += 1;
                host.leader = Some(host.leaders);
                part.lead = Some(Lead {
                    shared: Arc::clone(&self.0),
                    key: key.clone(),
                    id: host.leaders,
                });
                Some(Next::Proceed)
            }
        }
    }
}

impl Transport {
    /// Waits for the leave to send a request for `action`. Only one without a body waits for a first one that
    /// connects: `waits` is false for bodies, since that one may have a body too, and be slow to answer.
    pub(super) async fn wait_for_host(
        &self,
        host: HostKey,
        waits: bool,
        action: &str,
    ) -> Result<Contact, Error> {
        let limit = if waits {
            self.options.timeouts.connect
        } else {
            Duration::ZERO
        };
        let entered = self.hosts.wait_for_host(host, limit).await;
        entered.map_err(|error| error.shared_with(action))
    }
}

impl Shared {
    /// Decides if a request may go, and as the one that others wait for; `None` while another one connects.
    fn try_enter(&self, key: &HostKey) -> Result<Option<bool>, Error> {
        let mut hosts = self.lock();
        if hosts.len() >= MAX_HOSTS && !hosts.contains_key(key) {
            return Ok(Some(false));
        }
        let host = hosts.entry(key.clone()).or_default();
        let now = Instant::now();
        match &host.state {
            State::Reached => return Ok(Some(false)),
            State::Connecting { .. } => return Ok(None),
            State::Failed { error, until } if now < *until => {
                return Err(error.clone().with_tries(0));
            }
            State::Down { error, until } if now < *until => return Err(error.clone()),
            State::Open { .. } | State::Failed { .. } | State::Down { .. } => {}
        }
        host.state = State::Connecting { since: now };
        Ok(Some(true))
    }
    /// Changes what is known of a host, and tells those who wait where `change` says so.
    fn update(&self, key: &HostKey, change: impl FnOnce(&mut Host) -> bool) {
        let is_news = self.lock().get_mut(key).is_some_and(change);
        if is_news {
            self.changed.notify_waiters();
        }
    }
    fn lock(&self) -> MutexGuard<'_, HashMap<HostKey, Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host {
    /// Lets nobody try for a while, after all tries ended with `error`.
    fn block_until_later(&mut self, error: &Error) {
        let now = Instant::now();
        let is_recent = self.answered.is_some_and(|at| at.elapsed() < RECENTLY);
        self.is_down = !is_recent;
        self.failures = 0;
        self.state = State::Down {
            error: error.clone(),
            until: if is_recent { now } else { now + HOLD },
        };
        self.leader = None;
    }
}

impl Contact {
    /// True if others wait for this request.
    pub(super) fn is_first(&self) -> bool {
        self.is_first
    }
    /// Returns the number of the try that this request is for its host, from 1.
    pub(super) fn tries(&self) -> u32 {
        let hosts = self.shared.lock();
        let failures = hosts.get(&self.key).map_or(0, |host| host.failures);
        failures.saturating_add(1)
    }
    /// Says how the request ended: with an answer, or with an error.
    pub(super) fn ended(self, error: Option<&Error>) {
        match error {
            None => self.record_answer(),
            Some(error) => self.failed(error),
        }
    }
    fn record_answer(&self) {
        self.shared.update(&self.key, |host| {
            host.answered = Some(Instant::now());
            host.is_down = false;
            host.failures = 0;
            let is_news = !matches!(host.state, State::Reached);
            host.state = State::Reached;
            host.leader = None;
            is_news
        });
    }
    fn failed(&self, error: &Error) {
        self.shared.update(&self.key, |host| {
            host.failures = host.failures.saturating_add(1);
            let is_news = is_unreachable(error, host.answered.is_some())
                && !matches!(host.state, State::Failed { .. } | State::Down { .. });
            if is_news {
                host.state = State::Failed {
                    error: error.clone(),
                    until: Instant::now() + SLACK,
                };
            }
            is_news
        });
    }
}

impl Drop for Contact {
    fn drop(&mut self) {
        if self.is_first {
            self.shared.update(&self.key, |host| {
                let is_news = matches!(host.state, State::Connecting { .. });
                if is_news {
                    host.state = State::default();
                }
                is_news
            });
        }
    }
}

impl Lead {
    /// Says that the next try comes after `delay`.
    pub(super) fn wait(&self, delay: Duration) {
        self.update(|host| {
            if let State::Failed { until, .. } = &mut host.state {
                *until = Instant::now() + delay + SLACK;
            }
            true
        });
    }
    /// Lets the next request try.
    pub(super) fn open(&self) {
        self.update(|host| {
            let is_news = matches!(host.state, State::Failed { .. });
            if is_news {
                let until = Some(Instant::now() + SLACK);
                host.state = State::Open { until };
            }
            is_news
        });
    }
    /// Says that all tries are used up, with `error` as their end.
    pub(super) fn fail_waiters(self, error: &Error) {
        self.update(|host| {
            host.block_until_later(error);
            host.ended = Some((self.id, error.clone()));
            true
        });
    }
    /// Changes what is known of the host, unless another operation leads by now.
    fn update(&self, change: impl FnOnce(&mut Host) -> bool) {
        self.shared.update(&self.key, |host| {
            host.leader == Some(self.id) && change(host)
        });
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.update(|host| {
            host.leader = None;
            if matches!(host.state, State::Failed { .. }) {
                host.state = State::default();
            }
            true
        });
    }
}

/// Tells if a request failed before it reached its host. A connection that breaks counts where the host has never
/// answered: a port may accept connections and close them.
fn is_unreachable(error: &Error, has_answered: bool) -> bool {
    match error.kind() {
        ErrorKind::Connect | ErrorKind::Tls => true,
        ErrorKind::Broken => !has_answered,
        _ => false,
    }
}
