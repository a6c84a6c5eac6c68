//! The one place that decides what is worth a retry, and when (protocol.md section 6.1).

use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::transport::{Endpoint, Transport};

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
    #[allow(dead_code)]
    transport: Arc<Transport>,
    #[allow(dead_code)]
    endpoint: Endpoint,
    #[allow(dead_code)]
    policy: RetryPolicy,
}

impl Attempts {
    /// A fresh count for an operation at `endpoint`.
    pub fn new(transport: &Arc<Transport>, endpoint: &Endpoint, policy: RetryPolicy) -> Self {
        Self {
            transport: Arc::clone(transport),
            endpoint: endpoint.clone(),
            policy,
        }
    }
    /// After a failed try: waits and returns when the next one may start, or gives the error back, with the number
    /// of tries, when it is final. A 429, or a `Retry-After`, pauses the whole host, not only this operation.
    pub async fn after(&mut self, _error: Error) -> Result<(), Error> {
        todo!()
    }
    /// Says that a transfer moved `bytes` since the last failure: real progress (1 MiB) forgives the tries so far.
    pub fn progress(&mut self, _bytes: u64) {
        todo!()
    }
}
