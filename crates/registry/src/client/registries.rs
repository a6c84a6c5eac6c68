//! Clients of all registries of a run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::auth::{Authenticators, Keychain};
use crate::client::reader::RangeBudget;
use crate::client::{Client, RangeOptions};
use crate::lock::lock;
use crate::reference::Registry;
use crate::transport::{RetryPolicy, Transport};

/// Settings that a set of clients shares.
pub struct Options {
    /// Transport of all requests.
    pub transport: Arc<Transport>,
    /// Credentials by registry.
    pub keychain: Arc<Keychain>,
    /// Policy for retries.
    pub retry: RetryPolicy,
}

/// One client for each registry, created on first use. Facts about a registry (its challenge, its tokens, the form of
/// upload that it accepts) are learned once.
pub struct Registries {
    options: Options,
    authenticators: Arc<Authenticators>,
    room: Arc<RangeBudget>,
    clients: Mutex<HashMap<Registry, Client>>,
}

impl Registries {
    /// Creates a set of clients with `options`.
    pub fn new(options: Options) -> Self {
        let authenticators = Authenticators::new(
            Arc::clone(&options.transport),
            options.retry,
            options.keychain.trusted_realms(),
        );
        Self {
            authenticators: Arc::new(authenticators),
            options,
            room: RangeBudget::new(RangeOptions::default()),
            clients: Mutex::default(),
        }
    }
    /// Replaces the rules for blobs that are fetched in ranges. Call it before the first client is created.
    #[must_use]
    pub fn with_ranges(mut self, ranges: RangeOptions) -> Self {
        self.room = RangeBudget::new(ranges);
        self
    }
    /// Returns the bytes of ranges in memory now, and their maximum so far: never more than [`RangeOptions`] allows.
    pub fn range_bytes(&self) -> (u64, u64) {
        (self.room.bytes_held(), self.room.peak())
    }
    /// Returns the client of `registry`.
    pub fn client(&self, registry: &Registry) -> Client {
        let create = || {
            let room = Arc::clone(&self.room);
            Client::new(registry, &self.options, &self.authenticators, room)
        };
        lock(&self.clients)
            .entry(registry.clone())
            .or_insert_with(create)
            .clone()
    }
}
