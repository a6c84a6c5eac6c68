//! Rules of a run.

use std::collections::HashSet;
use std::sync::Arc;

use crate::Endpoint;
use crate::event::RuleDescription;
use crate::id::RuleId;
use crate::rule::{CopyOptions, DestinationTemplate, PatternRule, Rule, with_distinct_ids};
use crate::shard::RunPart;

/// Rules of a run, in the order in which they are carried out: rules that name their repositories, then patterns.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    /// Rules that name their repositories.
    pub rules: Vec<Arc<Rule>>,
    /// Rules over repositories that only a list reveals.
    pub patterns: Vec<Arc<PatternRule>>,
    /// Part of the rules that a run carries out. It knows the other rules, since they may write to the same tags.
    pub part: RunPart,
}

impl RuleSet {
    /// Sets the part of the rules that a run carries out.
    #[must_use]
    pub fn with_part(self, part: RunPart) -> Self {
        Self { part, ..self }
    }

    /// Returns the number of rules that a run carries out. A pattern counts once, with all of its repositories.
    pub fn carried_out(&self) -> usize {
        self.own_rules().count() + self.patterns.len()
    }

    /// Returns the rules that name their repositories and that a run carries out.
    pub fn own_rules(&self) -> impl Iterator<Item = &Arc<Rule>> {
        let rules = self.rules.iter();
        rules.filter(|rule| self.part.carries_out(rule))
    }

    /// Returns the number of rules. A pattern counts once, with all of its repositories.
    pub fn len(&self) -> usize {
        self.rules.len() + self.patterns.len()
    }

    /// Returns true without any rule.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the texts that name the rules, in their order.
    pub fn descriptions(&self) -> Vec<Arc<RuleDescription>> {
        let rules = self.rules.iter().map(|rule| RuleDescription {
            elsewhere: !self.part.carries_out(rule),
            ..RuleDescription::from(&**rule)
        });
        let patterns = self.patterns.iter();
        let patterns = patterns.map(|rule| RuleDescription::from(&**rule));
        rules.chain(patterns).map(Arc::new).collect()
    }

    /// Returns the rules with ids of which no two are the same: see [`with_distinct_ids`](crate::rule::with_distinct_ids).
    #[must_use]
    pub fn with_distinct_ids(mut self) -> Self {
        self.rules = with_distinct_ids(self.rules);
        let mut taken: HashSet<RuleId> = self.rules.iter().map(|rule| rule.id).collect();
        for pattern in &mut self.patterns {
            let place = pattern.location.as_ref();
            let place = place.map(|location| (&*location.file, location.line));
            let mut ids = (1..).map(|ordinal| RuleId::numbered(&pattern.name, place, ordinal));
            let mut id = pattern.id;
            while !taken.insert(id) {
                let Some(next) = ids.next() else { break };
                id = next;
            }
            if id != pattern.id {
                Arc::make_mut(pattern).id = id;
            }
        }
        self
    }

    /// Returns the options of all copies.
    pub fn options(&self) -> impl Iterator<Item = &CopyOptions> {
        let rules = self.rules.iter().flat_map(|rule| {
            let destinations = rule.destinations.iter();
            destinations.map(|destination| &**rule.options_for(destination))
        });
        let patterns = self.patterns.iter().flat_map(|rule| {
            let destinations = rule.destinations.iter();
            destinations.map(|to| &**to.options.as_ref().unwrap_or(&rule.options))
        });
        rules.chain(patterns)
    }

    /// Returns the endpoints of all sources and destinations. One may be returned several times.
    pub fn endpoints(&self) -> impl Iterator<Item = Endpoint> {
        let rules = self.rules.iter().flat_map(|rule| {
            let destinations = rule.destinations.iter().map(|to| &to.repository);
            let all = std::iter::once(&rule.source.repository).chain(destinations);
            all.map(|repository| repository.endpoint().clone())
        });
        let patterns = self.patterns.iter().flat_map(|rule| {
            let sources = rule.from.iter().map(|from| from.endpoint().clone());
            let destinations = rule.destinations.iter();
            sources.chain(destinations.filter_map(DestinationTemplate::endpoint))
        });
        rules.chain(patterns)
    }

    /// Returns the ids of the rules that write to `endpoint`.
    pub(crate) fn writing_to(&self, endpoint: &Endpoint) -> Vec<RuleId> {
        let rules = self.rules.iter().filter(|rule| {
            let mut destinations = rule.destinations.iter();
            destinations.any(|to| to.repository.endpoint() == endpoint)
        });
        let patterns = self.patterns.iter().filter(|pattern| {
            let mut destinations = pattern.destinations.iter();
            destinations.any(|to| to.endpoint().as_ref() == Some(endpoint))
        });
        let rules = rules.map(|rule| rule.id);
        rules.chain(patterns.map(|pattern| pattern.id)).collect()
    }
}

impl From<Vec<Arc<Rule>>> for RuleSet {
    fn from(rules: Vec<Arc<Rule>>) -> Self {
        Self {
            rules,
            ..Self::default()
        }
    }
}
