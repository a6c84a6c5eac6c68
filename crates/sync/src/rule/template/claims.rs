//! Destinations of the rules that patterns become, of which no two sources share one.

use std::collections::HashMap;

use image_syncer_registry::Digest;

use crate::Repository;
use crate::rule::{Naming, Rule, RuleDestination, RuleError};

/// Destinations with the source of each. A destination is a repository and the names of tags there.
///
/// Sources whose tags are listed share a destination if their names are the same function of the tag. Names that meet by
/// chance are found when the tags are known.
#[derive(Debug, Default)]
pub struct DestinationClaims {
    /// By the first half of the SHA-256 digest of the destination, since a hash decides a failure.
    by_destination: HashMap<[u8; 16], Claim>,
}

/// First source of a destination.
#[derive(Debug)]
struct Claim {
    source: Repository,
    /// Fingerprint of the content that is copied.
    content: i64,
}

impl DestinationClaims {
    /// Claims the destinations of a rule that names its repository. Earlier claims keep theirs.
    pub fn reserve(&mut self, rule: &Rule) {
        for destination in &rule.destinations {
            for name in names(rule, destination) {
                let claim = self.by_destination.entry(key(destination, &name));
                claim.or_insert_with(|| Claim::new(rule, destination));
            }
        }
    }

    /// Claims the destinations of a rule that a pattern became.
    ///
    /// # Errors
    /// If another source, or the same one with other content, has one of them. Names both sources.
    pub fn claim(&mut self, rule: &Rule) -> Result<(), RuleError> {
        let mut free = Vec::new();
        for destination in &rule.destinations {
            for name in names(rule, destination) {
                let claim = Claim::new(rule, destination);
                let key = key(destination, &name);
                match self.by_destination.get(&key) {
                    Some(first) => first.check(&claim, destination, &name)?,
                    None => free.push((key, claim)),
                }
            }
        }
        self.by_destination.extend(free);
        Ok(())
    }

    /// Returns the number of destinations.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.by_destination.len()
    }
}

impl Claim {
    fn new(rule: &Rule, destination: &RuleDestination) -> Self {
        Self {
            source: rule.source.repository.clone(),
            content: rule.options_for(destination).content_fingerprint(),
        }
    }

    fn check(
        &self,
        second: &Self,
        destination: &RuleDestination,
        name: &Name,
    ) -> Result<(), RuleError> {
        let place = match name {
            Name::Tag(tag) => format!("{}:{tag}", destination.repository),
            Name::Listed(_) => destination.repository.to_string(),
        };
        if self.source != second.source {
            return Err(RuleError(format!(
                "{place} gets two sources, {} and {}. Give them different destinations, such as {{repository}} in the template.",
                self.source, second.source
            )));
        }
        if self.content != second.content {
            return Err(RuleError(format!(
                "{place} gets {} twice, with different platforms or parts. Give it one destination for each.",
                self.source
            )));
        }
        Ok(())
    }
}

/// Names of tags at a destination.
enum Name {
    /// A tag that the rule names.
    Tag(String),
    /// The names of the tags of a list.
    Listed(String),
}

fn names(rule: &Rule, destination: &RuleDestination) -> Vec<Name> {
    if rule.source.select.is_listed() {
        return vec![Name::Listed(match &destination.naming {
            Naming::Template(template) => template.key(),
            _ => "{tag}".to_owned(),
        })];
    }
    let named = rule.source.named_tags(destination).into_iter();
    named.map(|(_, tag)| Name::Tag(tag.to_string())).collect()
}

fn key(destination: &RuleDestination, name: &Name) -> [u8; 16] {
    // Neither a repository nor a tag has a line break.
    let text = match name {
        Name::Tag(tag) => format!("{}\n:{tag}", destination.repository),
        Name::Listed(names) => format!("{}\n{names}", destination.repository),
    };
    let digest = Digest::sha256(text.as_bytes()).to_sha256();
    let half = digest.and_then(|bytes| bytes.first_chunk().copied());
    half.unwrap_or_default()
}

#[cfg(test)]
#[path = "claims_tests.rs"]
mod tests;
