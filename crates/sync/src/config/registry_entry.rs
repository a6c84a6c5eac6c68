//! Entries of `registries` in a native file.

use std::fmt;
use std::str::FromStr;

use bytesize::ByteSize;
use image_syncer_registry::auth::LoginChoice;
use image_syncer_registry::transport::{ProxySetting, TlsSettings};
use image_syncer_registry::{Lister, ListingSettings, Registry};

/// Bounds of a number of requests per second.
const REQUESTS: std::ops::RangeInclusive<f64> = 0.01..=1_000_000.0;
/// Minimum rate of bytes. Bodies are sent in chunks of up to 128 KiB, so with less, a body would pause for longer than
/// registries wait.
const LEAST_RATE: u64 = 64 * 1024;
/// Bounds of a number of transfers.
const TRANSFERS: std::ops::RangeInclusive<usize> = 1..=256;

/// Settings of a registry, or of the repositories below a prefix of its paths. `None` and an empty list leave the
/// default in its place.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RegistryEntry {
    /// `host[:port]` or `host[:port]/namespace/…`.
    pub prefix: String,
    /// Place of the entry in messages: `mirror.yaml:3`.
    pub origin: String,
    /// Login. A prefix without one has the login of the next shorter prefix.
    pub login: Option<LoginChoice>,
    /// Certificates, and protection that connections may do without.
    pub tls: Option<TlsSettings>,
    /// Proxy.
    pub proxy: Option<ProxySetting>,
    /// Limits on requests and transfers.
    pub limits: RegistryLimits,
    /// API that lists repositories and tags. A prefix without one has that of the next shorter prefix.
    pub listing: Option<ListingSettings>,
    /// Token servers (`host` or `host:port`) that may receive the registry's login.
    pub trusted_realms: Vec<String>,
    /// Hosts of a private network (`host` or `host:port`) that the registry may lead to.
    pub private_hosts: Vec<String>,
}

/// Limits on requests and transfers for a registry. `None` leaves the default in its place.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RegistryLimits {
    /// Requests per second.
    pub requests: Option<f64>,
    /// Bytes per second.
    pub rate: Option<u64>,
    /// Blobs in flight in each direction.
    pub transfers: Option<usize>,
}

impl RegistryEntry {
    /// Returns an entry without settings; `origin` is its place in messages.
    pub fn new(prefix: impl Into<String>, origin: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            origin: origin.into(),
            ..Self::default()
        }
    }
    /// Returns true if the entry says that `registry` is Harbor.
    pub(crate) fn is_harbor(&self, registry: &Registry) -> bool {
        let host = self.prefix.split('/').next().unwrap_or_default();
        let listing = self.listing.as_ref();
        listing.is_some_and(|it| it.list == Lister::Harbor)
            && Registry::parse(host).is_ok_and(|it| it == *registry)
    }
    /// Returns the keys of the settings that only a whole registry can have, if this entry is for a prefix of its paths.
    pub fn misplaced_keys(&self) -> Vec<&'static str> {
        let prefix = self.prefix.trim_end_matches('/');
        if prefix.contains('/') {
            self.connection_keys()
        } else {
            Vec::new()
        }
    }
    /// Returns the keys of the settings that concern connections, which all repositories of a registry share.
    pub fn connection_keys(&self) -> Vec<&'static str> {
        let keys = [
            ("tls", self.tls.is_some()),
            ("proxy", self.proxy.is_some()),
            ("limits", self.limits != RegistryLimits::default()),
            ("trust-realm", !self.trusted_realms.is_empty()),
            ("allow-private", !self.private_hosts.is_empty()),
        ];
        let given = keys.into_iter().filter(|(_, is_given)| *is_given);
        given.map(|(key, _)| key).collect()
    }
}

/// A limit that is not valid, with what to write instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub struct InvalidLimit(&'static str);

