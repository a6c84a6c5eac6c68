//! Entries of an `auth` map that rules use, and suggestions for the others.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use image_syncer_registry::auth::{Credential, Keychain, KeychainEntry};
use strsim::levenshtein;

use crate::Repository;
use crate::rule::Rule;

/// Maximum edit distance between a key and a suggestion.
const NEAR: usize = 2;

/// Entries in use, and the repositories of the rules.
pub(super) struct Usage {
    /// Prefixes of entries that decide on a repository of a rule.
    used: HashSet<String>,
    repositories: BTreeSet<String>,
}

impl Usage {
    /// Looks up the entry of each repository of `rules`.
    pub(super) fn new(entries: &[&KeychainEntry], rules: &[Arc<Rule>]) -> Self {
        let plain = entries.iter().map(|entry| {
            let (prefix, origin) = (entry.prefix.clone(), entry.origin.clone());
            KeychainEntry::new(prefix, Credential::Anonymous, origin)
        });
        // The keys are valid already.
        let keychain = Keychain::new(plain.collect(), None).ok();
        let mut usage = Self {
            used: HashSet::new(),
            repositories: BTreeSet::new(),
        };
        for repository in rules.iter().flat_map(|rule| repositories(rule)) {
            let entry = keychain
                .as_ref()
                .zip(repository.in_registry())
                .and_then(|(keychain, repository)| keychain.entry(&repository));
            usage.used.extend(entry.map(|entry| entry.prefix.clone()));
            usage.repositories.insert(repository.to_string());
        }
        usage
    }

    /// Returns whether a rule uses the entry.
    pub(super) fn uses(&self, entry: &KeychainEntry) -> bool {
        self.used.contains(&entry.prefix)
    }

    /// Returns the registry, with as many components of a path as `key` has, that a rule uses and that differs from
    /// `key` in a letter or two.
    pub(super) fn resembles(&self, key: &str) -> Option<String> {
        let key = key.trim_end_matches('/');
        let components = key.split('/').count();
        let candidates: BTreeSet<String> = self
            .repositories
            .iter()
            .map(|repository| {
                let parts: Vec<&str> = repository.split('/').take(components).collect();
                parts.join("/")
            })
            .filter(|candidate| candidate.len().abs_diff(key.len()) <= NEAR)
            // One that has a login of its own is another registry, and no slip of the pen.
            .filter(|candidate| !self.used.contains(candidate))
            .collect();
        let near = candidates
            .into_iter()
            .map(|text| (levenshtein(key, &text), text));
        let near = near.filter(|(distance, _)| (1..=NEAR).contains(distance));
        near.min().map(|(_, text)| text)
    }
}

fn repositories(rule: &Rule) -> impl Iterator<Item = &Repository> {
    let destinations = rule.destinations.iter();
    let destinations = destinations.map(|destination| &destination.repository);
    std::iter::once(&rule.source.repository).chain(destinations)
}
