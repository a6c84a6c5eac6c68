//! Descriptions of logins and settings of registries.

use std::collections::HashSet;

use image_syncer_registry::auth::{Keychain, KeychainEntry, LoginChoice};
use image_syncer_registry::{Registry, Repository};
use image_syncer_sync::config::{Config, RegistryEntry};

use crate::commands::registry_settings::{FlagSettings, RegistrySettings};
use crate::login;
use crate::problems::Problems;
use crate::ui::units;

/// Logins and settings of registries in the files.
pub(super) struct Registries<'a> {
    config: &'a Config,
    keychain: Keychain,
}

impl<'a> Registries<'a> {
    /// Combines the entries of `config`. Some mistakes appear only then: a service account, two names of one registry.
    pub(super) fn new(config: &'a Config, problems: &mut Problems) -> Self {
        let settings = RegistrySettings::new(&config.registries, FlagSettings::default());
        let settings = problems.collect(settings).unwrap_or_default();
        let logins = config.credentials.iter().cloned().chain(settings.logins);
        let keychain = problems.collect(Keychain::new(logins.collect(), None));
        Self {
            config,
            keychain: keychain.unwrap_or_default(),
        }
    }

    /// Returns a line for the login of each registry of the rules, without its secret, in the order of the rules, and one
    /// for the other settings of each registry.
    pub(super) fn describe(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let mut seen = HashSet::new();
        for repository in self.repositories() {
            let entry = self.keychain.entry(&repository);
            let settings = self.settings(repository.registry());
            let place = match (entry, settings) {
                (Some(entry), _) => &entry.prefix,
                (None, Some(settings)) => &settings.prefix,
                (None, None) => repository.registry().as_str(),
            };
            if seen.insert(place.to_owned()) {
                lines.push(login(place, entry, settings));
            }
        }
        lines.extend(self.config.registries.iter().filter_map(settings_line));
        lines
    }

    /// Returns the repositories of the rules in registries. A pattern has one of those that it may match.
    fn repositories(&self) -> Vec<Repository> {
        let mut found: Vec<Repository> = Vec::new();
        for rule in &self.config.rules {
            let destinations = rule.destinations.iter();
            let destinations = destinations.map(|destination| &destination.repository);
            let all = std::iter::once(&rule.source.repository).chain(destinations);
            found.extend(all.filter_map(image_syncer_sync::Repository::in_registry));
        }
        for pattern in &self.config.patterns {
            let below = |registry: &Registry, prefix: &str| {
                let path = if prefix.is_empty() {
                    "repository"
                } else {
                    prefix
                };
                Repository::new(registry.clone(), path).ok()
            };
            let from = pattern.from.iter();
            found.extend(from.filter_map(|from| below(from.registry()?, from.literal_prefix())));
            let to = pattern.destinations.iter();
            let to = to.filter_map(|to| below(to.endpoint()?.registry()?, ""));
            found.extend(to);
        }
        found
    }

    /// Returns the entry of a native file for a whole registry.
    fn settings(&self, registry: &Registry) -> Option<&RegistryEntry> {
        let mut entries = self.config.registries.iter();
        entries.find(|entry| {
            let prefix = entry.prefix.trim_end_matches('/');
            Registry::parse(prefix).is_ok_and(|other| other == *registry)
        })
    }
}

fn login(place: &str, entry: Option<&KeychainEntry>, settings: Option<&RegistryEntry>) -> String {
    let tls = settings.and_then(|settings| settings.tls.as_ref());
    let is_insecure = entry.is_some_and(|entry| entry.insecure)
        || tls.is_some_and(|tls| tls.insecure && tls.plain_http);
    let insecure = if is_insecure { ", insecure" } else { "" };
    let origin = entry.map(|entry| &entry.origin);
    let Some(origin) = origin.or(settings.map(|settings| &settings.origin)) else {
        let otherwise = login::identity(&LoginChoice::Auto);
        return format!("login at {place}: no entry, so {otherwise}");
    };
    let who = entry.map_or_else(
        || login::identity(&LoginChoice::Auto),
        |entry| login::identity(&entry.login),
    );
    format!("login at {place}: {who}{insecure}  ({origin})")
}

/// Returns the settings of a registry besides its login; `None` if it has no others.
fn settings_line(entry: &RegistryEntry) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    if let Some(listing) = &entry.listing {
        parts.push(format!("list {}", listing.list));
        parts.extend(listing.api.as_ref().map(|api| format!("api {api}")));
        let login = listing.api_login.as_ref();
        parts.extend(login.map(|login| format!("api-login {}", login::identity(login))));
    }
    if let Some(tls) = &entry.tls {
        let given = [
            (tls.has_certificates(), "certificates of its own"),
            (tls.insecure && !tls.plain_http, "any certificate"),
            (tls.plain_http && !tls.insecure, "http"),
        ];
        let given = given.into_iter().filter(|(is_given, _)| *is_given);
        parts.extend(given.map(|(_, text)| text.to_owned()));
    }
    let proxy = entry.proxy.as_ref().map(|proxy| {
        // The address may have a password.
        let which = if proxy.is_direct() {
            "no proxy"
        } else {
            "a proxy of its own"
        };
        which.to_owned()
    });
    parts.extend(proxy);
    let limits = entry.limits;
    parts.extend(
        limits
            .requests
            .map(|limit| format!("{limit} requests per second")),
    );
    parts.extend(
        limits
            .rate
            .map(|limit| format!("{}/s", units::bytes(limit))),
    );
    parts.extend(
        limits
            .transfers
            .map(|limit| units::count(limit as u64, "transfer")),
    );
    for (key, hosts) in [
        ("trust-realm", &entry.trusted_realms),
        ("allow-private", &entry.private_hosts),
    ] {
        if !hosts.is_empty() {
            parts.push(format!("{key} {}", hosts.join(", ")));
        }
    }
    let (prefix, origin) = (&entry.prefix, &entry.origin);
    (!parts.is_empty()).then(|| format!("registry {prefix}: {}  ({origin})", parts.join("; ")))
}
