//! Rules that copy what was pushed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use image_syncer_registry::{Digest, Registry, Repository, Tag};
use image_syncer_sync::Endpoint;
use image_syncer_sync::rule::{RuleScope, RuleSet, Selection, is_referrer_tag};

use super::push::{Push, Pushed};
use crate::service::rule_book::{RuleBook, ServiceRule};

/// Changes at the source of a rule, in one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The source repository.
    pub(crate) repository: String,
    /// Tags that were pushed, with the digests that the registry states.
    pub(crate) tags: BTreeMap<String, Option<Digest>>,
    /// Further pushed content.
    pub(crate) rest: Rest,
}

/// Content that was pushed without a tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rest {
    /// Nothing.
    #[default]
    Nothing,
    /// Manifests without a tag: referrers, or parts of an image whose tag follows.
    Digests,
    /// Anything in the repository.
    Anything,
}

/// The changes for each rule, in the order of the rules.
pub(crate) type Changes = Vec<(Arc<str>, Vec<Change>)>;

/// Returns the changes at the sources of rules.
///
/// # Errors
/// No rule copies any of it: the reason.
pub(crate) fn changes(rules: &RuleBook, pushes: &[Push]) -> Result<Changes, String> {
    let sources = sources(rules);
    let repositories = by_repository(pushes, &sources);
    let mut changes = Changes::new();
    for rule in rules.rules() {
        let of_rule = repositories.iter().filter_map(|(repository, pushed)| {
            let change = change(rule, repository, pushed)?;
            Some(change)
        });
        let of_rule: Vec<Change> = of_rule.collect();
        if !of_rule.is_empty() {
            changes.push((Arc::clone(&rule.name), of_rule));
        }
    }
    if changes.is_empty() {
        return Err(reason(pushes, &sources));
    }
    Ok(changes)
}

/// Returns the registries of all sources.
fn sources(rules: &RuleBook) -> BTreeSet<Registry> {
    let sets = rules.rules().iter().map(|rule| &rule.set);
    let registries = sets.flat_map(|set| {
        let named = set
            .rules
            .iter()
            .filter_map(|rule| match rule.source.repository.endpoint() {
                Endpoint::Registry(registry) => Some(registry.clone()),
                _ => None,
            });
        let patterns = set.patterns.iter().flat_map(|rule| &rule.from);
        named.chain(patterns.filter_map(|from| from.registry().cloned()))
    });
    registries.collect()
}

/// Returns what was pushed to each repository of a source registry.
fn by_repository<'a>(
    pushes: &'a [Push],
    sources: &BTreeSet<Registry>,
) -> BTreeMap<Repository, Vec<&'a Push>> {
    let mut repositories: BTreeMap<Repository, Vec<&Push>> = BTreeMap::new();
    for push in pushes {
        let registries = match &push.registry {
            Some(registry) => sources.get(registry).into_iter().collect(),
            None => sources.iter().collect::<Vec<_>>(),
        };
        for registry in registries {
            if let Ok(repository) = Repository::new(registry.clone(), &push.path) {
                repositories.entry(repository).or_default().push(push);
            }
        }
    }
    repositories
}

/// Returns the change for a rule; `None` if the rule copies none of it.
fn change(rule: &ServiceRule, repository: &Repository, pushes: &[&Push]) -> Option<Change> {
    let repository = repository.to_string();
    let whole = scope(&rule.set, &repository, None)?;
    let copies_referrers = whole.options().any(|options| options.referrers.is_some());
    let mut change = Change {
        repository,
        tags: BTreeMap::new(),
        rest: Rest::Nothing,
    };
    for push in pushes {
        match &push.pushed {
            Pushed::Anything => change.rest = Rest::Anything,
            Pushed::Digest if copies_referrers || selects_digest(&whole) => {
                change.rest = change.rest.max(Rest::Digests);
            }
            Pushed::Digest => {}
            // It belongs to an image, whose tag the rule selects.
            Pushed::Tag(tag) if copies_referrers && is_referrer_tag(tag) => {
                change.rest = change.rest.max(Rest::Digests);
            }
            Pushed::Tag(tag) => {
                if scope(&whole, &change.repository, Some(tag)).is_some() {
                    let digest = push.digest.clone();
                    change.tags.insert(tag.as_str().to_owned(), digest);
                }
            }
        }
    }
    (change.rest != Rest::Nothing || !change.tags.is_empty()).then_some(change)
}

/// Returns the part of `rules` that copies a repository, or one tag of it.
fn scope(rules: &RuleSet, repository: &str, tag: Option<&Tag>) -> Option<RuleSet> {
    let scope = RuleScope {
        repository: Some(repository.to_owned()),
        tags: tag.iter().map(|tag| tag.as_str().to_owned()).collect(),
        ..RuleScope::default()
    };
    rules.within(&scope).ok()
}

fn selects_digest(rules: &RuleSet) -> bool {
    let mut rules = rules.rules.iter();
    rules.any(|rule| matches!(rule.source.select, Selection::Digest { .. }))
}

/// Returns the reason why no rule copies any of the pushes.
fn reason(pushes: &[Push], sources: &BTreeSet<Registry>) -> String {
    let Some(push) = pushes.first() else {
        return "nothing was pushed".to_owned();
    };
    let path = &push.path;
    match (&push.registry, &push.pushed) {
        (Some(registry), _) if !sources.contains(registry) => {
            format!("no rule copies from {registry}")
        }
        (Some(registry), Pushed::Tag(tag)) => format!("no rule copies {registry}/{path}:{tag}"),
        (Some(registry), _) => format!("no rule copies {registry}/{path}"),
        (None, Pushed::Tag(tag)) => format!("no rule copies {path}:{tag} from any registry"),
        (None, _) => format!("no rule copies {path} from any registry"),
    }
}