impl fmt::Display for InvalidLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl RegistryLimits {
    /// Parses a number of requests per second.
    ///
    /// # Errors
    /// If `text` is not a number from 0.01 to 1000000.
    pub fn parse_requests(text: &str) -> Result<f64, InvalidLimit> {
        let number = f64::from_str(text).ok();
        number
            .filter(|number| REQUESTS.contains(number))
            .ok_or(InvalidLimit(
                "not a number of requests per second. Write a number from 0.01 to 1000000, such as 10.",
            ))
    }
    /// Parses a number of bytes per second, with or without a unit and `/s`.
    ///
    /// # Errors
    /// If `text` is not a number of bytes, or less than 64 KiB.
    pub fn parse_rate(text: &str) -> Result<u64, InvalidLimit> {
        let size = ByteSize::from_str(text.strip_suffix("/s").unwrap_or(text));
        size.ok()
            .map(|ByteSize(bytes)| bytes)
            .filter(|bytes| *bytes >= LEAST_RATE)
            .ok_or(InvalidLimit(
                "not a rate. Write bytes per second, 64KiB or more, such as 50MiB or 10MB.",
            ))
    }
    /// Parses a number of blobs in flight.
    ///
    /// # Errors
    /// If `text` is not a number from 1 to 256.
    pub fn parse_transfers(text: &str) -> Result<usize, InvalidLimit> {
        let number = usize::from_str(text).ok();
        number
            .filter(|number| TRANSFERS.contains(number))
            .ok_or(InvalidLimit(
                "not a number of transfers. Write a number from 1 to 256.",
            ))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_units_and_bounds() {
        for (text, expected) in [("0.01", 0.01), ("50", 50.0), ("1000000", 1_000_000.0)] {
            assert_eq!(RegistryLimits::parse_requests(text), Ok(expected));
        }
        for text in ["0", "-1", "NaN", "inf", "ten", "", "2000000"] {
            let error = RegistryLimits::parse_requests(text).unwrap_err();
            assert_eq!(
                error.to_string(),
                "not a number of requests per second. Write a number from 0.01 to 1000000, such as 10."
            );
        }
        for (text, expected) in [
            ("64KiB", 64 << 10),
            ("200MiB", 200 << 20),
            ("10 MB/s", 10_000_000),
        ] {
            assert_eq!(RegistryLimits::parse_rate(text), Ok(expected));
        }
        for text in ["0", "1KiB", "50 parsecs", "-5MB", "MiB", ""] {
            let error = RegistryLimits::parse_rate(text).unwrap_err();
            assert_eq!(
                error.to_string(),
                "not a rate. Write bytes per second, 64KiB or more, such as 50MiB or 10MB."
            );
        }
        for (text, expected) in [("1", 1), ("256", 256)] {
            assert_eq!(RegistryLimits::parse_transfers(text), Ok(expected));
        }
        for text in ["0", "257", "-1", "1.5", ""] {
            let error = RegistryLimits::parse_transfers(text).unwrap_err();
            assert_eq!(
                error.to_string(),
                "not a number of transfers. Write a number from 1 to 256."
            );
        }
    }

    #[test]
    fn settings_of_connections_need_a_whole_registry() {
        let entry = |prefix: &str| {
            let mut entry = RegistryEntry::new(prefix, "mirror.yaml:3");
            entry.login = Some(LoginChoice::Anonymous);
            entry.tls = Some(TlsSettings::default());
            entry.proxy = Some(ProxySetting::parse("none").unwrap());
            entry.limits.transfers = Some(1);
            entry.trusted_realms = vec!["a.example".to_owned()];
            entry.private_hosts = vec!["b.example".to_owned()];
            entry
        };
        for prefix in ["r.example", "r.example:5000", "r.example/"] {
            assert_eq!(entry(prefix).misplaced_keys(), [""; 0], "{prefix}");
        }
        assert_eq!(
            entry("r.example:5000/team").misplaced_keys(),
            ["tls", "proxy", "limits", "trust-realm", "allow-private"]
        );
        assert_eq!(
            RegistryEntry::new("r.example/team", "").misplaced_keys(),
            [""; 0]
        );
    }
}
