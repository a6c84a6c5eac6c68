//! All registries of a run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::auth::{Authenticators, Keychain};
use crate::client::reader::RangeBudget;
use crate::client::{Client, RangeOptions};
use crate::lock::lock;
use crate::reference::Registry;
use crate::transport::{RetryPolicy, Transport};

/// What a set of clients shares.
pub struct Options {
    /// How calls are sent.
    pub transport: Arc<Transport>,
    /// Who we are, where.
    pub keychain: Arc<Keychain>,
    /// What is tried again, how often.
    pub retry: RetryPolicy,
}

/// One client per registry, made when first asked for: what is learnt of a registry (its challenge, its tokens, the
/// upload form that it takes) is learnt once.
pub struct Registries {
    options: Options,
    authenticators: Arc<Authenticators>,
    room: Arc<RangeBudget>,
    clients: Mutex<HashMap<Registry, Client>>,
}

impl Registries {
    /// Clients that share `options`.
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
    /// With other rules for blobs that come in ranges; to be called before there are clients.
    #[must_use]
    pub fn with_ranges(mut self, ranges: RangeOptions) -> Self {
        self.room = RangeBudget::new(ranges);
        self
    }
    /// The bytes of ranges that are in memory now, and the most that ever were at a time: never more than
    /// [`RangeOptions`] allows.
    pub fn range_bytes(&self) -> (u64, u64) {
        (self.room.bytes_held(), self.room.peak())
    }
    /// The client of `registry`.
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
