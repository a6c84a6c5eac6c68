//! The authenticators of a run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::auth::authenticator::Authenticator;
use crate::auth::keychain::Keychain;
use crate::lock::lock;
use crate::reference::Registry;
use crate::transport::{RetryPolicy, Transport};

/// One authenticator per registry, created on demand. All clients of a run share them, so that a registry that is also
/// reached through redirects of another one learns its challenge, tokens and refused logins once.
pub(crate) struct Authenticators {
    transport: Arc<Transport>,
    retry: RetryPolicy,
    keychain: Arc<Keychain>,
    by_registry: Mutex<HashMap<Registry, Arc<Authenticator>>>,
}

impl Authenticators {
    /// Creates authenticators that allow the trusted token servers of `keychain` to receive credentials.
    pub(crate) fn new(
        transport: Arc<Transport>,
        retry: RetryPolicy,
        keychain: Arc<Keychain>,
    ) -> Self {
        Self {
            transport,
            retry,
            keychain,
            by_registry: Mutex::default(),
        }
    }
    /// Forgets which logins were refused.
    pub(crate) fn forget_refusals(&self) {
        for authenticator in lock(&self.by_registry).values() {
            authenticator.forget_refusals();
        }
    }
    /// Drops all authenticators. Clients that have one keep it.
    pub(crate) fn clear(&self) {
        lock(&self.by_registry).clear();
    }
    /// Returns the authenticator of `registry`.
    pub(crate) fn get(&self, registry: &Registry) -> Arc<Authenticator> {
        let mut by_registry = lock(&self.by_registry);
        let create = || {
            let transport = Arc::clone(&self.transport);
            let authenticator = Authenticator::new(registry.clone(), transport, self.retry);
            let trusted = self.keychain.trusted_realms(registry);
            Arc::new(authenticator.trusting(trusted))
        };
        Arc::clone(by_registry.entry(registry.clone()).or_insert_with(create))
    }
}
