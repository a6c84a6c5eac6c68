//! The one place that decides what is worth a retry, and when (docs/protocol.md#retries).

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::StatusCode;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::{Instant, timeout_at};

use crate::error::{Error, ErrorKind, Retryable};
use crate::reference::Repository;
use crate::timestamp;
use crate::transport::shutdown_deadline::DeadlineExceeded;
use crate::transport::unreachable::{Next, Part};
use crate::transport::{Endpoint, PauseReason, Transport};

/// Bytes that count as progress.
const REAL_PROGRESS: u64 = 1024 * 1024;

/// Maximum number of retries after conflicts with other clients. A conflict is over in milliseconds; an answer that
/// stays the same is none.
const MAX_CONFLICTS: u32 = 3;

/// How often and how patiently.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Tries after the first.
    pub retries: u32,
    /// The delay before the second try; doubles, with jitter.
    pub initial: Duration,
    /// The longest delay of our own choosing.
    pub max: Duration,
    /// The longest `Retry-After` that is obeyed; a host that asks for more has failed.
    pub max_retry_after: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retries: 5,
            initial: Duration::from_millis(300),
            max: Duration::from_secs(30),
            max_retry_after: Duration::from_secs(900),
        }
    }
}

/// The tries of one operation. Owns what it needs, since a blob's reader carries its count for as long as it lives.
pub struct Attempts {
    transport: Arc<Transport>,
    endpoint: Endpoint,
    /// What the operation is about, for its error.
    repository: Option<Repository>,
    policy: RetryPolicy,
    backoff: ExponentialBackoff,
    /// All failed tries, for the error's sentence.
    tries: u32,
    /// Failed tries that progress has not forgiven.
    counted: u32,
    conflicts: u32,
    moved: u64,
    part: Part,
}

/// What follows a failed try that may be repeated.
struct RetryDelay {
    delay: Duration,
    whole_host: bool,
}

/// A `Retry-After` that is not obeyed, as a clause.
struct RetryAfterTooLong(String);

