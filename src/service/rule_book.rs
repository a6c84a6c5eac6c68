//! The rules of the files, by name.

use std::collections::HashMap;
use std::sync::Arc;

use image_syncer_sync::Config;
use image_syncer_sync::config::Schedule;
use image_syncer_sync::event::RuleDescription;
use image_syncer_sync::rule::RuleSet;

/// The rules of the files, in their order.
#[derive(Debug, Default)]
pub(crate) struct RuleBook {
    rules: Vec<Arc<ServiceRule>>,
    positions: HashMap<Arc<str>, usize>,
}

/// A rule with its schedule. A rule that names several repositories is one of these.
#[derive(Debug)]
pub(crate) struct ServiceRule {
    /// Its name, which no other rule has.
    pub(crate) name: Arc<str>,
    /// Texts that name it, one for each repository that it names.
    pub(crate) descriptions: Vec<Arc<RuleDescription>>,
    /// Its sources and destinations.
    pub(crate) set: RuleSet,
    /// Times of its runs.
    pub(crate) schedule: Schedule,
}

impl RuleBook {
    /// Groups the rules of `config` by their names.
    pub(crate) fn new(config: &Config) -> Self {
        let rules = config.rules.iter().map(|rule| &rule.name);
        let patterns = config.patterns.iter().map(|rule| &rule.name);
        let names = distinct(rules.chain(patterns).map(|name| &**name));
        let mut sets: HashMap<&str, RuleSet> = HashMap::new();
        for rule in &config.rules {
            let set = sets.entry(&rule.name).or_default();
            set.rules.push(Arc::clone(rule));
        }
        for rule in &config.patterns {
            let set = sets.entry(&rule.name).or_default();
            set.patterns.push(Arc::clone(rule));
        }
        let rules = names.into_iter().map(|name| {
            let set = sets.remove(name).unwrap_or_default();
            Arc::new(ServiceRule {
                name: name.into(),
                descriptions: set.descriptions(),
                set,
                schedule: config.schedules.get(name).cloned().unwrap_or_default(),
            })
        });
        Self::from_rules(rules)
    }

    fn from_rules(rules: impl Iterator<Item = Arc<ServiceRule>>) -> Self {
        let rules: Vec<Arc<ServiceRule>> = rules.collect();
        let positions = rules.iter().enumerate();
        Self {
            positions: positions
                .map(|(position, rule)| (Arc::clone(&rule.name), position))
                .collect(),
            rules,
        }
    }

    /// Returns the rules, in the order of the files.
    pub(crate) fn rules(&self) -> &[Arc<ServiceRule>] {
        &self.rules
    }

    /// Returns the rule called `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<ServiceRule>> {
        self.rules.get(*self.positions.get(name)?)
    }
}

impl ServiceRule {
    /// Returns the sources as the user wrote them: repositories and patterns.
    pub(crate) fn sources(&self) -> Vec<&str> {
        distinct(self.descriptions.iter().map(|rule| rule.source.as_str()))
    }

    /// Returns the destinations: repositories and templates.
    pub(crate) fn destinations(&self) -> Vec<&str> {
        let rules = self.descriptions.iter();
        distinct(rules.flat_map(|rule| rule.destinations.iter().map(String::as_str)))
    }
}

/// Returns the texts without repetitions, in their order.
fn distinct<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = std::collections::HashSet::new();
    texts.filter(|text| seen.insert(*text)).collect()
}
