//! Repositories that the patterns of rules select.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::Repository;
use crate::event::Listener;
use crate::expand::{ExpandedRule, Expander};
use crate::rule::RuleSet;
use crate::session::Session;
use crate::settings::Intent;

/// A repository that a pattern selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundRepository {
    /// Position of the pattern among those of the rule set.
    pub pattern: usize,
    /// The repository at the source.
    pub repository: Repository,
}

impl Session {
    /// Lists the repositories that the patterns of `rules` select, and sends each to `found` as soon as a list has it. A
    /// repository whose destination another one has is left out, and reported. Events about the lists go to `listener`;
    /// the end of a pattern is an event only if it fails, or selects no repository.
    pub async fn list_repositories(
        &self,
        rules: RuleSet,
        listener: Arc<dyn Listener>,
        cancel: CancellationToken,
        found: mpsc::Sender<FoundRepository>,
    ) {
        let RuleSet {
            rules,
            patterns,
            part,
        } = rules.with_distinct_ids();
        let ids: Vec<_> = patterns.iter().map(|pattern| pattern.id).collect();
        let stores = self.state_for(Intent::List).stores;
        let patterns = (patterns, &part);
        let mut expander = Expander::start(&stores, &listener, &rules, patterns, &cancel);
        while let Some(expanded) = expander.next().await {
            let ExpandedRule::Own(rule, _) = expanded else {
                continue;
            };
            let Some(pattern) = ids.iter().position(|id| *id == rule.id) else {
                continue;
            };
            let repository = rule.source.repository.clone();
            let repository = FoundRepository {
                pattern,
                repository,
            };
            if found.send(repository).await.is_err() {
                return;
            }
        }
    }
}
