//! Registries without a trusted certificate, by flag.

use anyhow::Context;
use image_syncer_registry::Registry;
use image_syncer_registry::auth::{Credential, KeychainEntry};

/// Allows `host` without a trusted certificate: all of its entries, and everything else there.
pub(super) fn allow(credentials: &mut Vec<KeychainEntry>, host: &str) -> anyhow::Result<()> {
    let registry = Registry::parse(host).context("--insecure")?;
    let mut covered = false;
    for entry in credentials.iter_mut() {
        let prefix = entry.prefix.trim_end_matches('/');
        let (name, path) = prefix.split_once('/').unwrap_or((prefix, ""));
        if Registry::parse(name).is_ok_and(|other| other == registry) {
            entry.insecure = true;
            covered |= path.is_empty();
        }
    }
    if !covered {
        credentials.push(
            KeychainEntry::new(host, Credential::Anonymous, "--insecure").with_insecure(true),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use image_syncer_registry::auth::Secret;

    use super::*;

    #[test]
    fn entries_of_an_insecure_host_keep_what_else_they_say() {
        let entry = |prefix: &str| {
            KeychainEntry::new(
                prefix,
                Credential::Identity(Secret::new("token")),
                "auth.yaml",
            )
        };
        let mut entries = vec![entry("r.example/team/"), entry("s.example")];
        for host in ["r.example", "s.example", "s.example"] {
            allow(&mut entries, host).unwrap();
        }
        let prefixes: Vec<&str> = entries.iter().map(|entry| entry.prefix.as_str()).collect();
        assert_eq!(prefixes, ["r.example/team/", "s.example", "r.example"]);
        assert!(entries.iter().all(|entry| entry.insecure));
        assert_eq!(entries.first().unwrap().login, entry("").login);
    }

    #[test]
    fn an_insecure_host_that_is_none_is_refused() {
        let error = allow(&mut Vec::new(), "http://r.example").unwrap_err();
        assert!(format!("{error:#}").starts_with("--insecure: `http://r.example`"));
    }
}
