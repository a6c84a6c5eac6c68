//! Hosts that registries may lead to.

use std::collections::HashMap;
use std::sync::Arc;

use crate::reference::Registry;

/// Hosts (`host` or `host:port`) that are allowed for all registries, and more for single ones.
#[derive(Clone, Debug, Default)]
pub struct AllowedHosts {
    each: Arc<[String]>,
    named: HashMap<Registry, Vec<String>>,
}

impl AllowedHosts {
    /// Returns hosts that are allowed for all registries.
    pub fn new(hosts: Vec<String>) -> Self {
        Self {
            each: hosts.into(),
            named: HashMap::new(),
        }
    }
    /// Allows `hosts` for `registry` in addition.
    #[must_use]
    pub fn with_registry(mut self, registry: Registry, hosts: Vec<String>) -> Self {
        if !hosts.is_empty() {
            self.named.entry(registry).or_default().extend(hosts);
        }
        self
    }
    /// Returns the hosts that are allowed for all registries.
    pub fn each(&self) -> &Arc<[String]> {
        &self.each
    }
    /// Returns the registries with hosts of their own.
    pub(crate) fn registries(&self) -> impl Iterator<Item = &Registry> {
        self.named.keys()
    }
    /// Returns the hosts that are allowed for `registry`.
    pub fn for_registry(&self, registry: &Registry) -> Arc<[String]> {
        match self.named.get(registry) {
            None => Arc::clone(&self.each),
            Some(named) => self.each.iter().chain(named).cloned().collect(),
        }
    }
    /// Returns all hosts.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &String> {
        self.each.iter().chain(self.named.values().flatten())
    }
}

impl From<Vec<String>> for AllowedHosts {
    fn from(hosts: Vec<String>) -> Self {
        Self::new(hosts)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_a_registry_are_added_to_those_of_all() {
        let registry = |name| Registry::parse(name).unwrap();
        let hosts = AllowedHosts::new(vec!["a".to_owned()])
            .with_registry(registry("index.docker.io"), vec!["b".to_owned()])
            .with_registry(registry("docker.io"), vec!["c".to_owned()]);
        let found = |name| hosts.for_registry(&registry(name)).join(" ");
        assert_eq!(found("docker.io"), "a b c");
        assert_eq!(found("quay.io"), "a");
        assert_eq!(hosts.iter().count(), 3);
    }
}
