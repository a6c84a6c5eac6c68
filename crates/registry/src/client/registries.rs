//! All registries of a run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::auth::Keychain;
use crate::client::Client;
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
    clients: Mutex<HashMap<Registry, Client>>,
}

impl Registries {
    /// Clients that share `options`.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            clients: Mutex::default(),
        }
    }
    /// The client of `registry`.
    pub fn client(&self, registry: &Registry) -> Client {
        // A panic elsewhere cannot leave a map of handles half changed.
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients
            .entry(registry.clone())
            .or_insert_with(|| Client::new(registry, &self.options))
            .clone()
    }
}