impl Attempts {
    /// A fresh count for an operation at `endpoint`.
    pub fn new(transport: &Arc<Transport>, endpoint: &Endpoint, policy: RetryPolicy) -> Self {
        Self {
            transport: Arc::clone(transport),
            endpoint: endpoint.clone(),
            repository: None,
            policy,
            backoff: backoff(policy),
            tries: 0,
            counted: 0,
            conflicts: 0,
            moved: 0,
            part: Part::default(),
        }
    }
    /// For an operation that is about `repository`.
    #[must_use]
    pub fn with_repository(mut self, repository: &Repository) -> Self {
        self.repository = Some(repository.clone());
        self
    }
    /// After a failed try: waits, and returns when the next one may start, with which one that is (the second is 2),
    /// or gives the error back, with the number of tries, when it is final. A 429, a `Retry-After`, or several answers of
    /// 503 in a row pause the whole host, not only this operation. Where the
    /// run [ends](Transport::set_shutdown_deadline) before the next try, the error becomes [`ErrorKind::Cancelled`].
    pub async fn after(&mut self, error: Error) -> Result<u32, Error> {
        let error = match self.reachable(error).await {
            Ok(Some(error)) => error,
            Ok(None) => return Ok(self.tries.saturating_add(1)),
            Err(error) => return Err(self.finished(error)),
        };
        self.tries = self.tries.saturating_add(1);
        self.counted = self.counted.saturating_add(1);
        self.conflicts = self.conflicts.saturating_add(error.is_conflict().into());
        self.moved = 0;
        let error = self.finished(error);
        let wait = match self.wait(&error) {
            Ok(wait) => wait,
            Err(RetryAfterTooLong(clause)) => return Err(error.with_clause(&clause).given_up()),
        };
        // The others learn of it even where this operation gives up.
        if let Some(RetryDelay {
            delay,
            whole_host: true,
        }) = wait
        {
            self.transport
                .pause(&self.endpoint, delay, PauseReason::from_error(&error));
        }
        let is_lasting = error.is_conflict() && self.conflicts > MAX_CONFLICTS;
        let may_retry = self.counted <= self.policy.retries && !is_lasting;
        let Some(RetryDelay { delay, .. }) = wait.filter(|_| may_retry) else {
            let error = error.given_up();
            if let Some(lead) = self.part.lead.take() {
                lead.fail_waiters(&error);
            }
            return Err(error);
        };
        let registry = self.endpoint.registry.as_str();
        self.transport
            .observer()
            .retry(registry, &error.to_string(), self.tries, delay);
        if let Some(lead) = &self.part.lead {
            lead.wait(delay);
        }
        if let Err(DeadlineExceeded) = self.transport.patience.until(Instant::now() + delay).await {
            return Err(error.with_kind(ErrorKind::Cancelled));
        }
        if let Some(lead) = &self.part.lead {
            lead.open();
        }
        Ok(self.tries.saturating_add(1))
    }
    /// `error` with the number of tries and what the operation is about.
    fn finished(&self, error: Error) -> Error {
        let tries = self.tries.max(error.tries());
        let error = error.with_tries(tries).redacted(&self.transport.redactor);
        match &self.repository {
            Some(repository) => error.with_repository(repository),
            None => error,
        }
    }
    /// Waits while another operation finds out whether the host of `error` can be reached. Gives the error back where
    /// this operation is the one to retry, or fails on its own account; nothing where the request was not made and
    /// can be made now.
    async fn reachable(&mut self, error: Error) -> Result<Option<Error>, Error> {
        if error.is_given_up() {
            return Ok(Some(error));
        }
        let transport = Arc::clone(&self.transport);
        let key = (error.host().to_owned(), self.endpoint.insecure);
        let was_sent = error.tries() > 0;
        loop {
            let mut changed = pin!(transport.hosts.changed());
            // Before the look at what is known, so that no change falls between the two.
            changed.as_mut().enable();
            let next = transport.hosts.next(&key, &error, &mut self.part);
            match next {
                None => return Ok(Some(error)),
                Some(Next::Down(shared)) => {
                    return Err(shared.shared_with(error.action()).given_up());
                }
                Some(Next::Follow(until)) => drop(timeout_at(until, changed).await),
                // Another try after one of its own is a retry, with the wait and the count of one.
                Some(Next::Proceed) if was_sent || self.part.lead.is_some() => {
                    return Ok(Some(error));
                }
                Some(Next::Proceed) => return Ok(None),
            }
        }
    }
    /// How long to wait after `error`; `None` where no wait would help.
    fn wait(&mut self, error: &Error) -> Result<Option<RetryDelay>, RetryAfterTooLong> {
        let asked = match error.retryable() {
            Retryable::No => return Ok(None),
            Retryable::Yes => None,
            Retryable::After(asked) => Some(asked),
        };
        let limit = self.policy.max_retry_after;
        if let Some(asked) = asked.filter(|asked| *asked > limit) {
            let until = error.until().map_or_else(String::new, |until| {
                format!(" ({})", timestamp::until(until, SystemTime::now()))
            });
            return Err(RetryAfterTooLong(format!(
                "it asks to be left alone for {} s{until}, longer than the {} s that are waited",
                asked.as_secs(),
                limit.as_secs()
            )));
        }
        let own = self.backoff.next().unwrap_or(self.policy.max);
        let own = own.min(self.policy.max);
        Ok(Some(RetryDelay {
            delay: asked.map_or(own, |asked| asked.max(own)),
            whole_host: asked.is_some()
                || error.kind() == ErrorKind::RateLimited
                || (error.status() == Some(StatusCode::SERVICE_UNAVAILABLE)
                    && self.transport.pauses.is_overloaded(&self.endpoint.registry)),
        }))
    }
    /// Says that a transfer moved `bytes` since the last failure: real progress (1 MiB) forgives the tries so far.
    /// Only bytes count that need not be moved again: an upload that starts anew each time would never end else.
    pub fn progress(&mut self, bytes: u64) {
        self.moved = self.moved.saturating_add(bytes);
        if self.moved >= REAL_PROGRESS && self.counted > 0 {
            self.counted = 0;
            self.backoff = backoff(self.policy);
        }
    }
}

fn backoff(policy: RetryPolicy) -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_jitter()
        .with_min_delay(policy.initial)
        .with_max_delay(policy.max)
        .without_max_times()
        .build()
}
