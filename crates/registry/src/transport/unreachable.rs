//! Unreachable hosts: one operation tries them, and all others share its result.
//!
//! The first request to an unknown host goes ahead, and the others wait for its connection. If it fails, its operation
//! retries by its policy ([`Attempts`](super::Attempts)), and no other request is sent in the meantime. When the tries
//! are used up, all waiting operations fail with the same error, and so do new ones within the next seconds.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::{Instant, timeout_at};

use crate::error::{Error, ErrorKind};
use crate::lock::lock;
use crate::transport::Transport;

/// Time during which an unreachable host is not tried again. After that a single request tries.
const HOLD: Duration = Duration::from_secs(10);
/// A host that answered this recently is tried again by the next operation immediately: it may be restarting.
const RECENTLY: Duration = Duration::from_secs(60);
/// Extra time that others wait for the next try. The operation that tries may itself be delayed by those that wait for
/// it.
const SLACK: Duration = Duration::from_secs(1);
/// Maximum time that others wait for a request that is connecting.
const CONNECTS_WITHIN: Duration = Duration::from_secs(30);
/// Maximum number of hosts that are remembered; redirects may name any number of them.
const MAX_HOSTS: usize = 4096;

/// A host as errors name it, and true if its certificate is not verified.
pub(super) type HostKey = (Arc<str>, bool);

/// State of the hosts in a run.
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
    /// Time of the last answer.
    answered: Option<Instant>,
    /// Requests that failed since the host was last reached or given up.
    failures: u32,
    /// True if all tries of an operation failed, and no answer came since.
    is_down: bool,
    /// Number of the operation that retries, if there is one; and the number of all of them so far.
    leader: Option<u64>,
    leaders: u64,
    /// The last operation that used up its tries, and its error.
    ended: Option<(u64, Error)>,
}

enum State {
    /// The next request tries. If an operation retries, it has until then to make that request.
    Open { until: Option<Instant> },
    /// A request is connecting.
    Connecting { since: Instant },
    /// The host was reached.
    Reached,
    /// A request failed. The operation that retries has until then for its next try.
    Failed { error: Error, until: Instant },
    /// All tries failed.
    Down { error: Error, until: Instant },
}

impl Default for State {
    fn default() -> Self {
        Self::Open { until: None }
    }
}

/// Permission to send a request to a host. If it is dropped without a result, the next request tries.
pub(super) struct Contact {
    shared: Arc<Shared>,
    key: HostKey,
    /// True if others wait for this request.
    is_first: bool,
}

/// The role of the operation that retries on behalf of all others. If it is dropped early, another operation takes
/// over.
pub(super) struct Lead {
    shared: Arc<Shared>,
    key: HostKey,
    id: u64,
}

/// Role of an operation in reaching its host.
#[derive(Default)]
pub(super) struct Part {
    /// Set while the operation retries on behalf of all others.
    pub(super) lead: Option<Lead>,
    /// The first operation that it waited for since the host was last reached.
    followed: Option<u64>,
}

/// The next step of an operation after a request that did not reach its host.
pub(super) enum Next {
    /// Continue: retry on behalf of the others, or send the request.
    Proceed,
    /// Wait for another operation, at most until then.
    Follow(Instant),
    /// All tries failed.
    Down(Error),
}

impl UnreachableHosts {
    /// Waits for permission to send a request to the host: not at all if it was reached, and for at most `limit` while
    /// the first request is connecting.
    ///
    /// # Errors
    /// The error of the operation that tries, or has tried. It counts no tries if that operation continues.
    pub(super) async fn wait_for_host(
        &self,
        key: HostKey,
        limit: Duration,
    ) -> Result<Contact, Error> {
        let deadline = Instant::now() + limit;
        let is_first = loop {
            let mut changed = pin!(self.changed());
            // Enabled before the check of the state, so that no change is missed in between.
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
    /// Resolves when the state of a host changes.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.0.changed.notified()
    }
    /// Decides the next step after `error`, with which a request of an operation with `part` failed. Returns `None` if
    /// the error does not concern the connection to the host.
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
            State::Open { until: Some(until) } | State::Failed { until, .. }
                if host.leader.is_some() && now < *until =>
            {
                part.followed = part.followed.or(host.leader);
                Some(Next::Follow(*until))
            }
            State::Open { .. } | State::Down { .. } => Some(Next::Proceed),
            State::Connecting { since } => {
                part.followed = part.followed.or(host.leader);
                Some(Next::Follow(*since + CONNECTS_WITHIN))
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
    /// Waits for permission to send a request for `action`. With `waits` false, it does not wait for the first request
    /// that is connecting: both may have bodies, and that one may take long to be answered.
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
    /// Returns true if the request may be sent and others wait for it, false if it may be sent without that, and `None`
    /// while another request is connecting.
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
    /// Changes the state of a host, and wakes the waiting operations if `change` returns true.
    fn update(&self, key: &HostKey, change: impl FnOnce(&mut Host) -> bool) {
        let is_news = self.lock().get_mut(key).is_some_and(change);
        if is_news {
            self.changed.notify_waiters();
        }
    }
    fn lock(&self) -> MutexGuard<'_, HashMap<HostKey, Host>> {
        lock(&self.hosts)
    }
}

impl Host {
    /// Blocks the host for a while after all tries ended with `error`.
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
    /// Returns the number of this try of the host, from 1.
    pub(super) fn tries(&self) -> u32 {
        let hosts = self.shared.lock();
        let failures = hosts.get(&self.key).map_or(0, |host| host.failures);
        failures.saturating_add(1)
    }
    /// Records the result of the request: an answer, or an error.
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
    /// Announces the next try after `delay`.
    pub(super) fn wait(&self, delay: Duration) {
        self.update(|host| {
            if let State::Failed { until, .. } = &mut host.state {
                *until = Instant::now() + delay + SLACK;
            }
            true
        });
    }
    /// Allows the next request to try.
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
    /// Announces that all tries are used up, with `error` as the result.
    pub(super) fn fail_waiters(self, error: &Error) {
        self.update(|host| {
            host.block_until_later(error);
            host.ended = Some((self.id, error.clone()));
            true
        });
    }
    /// Changes the state of the host, unless another operation has taken over.
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

/// Returns true if a request failed before it reached its host. A broken connection counts if the host has never
/// answered: a port may accept connections and close them.
fn is_unreachable(error: &Error, has_answered: bool) -> bool {
    match error.kind() {
        ErrorKind::Connect | ErrorKind::Tls => true,
        ErrorKind::Broken => !has_answered,
        _ => false,
    }
}
