//! The rules of all files together, and what they have in common.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use super::findings::Findings;
use super::reading::Source;
use crate::config::RegistryEntry;
use crate::config::document::{Node, NodeValue, Position};
use crate::config::file::ConfigFile;
use crate::rule::{
    Location, NamedTags, Naming, OptionOverrides, PatternRule, Rule, RuleDestination, RuleError,
    RuleSource, check_at_harbor, with_distinct_ids,
};
use crate::{Endpoint, Repository};

/// The rules of all files.
#[derive(Default)]
pub(super) struct MergedRules {
    rules: Vec<(Rule, Place)>,
    patterns: Vec<(PatternRule, Place)>,
    /// Images of sources with named tags, by their tag at a destination.
    tags: NamedTags<Location>,
    /// Copies by their source and the repository of their destination, to find those that are given twice.
    copies: HashMap<(RuleSource, Repository), Vec<(Naming, Location)>>,
    /// Flags that rules override: the key, the first rule, and the number of further ones.
    overridden: BTreeMap<&'static str, Overridden>,
    /// First file.
    first: Option<(Rc<ConfigFile>, Position)>,
    /// First list without rules.
    empty: Option<(Rc<ConfigFile>, Position)>,
}

/// Place of a rule, for mistakes that show when all files are read.
type Place = (Rc<ConfigFile>, Position);

struct Overridden {
    key: &'static str,
    rule: String,
    more: usize,
    last: Arc<str>,
}

impl MergedRules {
    /// Notes a file.
    pub(super) fn add_file(&mut self, source: &Source<'_>, at: Position) {
        self.first
            .get_or_insert_with(|| (Rc::clone(&source.file), at));
    }

    /// Notes a list of rules that is empty.
    pub(super) fn add_list(&mut self, source: &Source<'_>, node: &Node) {
        if matches!(&node.value, NodeValue::List(rules) if rules.is_empty()) {
            self.empty
                .get_or_insert_with(|| (Rc::clone(&source.file), node.at));
        }
    }

    /// Notes the flags that a layer of a rule overrides.
    pub(super) fn overridden(
        &mut self,
        flags: &OptionOverrides,
        layer: &OptionOverrides,
        name: &Arc<str>,
        location: &Location,
    ) {
        for (flag, key) in flags.differences(layer) {
            match self.overridden.get_mut(flag) {
                Some(known) if known.last == *name => {}
                Some(known) => {
                    known.more += 1;
                    known.last = Arc::clone(name);
                }
                None => {
                    let first = Overridden {
                        key,
                        rule: format!("{name} ({location})"),
                        more: 0,
                        last: Arc::clone(name),
                    };
                    self.overridden.insert(flag, first);
                }
            }
        }
    }

    /// Adds a rule for one repository. Copies that an earlier rule makes are left out with a warning.
    pub(super) fn add(
        &mut self,
        source: &Source<'_>,
        node: &Node,
        mut rule: Rule,
        findings: &mut Findings,
    ) {
        let here = source.location(node.at);
        let mut destinations = Vec::with_capacity(rule.destinations.len());
        for destination in std::mem::take(&mut rule.destinations) {
            let copy = (rule.source.clone(), destination.repository.clone());
            let copies = self.copies.entry(copy).or_default();
            let same = copies
                .iter()
                .find(|(naming, _)| *naming == destination.naming);
            if let Some((_, first)) = same {
                let message = format!(
                    "{} is copied to {} {} already. It is copied once, with the options given there.",
                    rule.source.repository,
                    destination.repository,
                    source.place(first)
                );
                findings.warn(&source.file, node.at, message);
                continue;
            }
            copies.push((destination.naming.clone(), here.clone()));
            if let Some(conflict) = self.tags.insert(&rule.source, &destination, &here) {
                let message = format!(
                    "{} gets two images, {} here and {} {}. Give one of them another tag or repository.",
                    conflict.destination,
                    conflict.second,
                    conflict.first,
                    source.place(&conflict.place)
                );
                findings.mistake(&source.file, node.at, message);
            }
            destinations.push(destination);
        }
        if !destinations.is_empty() {
            rule.destinations = destinations;
            self.rules.push((rule, (Rc::clone(&source.file), node.at)));
        }
    }

