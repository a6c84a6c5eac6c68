//! All registries of a run.

use std::sync::Arc;

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

/// One client per registry, made when first asked for.
pub struct Registries {
    #[allow(dead_code)]
    options: Options,
}

impl Registries {
    /// Clients that share `options`.
    pub fn new(options: Options) -> Self {
        Self { options }
    }
    /// The client of `registry`.
    pub fn client(&self, _registry: &Registry) -> Client {
        todo!()
    }
}
