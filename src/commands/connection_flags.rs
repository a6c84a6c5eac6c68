//! Flags about connections, and their conversion to the access to registries.

use std::time::Duration;

use image_syncer_registry::auth::{DockerFiles, Keychain};
use image_syncer_registry::transport::{RetryPolicy, Timeouts, TransportOptions};
use image_syncer_sync::Config;

use crate::cli;
use crate::commands::{rates, setup};
use crate::problems::Problems;
use crate::run::{RegistryAccess, Windows};

/// Flags of all commands that send requests.
pub(super) struct ConnectionFlags<'a> {
    /// Flags of the group.
    pub(super) asking: &'a cli::Asking,
    /// Flags of the group.
    pub(super) safety: &'a cli::Safety,
    /// Flags of the group.
    pub(super) transfer: &'a cli::Transfer,
}

impl ConnectionFlags<'_> {
    /// Returns the connections and logins of the flags and of `config`. A mistake leaves a default in its place.
    pub(super) fn access(&self, config: &Config, problems: &mut Problems) -> RegistryAccess {
        let Self {
            asking,
            safety,
            transfer,
        } = self;
        let max_requests = problems.collect(rates::requests(&asking.max_requests));
        let max_rate = problems.collect(rates::bytes(&transfer.max_rate));
        let private = setup::hosts("--allow-private", &safety.allow_private);
        let private = problems.collect(private);
        let realms = problems.collect(setup::hosts("--trust-realm", &safety.trust_realm));
        let credentials = config.credentials.clone();
        let keychain = Keychain::new(credentials, Some(DockerFiles::from_env()));
        let keychain = problems.collect(keychain).unwrap_or_default();
        let keychain = keychain.with_trusted_realms(realms.unwrap_or_default());
        let windows = Windows::for_rules(&config.rules);
        RegistryAccess {
            transport: TransportOptions::from_env()
                .with_timeouts(
                    Timeouts::default()
                        .with_stall(Duration::from_secs(asking.stall_timeout))
                        .with_closing(Duration::from_secs(transfer.commit_timeout)),
                )
                .with_calls_per_host(windows.calls)
                .with_transfers_per_host(windows.transfers)
                .with_max_requests(max_requests.unwrap_or_default())
                .with_max_rate(max_rate.unwrap_or_default())
                .with_private_hosts(private.unwrap_or_default()),
            keychain: problems.collect(keychain).unwrap_or_default(),
            retry: RetryPolicy::default().with_retries(asking.retries),
        }
    }
}
