//! Settings of single registries, from the files of the user and from flags.

use anyhow::Context;
use image_syncer_registry::auth::KeychainEntry;
use image_syncer_registry::transport::{PerRegistry, ProxySetting, TlsSettings, TransportOptions};
use image_syncer_registry::{AllowedHosts, Listings, Registry};
use image_syncer_sync::config::RegistryEntry;

use crate::commands::limit_share::{LimitShare, SharedLimits};

/// Settings of single registries.
#[derive(Default)]
pub(super) struct RegistrySettings {
    /// Logins.
    pub(super) logins: Vec<KeychainEntry>,
    /// APIs that list repositories and tags.
    pub(super) listings: Listings,
    /// Token servers that may receive the logins of registries.
    pub(super) realms: AllowedHosts,
    private_hosts: AllowedHosts,
    tls: PerRegistry<TlsSettings>,
    proxies: PerRegistry<ProxySetting>,
    max_requests: PerRegistry<f64>,
    max_rate: PerRegistry<u64>,
    max_transfers: PerRegistry<usize>,
}

/// Settings of flags, for all registries and for single ones.
#[derive(Default)]
pub(super) struct FlagSettings {
    /// `--max-requests`.
    pub(super) max_requests: PerRegistry<f64>,
    /// `--max-rate`.
    pub(super) max_rate: PerRegistry<u64>,
    /// `--trust-realm`.
    pub(super) realms: Vec<String>,
    /// `--allow-private`.
    pub(super) private_hosts: Vec<String>,
    /// `--insecure`.
    pub(super) insecure: Vec<Registry>,
}

impl RegistrySettings {
    /// Combines the entries of files with flags: a flag with a host overrides the entry of the host, one without a host
    /// is the default of hosts without an entry, and lists of hosts are added.
    ///
    /// # Errors
    /// If the prefix of an entry is not a registry or a path below one.
    pub(super) fn new(entries: &[RegistryEntry], flags: FlagSettings) -> anyhow::Result<Self> {
        let listings = entries.iter().filter_map(|entry| {
            let settings = entry.listing.clone()?;
            Some((entry.prefix.clone(), settings))
        });
        let mut settings = Self {
            listings: Listings::new(listings)?,
            realms: AllowedHosts::new(flags.realms),
            private_hosts: AllowedHosts::new(flags.private_hosts),
            ..Self::default()
        };
        for entry in entries {
            settings.add(entry)?;
        }
        for entry in entries {
            settings.add_proxy_of_api(entry);
        }
        settings.max_requests.override_by(flags.max_requests);
        settings.max_rate.override_by(flags.max_rate);
        for registry in flags.insecure {
            let tls = settings.tls.named.entry(registry).or_default();
            tls.insecure = true;
            tls.plain_http = true;
        }
        Ok(settings)
    }

    fn add(&mut self, entry: &RegistryEntry) -> anyhow::Result<()> {
        let RegistryEntry { prefix, origin, .. } = entry;
        if let Some(login) = &entry.login {
            let login = KeychainEntry::new(prefix, login.clone(), origin);
            self.logins.push(login);
        }
        if entry.connection_keys().is_empty() {
            return Ok(());
        }
        let host = prefix.trim_end_matches('/');
        let registry = Registry::parse(host).with_context(|| origin.clone())?;
        let named = || registry.clone();
        if let Some(tls) = &entry.tls {
            self.tls.named.insert(named(), tls.clone());
        }
        if let Some(proxy) = &entry.proxy {
            self.proxies.named.insert(named(), proxy.clone());
        }
        let limits = entry.limits;
        self.max_requests
            .named
            .extend(limits.requests.map(|limit| (named(), limit)));
        self.max_rate
            .named
            .extend(limits.rate.map(|limit| (named(), limit)));
        self.max_transfers
            .named
            .extend(limits.transfers.map(|limit| (named(), limit)));
        let realms = std::mem::take(&mut self.realms);
        self.realms = realms.with_registry(named(), entry.trusted_realms.clone());
        let private = std::mem::take(&mut self.private_hosts);
        self.private_hosts = private.with_registry(named(), entry.private_hosts.clone());
        Ok(())
    }

    /// Uses the proxy of a registry for its API at another host as well, unless that host has a setting of its own.
    fn add_proxy_of_api(&mut self, entry: &RegistryEntry) {
        let host = entry.prefix.split('/').next().unwrap_or_default();
        let Ok(registry) = Registry::parse(host) else {
            return;
        };
        let api = entry
            .listing
            .clone()
            .unwrap_or_default()
            .api_host(&registry);
        if let (Some(api), Some(proxy)) = (api, self.proxies.named.get(&registry).cloned()) {
            self.proxies.named.entry(api).or_insert(proxy);
        }
    }

    /// Returns the settings with a share of the limits.
    pub(super) fn with_share_of_limits(mut self, share: LimitShare<'_>) -> Self {
        let shared = share.of_limits(SharedLimits {
            requests: std::mem::take(&mut self.max_requests),
            rate: std::mem::take(&mut self.max_rate),
            transfers: std::mem::take(&mut self.max_transfers),
        });
        self.max_requests = shared.requests;
        self.max_rate = shared.rate;
        self.max_transfers = shared.transfers;
        self
    }

