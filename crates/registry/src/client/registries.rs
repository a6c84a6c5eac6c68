//! Clients of all registries of a run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::auth::{Authenticators, Keychain};
use crate::client::reader::RangeBudget;
use crate::client::{Client, RangeOptions};
use crate::error::Error;
use crate::listing::Listings;
use crate::lock::lock;
use crate::reference::Registry;
use crate::transport::{RetryPolicy, Transport, TransportOptions};

/// Settings that a set of clients shares.
#[non_exhaustive]
pub struct Options {
    /// Transport of all requests.
    pub transport: Arc<Transport>,
    /// Credentials by registry.
    pub keychain: Arc<Keychain>,
    /// Policy for retries.
    pub retry: RetryPolicy,
    /// Settings of lists of repositories and tags.
    pub listings: Arc<Listings>,
}

impl Options {
    /// Returns options with the default policy for retries.
    pub fn new(transport: Arc<Transport>, keychain: Arc<Keychain>) -> Self {
        Self {
            transport,
            keychain,
            retry: RetryPolicy::default(),
            listings: Arc::default(),
        }
    }
    /// Returns the settings of `image-syncer` without flags and files of its own: credentials of docker and podman,
    /// certificates of the system and of `certs.d`, and proxies from the environment.
    ///
    /// # Errors
    /// If the connections cannot be set up.
    pub fn from_env() -> Result<Self, Error> {
        let transport = Transport::new(TransportOptions::from_env())?;
        Ok(Self::new(
            Arc::new(transport),
            Arc::new(Keychain::from_env()),
        ))
    }
    /// Sets the policy for retries.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }
    /// Sets the APIs that list repositories and tags.
    #[must_use]
    pub fn with_listings(mut self, listings: Listings) -> Self {
        self.listings = Arc::new(listings);
        self
    }
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
    /// Creates a set of clients with the settings of the environment: see [`Options::from_env`].
    ///
    /// ```no_run
    /// use image_syncer_registry::{Reference, Registries};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let registries = Registries::from_env()?;
    /// let image = Reference::parse("quay.io/prometheus/busybox:latest")?;
    /// let client = registries.client(image.repository.registry());
    /// if let Some(target) = image.target() {
    ///     let manifest = client.get_manifest(&image.repository, &target).await?;
    ///     println!("{image} is {}", manifest.digest());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the connections cannot be set up.
    pub fn from_env() -> Result<Self, Error> {
        Options::from_env().map(Self::new)
    }
    /// Creates a set of clients with `options`.
    pub fn new(options: Options) -> Self {
        let authenticators = Authenticators::new(
            Arc::clone(&options.transport),
            options.retry,
            Arc::clone(&options.keychain),
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
    /// Forgets which logins and lists were refused, so that each is tried once more: an account may have been unlocked,
    /// or a right granted.
    pub fn forget_refusals(&self) {
        self.authenticators.forget_refusals();
        for client in lock(&self.clients).values() {
            client.listing_memory().forget_refusals();
        }
    }
    /// Reads the files with secrets again. If one has another secret, refused logins are forgotten: a person may have
    /// corrected the file.
    pub fn refresh_secret_files(&self) {
        if self.options.keychain.refresh_secret_files() {
            self.forget_refusals();
        }
    }
    /// Forgets what was learned about registries: challenges, tokens, refused logins, forms of uploads. For a program
    /// that runs for long, as registries change. Clients in use keep their facts; limits and pauses of hosts stay.
    pub fn forget_facts(&self) {
        lock(&self.clients).clear();
        self.authenticators.clear();
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