    /// Adds a rule for patterns, unless an earlier one copies the same.
    pub(super) fn add_pattern(
        &mut self,
        source: &Source<'_>,
        at: Position,
        rule: PatternRule,
        findings: &mut Findings,
    ) {
        let covers = |earlier: &&PatternRule| {
            earlier.select == rule.select
                && rule.from.iter().all(|from| earlier.from.contains(from))
                && earlier.except.iter().all(|one| {
                    let mut own = rule.except.iter();
                    own.any(|other| other.as_str() == one.as_str())
                })
                && rule.destinations.iter().all(|destination| {
                    let mut earlier = earlier.destinations.iter();
                    earlier.any(|other| other.is_same_place(destination))
                })
        };
        let mut earlier = self.patterns.iter().map(|(rule, _)| rule);
        let earlier = earlier.find(covers);
        if let Some(first) = earlier.and_then(|earlier| earlier.location.as_ref()) {
            let message = format!(
                "the same is copied {} already. It is copied once, with the options given there.",
                source.place(first)
            );
            findings.warn(&source.file, at, message);
            return;
        }
        self.patterns.push((rule, (Rc::clone(&source.file), at)));
    }

    /// Checks the destinations at registries that one of the files declares as Harbor.
    pub(super) fn check_harbor(&mut self, registries: &[RegistryEntry], findings: &mut Findings) {
        let is_harbor = |endpoint: &Endpoint| {
            let registry = endpoint.registry();
            registry.is_some_and(|registry| registries.iter().any(|it| it.is_harbor(registry)))
        };
        for (rule, (file, at)) in &self.rules {
            for RuleDestination { repository, .. } in &rule.destinations {
                if is_harbor(repository.endpoint())
                    && let Err(RuleError(why)) = check_at_harbor(repository)
                {
                    findings.mistake(file, *at, why);
                }
            }
        }
        for (rule, (file, at)) in &mut self.patterns {
            for destination in &mut rule.destinations {
                if destination.endpoint().is_some_and(|it| is_harbor(&it)) {
                    destination.is_harbor = true;
                }
            }
            for (_, RuleError(why)) in rule.mistakes() {
                findings.mistake(file, *at, why);
            }
        }
    }

    /// Returns the rules, with ids of their own. `has_mistakes`: some rules may be missing.
    pub(super) fn finish(
        self,
        has_mistakes: bool,
        findings: &mut Findings,
    ) -> (Vec<Arc<Rule>>, Vec<Arc<PatternRule>>) {
        for (flag, overridden) in &self.overridden {
            let more = match overridden.more {
                0 => String::new(),
                1 => " and of another rule".to_owned(),
                more => format!(" and of {more} more rules"),
            };
            findings.warn_outside(format!(
                "{flag}: overridden by `{}` of the rule {}{more}",
                overridden.key, overridden.rule
            ));
        }
        if self.rules.is_empty() && self.patterns.is_empty() && !has_mistakes {
            match (&self.empty, &self.first) {
                (Some((file, at)), _) => {
                    findings.warn(file, *at, "no image is named. There is nothing to do.");
                }
                (None, Some((file, at))) => findings.mistake(
                    file,
                    *at,
                    "no rule is given. Write `rules:`, and below it `- from: …` and `to: …`.",
                ),
                (None, None) => {}
            }
        }
        let rules = self.rules.into_iter();
        let rules = rules.map(|(rule, _)| Arc::new(rule)).collect();
        let patterns = self.patterns.into_iter();
        let patterns = patterns.map(|(rule, _)| Arc::new(rule)).collect();
        (with_distinct_ids(rules), patterns)
    }
}