    /// Applies the settings of connections to `options`.
    pub(super) fn apply_to(self, options: TransportOptions) -> TransportOptions {
        options
            .with_tls(self.tls)
            .with_proxies(self.proxies)
            .with_max_requests(self.max_requests)
            .with_max_rate(self.max_rate)
            .with_max_transfers(self.max_transfers)
            .with_private_hosts(self.private_hosts)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use image_syncer_registry::ListingSettings;
    use image_syncer_registry::auth::LoginChoice;

    use super::*;

    fn registry(name: &str) -> Registry {
        Registry::parse(name).unwrap()
    }

    fn entry(prefix: &str) -> RegistryEntry {
        RegistryEntry::new(prefix, "mirror.yaml:3")
    }

    #[test]
    fn a_flag_with_a_host_overrides_its_entry_and_one_without_is_the_default() {
        let mut limited = entry("r.example");
        limited.limits.requests = Some(5.0);
        limited.limits.rate = Some(1 << 20);
        limited.limits.transfers = Some(3);
        let mut other = entry("s.example");
        other.limits.requests = Some(6.0);
        let flags = FlagSettings {
            max_requests: PerRegistry::default()
                .with_each(7.0)
                .with_registry(registry("s.example"), 8.0)
                .with_registry(registry("t.example"), 9.0),
            max_rate: PerRegistry::default().with_each(1 << 30),
            ..FlagSettings::default()
        };
        let settings = RegistrySettings::new(&[limited, other], flags).unwrap();
        let options = settings.apply_to(TransportOptions::default());
        let named = [("r.example", 5.0), ("s.example", 8.0), ("t.example", 9.0)];
        let named = named.map(|(name, limit)| (registry(name), limit));
        assert_eq!(options.max_requests.named, named.into());
        assert_eq!(options.max_requests.each, Some(7.0));
        assert_eq!(
            options.max_rate.named,
            [(registry("r.example"), 1 << 20)].into()
        );
        assert_eq!(options.max_rate.each, Some(1 << 30));
        assert_eq!(
            options.max_transfers.named,
            [(registry("r.example"), 3)].into()
        );
        assert_eq!(options.max_transfers.each, None);
    }

    #[test]
    fn hosts_of_flags_are_added_to_those_of_an_entry() {
        let mut led = entry("r.example");
        led.trusted_realms = vec!["auth.example".to_owned()];
        led.private_hosts = vec!["storage.example".to_owned()];
        let flags = FlagSettings {
            realms: vec!["login.example".to_owned()],
            private_hosts: vec!["10.0.0.5".to_owned()],
            ..FlagSettings::default()
        };
        let settings = RegistrySettings::new(&[led], flags).unwrap();
        let found = |hosts: &AllowedHosts, name| hosts.for_registry(&registry(name)).join(" ");
        assert_eq!(
            found(&settings.realms, "r.example"),
            "login.example auth.example"
        );
        assert_eq!(found(&settings.realms, "s.example"), "login.example");
        let private = &settings.private_hosts;
        assert_eq!(found(private, "r.example"), "10.0.0.5 storage.example");
        assert_eq!(found(private, "s.example"), "10.0.0.5");
    }

    #[test]
    fn the_api_of_a_registry_has_its_proxy_unless_it_has_its_own() {
        let proxy = |name: &str| ProxySetting::parse(&format!("http://{name}:1")).unwrap();
        let with = |prefix: &str, name: &str| {
            let mut entry = entry(prefix);
            entry.proxy = Some(proxy(name));
            entry
        };
        let mut listed = entry("r.example/team");
        let api = "https://gitlab.example:8443/".parse().unwrap();
        listed.listing = Some(ListingSettings::default().with_api(api));
        let entries = [
            listed,
            with("docker.io", "hub"),
            with("ghcr.io", "ghcr"),
            with("api.github.com", "github"),
            with("r.example", "r"),
            with("s.example", "s"),
        ];
        let settings = RegistrySettings::new(&entries, FlagSettings::default()).unwrap();
        for (host, name) in [
            ("hub.docker.com", "hub"),
            ("api.github.com", "github"),
            ("gitlab.example:8443", "r"),
        ] {
            let found = settings.proxies.named.get(&registry(host));
            assert_eq!(found, Some(&proxy(name)), "{host}");
        }
        assert_eq!(settings.proxies.named.len(), 7);
    }

    #[test]
    fn an_insecure_host_keeps_what_else_its_entry_says() {
        let mut team = entry("r.example/team");
        team.login = Some(LoginChoice::Docker);
        let mut secure = entry("r.example");
        secure.tls = Some(TlsSettings::default());
        let flags = FlagSettings {
            insecure: vec![registry("r.example"), registry("s.example")],
            ..FlagSettings::default()
        };
        let settings = RegistrySettings::new(&[team, secure], flags).unwrap();
        for name in ["r.example", "s.example"] {
            let tls = settings.tls.named.get(&registry(name)).unwrap();
            assert!(tls.insecure && tls.plain_http, "{name}");
        }
        let logins: Vec<&str> = settings.logins.iter().map(|login| &*login.prefix).collect();
        assert_eq!(logins, ["r.example/team"]);
    }

    #[test]
    fn a_setting_of_connections_below_a_registry_is_refused() {
        let mut limited = entry("r.example/team");
        limited.limits.transfers = Some(3);
        let refused = RegistrySettings::new(&[limited], FlagSettings::default());
        let error = refused.err().unwrap();
        assert!(
            format!("{error:#}").starts_with("mirror.yaml:3: "),
            "{error:#}"
        );
    }
}
