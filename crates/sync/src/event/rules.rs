//! Descriptions of rules, for listeners that name rules.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::id::RuleId;
use crate::lock::lock;
use crate::rule::{IfEmpty, Location, PatternRule, Rule};

/// Texts that name a rule. Displays as the name and the place: `a.example/x (images.yaml:3)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleDescription {
    /// The id.
    pub id: RuleId,
    /// The source as the user wrote it.
    pub name: Arc<str>,
    /// Position in the user's file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// Repository of the source, or the patterns of a rule over several.
    pub source: String,
    /// True for a rule over the repositories of a list.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_pattern: bool,
    /// Repositories of the destinations, or their templates.
    pub destinations: Vec<String>,
    /// True for a rule that another process carries out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub elsewhere: bool,
    /// Policy for a rule that selects no image.
    #[serde(default, skip_serializing_if = "IfEmpty::is_default")]
    pub if_empty: IfEmpty,
}

impl RuleDescription {
    /// Returns the description of a rule of which only the id is known. The id is its name.
    pub fn unknown(id: RuleId) -> Self {
        Self {
            id,
            name: id.to_string().into(),
            location: None,
            source: String::new(),
            is_pattern: false,
            destinations: Vec::new(),
            elsewhere: false,
            if_empty: IfEmpty::default(),
        }
    }
}

impl From<&Rule> for RuleDescription {
    fn from(rule: &Rule) -> Self {
        let destinations = rule.destinations.iter();
        Self {
            id: rule.id,
            name: Arc::clone(&rule.name),
            location: rule.location.clone(),
            source: rule.source.repository.to_string(),
            is_pattern: false,
            destinations: destinations.map(|to| to.repository.to_string()).collect(),
            elsewhere: false,
            if_empty: rule.if_empty,
        }
    }
}

impl From<&PatternRule> for RuleDescription {
    fn from(rule: &PatternRule) -> Self {
        let from: Vec<String> = rule.from.iter().map(ToString::to_string).collect();
        Self {
            id: rule.id,
            name: Arc::clone(&rule.name),
            location: rule.location.clone(),
            source: from.join(", "),
            is_pattern: true,
            destinations: rule.destinations.iter().map(ToString::to_string).collect(),
            elsewhere: false,
            if_empty: rule.if_empty,
        }
    }
}

impl fmt::Display for RuleDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.location {
            Some(location) => write!(f, " ({location})"),
            None => Ok(()),
        }
    }
}

/// Descriptions of the rules of a run by their ids, filled by the events of the run.
#[derive(Debug, Default)]
pub struct RuleTable(Mutex<HashMap<RuleId, Arc<RuleDescription>>>);

impl RuleTable {
    /// Adds the rule of [`Event::RuleStarted`]. Other events change nothing.
    pub fn record(&self, event: &Event) {
        if let Event::RuleStarted { rule } = event {
            lock(&self.0).insert(rule.id, Arc::clone(rule));
        }
    }

    /// Returns the rule with this id, or [`RuleDescription::unknown`] if it has not started.
    pub fn get(&self, id: RuleId) -> Arc<RuleDescription> {
        let known = lock(&self.0).get(&id).cloned();
        known.unwrap_or_else(|| Arc::new(RuleDescription::unknown(id)))
    }
}
