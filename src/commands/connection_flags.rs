//! Flags about connections, and their conversion to the access to registries.

use std::time::Duration;

use image_syncer_registry::auth::{DockerFiles, Keychain};
use image_syncer_registry::transport::{RetryPolicy, Timeouts, TransportOptions};
use image_syncer_sync::Config;

use crate::cli;
use crate::commands::limit_share::LimitShare;
use crate::commands::registry_settings::{FlagSettings, RegistrySettings};
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
    /// Hosts without a trusted certificate.
    pub(super) insecure: &'a [String],
}

impl ConnectionFlags<'_> {
    /// Returns the connections and logins of the flags and of `config`. A mistake leaves a default in its place.
    pub(super) fn access(&self, config: &Config, problems: &mut Problems) -> RegistryAccess {
        self.access_for(config, LimitShare::default(), problems)
    }

    /// Like [`ConnectionFlags::access`], with a share of the limits.
    pub(super) fn access_for(
        &self,
        config: &Config,
        limits: LimitShare<'_>,
        problems: &mut Problems,
    ) -> RegistryAccess {
        let Self {
            asking,
            safety,
            transfer,
            ..
        } = self;
        let max_requests = problems.collect(rates::requests(&asking.max_requests));
        let max_rate = problems.collect(rates::bytes(&transfer.max_rate));
        let private = setup::hosts("--allow-private", &safety.allow_private);
        let private = problems.collect(private);
        let realms = problems.collect(setup::hosts("--trust-realm", &safety.trust_realm));
        let insecure = problems.collect(setup::registries("--insecure", self.insecure));
        let flags = FlagSettings {
            max_requests: max_requests.unwrap_or_default(),
            max_rate: max_rate.unwrap_or_default(),
            realms: realms.unwrap_or_default(),
            private_hosts: private.unwrap_or_default(),
            insecure: insecure.unwrap_or_default(),
        };
        let settings = problems.collect(RegistrySettings::new(&config.registries, flags));
        let mut settings = settings.unwrap_or_default().with_share_of_limits(limits);
        let mut logins = config.credentials.clone();
        logins.append(&mut settings.logins);
        let keychain = problems.collect(Keychain::new(logins, Some(DockerFiles::from_env())));
        let realms = std::mem::take(&mut settings.realms);
        let keychain = keychain.unwrap_or_default().with_trusted_realms(realms);
        let windows = Windows::for_rules(&config.rule_set());
        RegistryAccess {
            listings: std::mem::take(&mut settings.listings),
            transport: settings
                .apply_to(TransportOptions::from_env())
                .with_timeouts(
                    Timeouts::default()
                        .with_stall(Duration::from_secs(asking.stall_timeout))
                        .with_closing(Duration::from_secs(transfer.commit_timeout)),
                )
                .with_calls_per_host(windows.calls)
                .with_transfers_per_host(windows.transfers),
            keychain: problems.collect(keychain).unwrap_or_default(),
            retry: RetryPolicy::default().with_retries(asking.retries),
        }
    }
}
