//! All registries of a run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::auth::Keychain;
use crate::client::reader::RangeBudget;
use crate::client::{Client, RangeOptions};
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
    room: Arc<RangeBudget>,
    clients: Mutex<HashMap<Registry, Client>>,
}

impl Registries {
    /// Clients that share `options`.
    pub fn new(options: Options) -> Self {
        Self {
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
        // A panic elsewhere cannot leave a map of handles half changed.
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients
            .entry(registry.clone())
            .or_insert_with(|| Client::new(registry, &self.options, Arc::clone(&self.room)))
            .clone()
    }
}
