//! The only place that decides if and when a request is retried (docs/protocol.md#retries).

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::StatusCode;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::{Instant, timeout_at};

use crate::error::{Error, ErrorKind, Retryable};
use crate::reference::{Repository, Resource};
use crate::setters::setters;
use crate::timestamp;
use crate::transport::shutdown_deadline::DeadlineExceeded;
use crate::transport::unreachable::{Next, Part};
use crate::transport::{Endpoint, PauseReason, Transport};

/// Minimum number of bytes that count as progress.
const REAL_PROGRESS: u64 = 1024 * 1024;

/// Maximum number of retries after conflicts with other clients. A conflict is over in milliseconds; an answer that
/// stays the same is not a conflict.
const MAX_CONFLICTS: u32 = 3;

/// Number and delays of retries.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Tries after the first.
    pub retries: u32,
    /// The delay before the second try; doubles, with jitter.
    pub initial: Duration,
    /// Longest delay without a `Retry-After`.
    pub max: Duration,
    /// Longest `Retry-After` that is respected. A host that asks for more has failed.
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

setters! { RetryPolicy {
    /// Sets the number of tries after the first.
    with_retries(retries: u32);
    /// Sets the delay before the second try.
    with_initial(initial: Duration);
    /// Sets the longest delay without a `Retry-After`.
    with_max(max: Duration);
    /// Sets the longest `Retry-After` that is respected.
    with_max_retry_after(max_retry_after: Duration);
}}

/// The tries of one operation. Owned, since the reader of a blob keeps it for its lifetime.
pub struct Attempts {
    transport: Arc<Transport>,
    endpoint: Endpoint,
    /// Repository of the operation, for its error.
    repository: Option<Repository>,
    policy: RetryPolicy,
    backoff: ExponentialBackoff,
    /// All failed tries, for the error message.
    tries: u32,
    /// Failed tries since the last real progress.
    counted: u32,
    conflicts: u32,
    moved: u64,
    part: Part,
}

/// The wait before the next try.
struct RetryDelay {
    delay: Duration,
    /// Pause of the whole host.
    pause: Option<Duration>,
}

/// A `Retry-After` that is not respected, as a clause.
struct RetryAfterTooLong(String);

impl Attempts {
    /// Returns a new count for an operation at `endpoint`.
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
    /// Sets the repository of the operation.
    #[must_use]
    pub(crate) fn with_resource(mut self, resource: &Resource) -> Self {
        self.repository = resource.repository().cloned();
        self
    }
    /// Handles a failed try: waits until the next one may start and returns its number (the second is 2), or returns
    /// the final error with the number of tries. A 429, a `Retry-After`, or several 503 in a row pause the whole host,
    /// not only this operation. If the run [ends](Transport::set_shutdown_deadline) before the next try, the error
    /// becomes [`ErrorKind::Cancelled`].
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
        // Other operations pause as well, even if this one gives up.
        if let Some(RetryDelay {
            pause: Some(pause), ..
        }) = wait
        {
            self.transport
                .pause(&self.endpoint, pause, PauseReason::from_error(&error));
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
        if let Err(DeadlineExceeded) = self.transport.shutdown.until(Instant::now() + delay).await {
            return Err(error.with_kind(ErrorKind::Cancelled));
        }
        if let Some(lead) = &self.part.lead {
            lead.open();
        }
        Ok(self.tries.saturating_add(1))
    }
    /// Returns `error` with the number of tries and the repository of the operation.
    fn finished(&self, error: Error) -> Error {
        let tries = self.tries.max(error.tries());
        let redactor = &self.transport.redactor;
        let error = error.with_tries(tries);
        let error = error.redacted(|text| redactor.redact(text));
        match &self.repository {
            Some(repository) => error.with_repository(repository),
            None => error,
        }
    }
    /// Waits while another operation tries to reach the host of `error`. Returns the error if this operation has to
    /// retry, or fails for its own reasons, and `None` if the request was not sent and can be sent now.
    async fn reachable(&mut self, error: Error) -> Result<Option<Error>, Error> {
        if error.is_given_up() {
            return Ok(Some(error));
        }
        let transport = Arc::clone(&self.transport);
        let key = (
            Arc::from(error.host()),
            self.endpoint.exceptions.is_unverified(),
        );
        let was_sent = error.tries() > 0;
        loop {
            let mut changed = pin!(transport.hosts.changed());
            // Enabled before the check of the state, so that no change is missed in between.
            changed.as_mut().enable();
            let next = transport.hosts.next(&key, &error, &mut self.part);
            match next {
                None => return Ok(Some(error)),
                Some(Next::Down(shared)) => {
                    return Err(shared.shared_with(error.action()).given_up());
                }
                Some(Next::Follow(until)) => drop(timeout_at(until, changed).await),
                // A try after an earlier one of this operation is a retry, with its wait and its count.
                Some(Next::Proceed) if was_sent || self.part.lead.is_some() => {
                    return Ok(Some(error));
                }
                Some(Next::Proceed) => return Ok(None),
            }
        }
    }
    /// Returns the wait after `error`, or `None` if no wait would help.
    fn wait(&mut self, error: &Error) -> Result<Option<RetryDelay>, RetryAfterTooLong> {
        let requested = match error.retryable() {
            Retryable::No => return Ok(None),
            Retryable::Yes => None,
            Retryable::After(requested) => Some(requested),
        };
        let limit = self.policy.max_retry_after;
        if let Some(requested) = requested.filter(|requested| *requested > limit) {
            let until = error.until().map_or_else(String::new, |until| {
                format!(" ({})", timestamp::until(until, SystemTime::now()))
            });
            return Err(RetryAfterTooLong(format!(
                "it asks for a pause of {} s{until}, longer than the limit of {} s",
                requested.as_secs(),
                limit.as_secs()
            )));
        }
        let own = self.backoff.next().unwrap_or(self.policy.max);
        let own = own.min(self.policy.max);
        let is_overloaded = error.kind() == ErrorKind::RateLimited
            || (error.status() == Some(StatusCode::SERVICE_UNAVAILABLE)
                && self.transport.pauses.is_overloaded(&self.endpoint.registry));
        // The backoff is that of this operation, which may have been refused often. Others wait as long as the host says.
        let pause = match requested {
            Some(requested) => Some(requested.max(self.policy.initial)),
            None => is_overloaded.then_some(own),
        };
        Ok(Some(RetryDelay {
            delay: requested.map_or(own, |requested| requested.max(own)),
            pause,
        }))
    }
    /// Records `bytes` transferred since the last failure. Real progress (1 MiB) resets the count of tries. Only bytes
    /// that need not be transferred again count: otherwise an upload that always starts again would never end.
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
