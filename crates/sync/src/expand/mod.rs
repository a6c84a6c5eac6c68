//! Expands rules with patterns for repositories into rules for each repository, by listing registries.
//!
//! Rules that name their repositories pass by. Patterns follow them in the order of the file: the rules of a pattern
//! are returned as soon as the list has them, so images are copied while the list is read. All lists are requested at
//! once, [`LISTINGS`] at a time, so a later pattern rarely waits for its own.
//!
//! A list is requested once for each registry and prefix, and serves all patterns that need it. A list that
//! cannot be read to its end fails the rules that need it; repositories that they found before are copied.

mod listing;
mod progress;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::event::{Event, Listener, RuleDescription};
use crate::failure::Failure;
use crate::rule::{DestinationClaims, PatternRule, Rule};
use crate::shard::RunPart;
use crate::store::Stores;
use crate::{Endpoint, Repository};

use listing::{ListingReader, RepositoryListing};
pub(crate) use progress::PatternProgress;

/// Maximum number of lists that are read at a time.
const LISTINGS: usize = 8;

/// Expansion of all patterns of a run.
pub(crate) struct Expander {
    listener: Arc<dyn Listener>,
    claims: DestinationClaims,
    patterns: std::vec::IntoIter<PatternExpansion>,
    part: RunPart,
    current: Option<PatternExpansion>,
}

/// A rule for one repository of a pattern.
pub(crate) enum ExpandedRule {
    /// The rule, and the progress of the pattern, which the end of the rule's search is reported to.
    Own(Arc<Rule>, Arc<PatternProgress>),
    /// A rule that another process carries out.
    Elsewhere(Arc<Rule>),
}

/// Expansion of one pattern.
struct PatternExpansion {
    pattern: Arc<PatternRule>,
    progress: Arc<PatternProgress>,
    /// Lists that are not read, the next one last.
    readers: Vec<ListingReader>,
    /// Repositories that were found, if several lists may have the same.
    seen: HashSet<Repository>,
    started: bool,
    /// Number of repositories in the lists, and of those that the pattern selects.
    listed: u64,
    selected: u64,
}

/// Result of one step.
enum Step {
    Rule(ExpandedRule),
    /// The pattern has ended.
    End,
}

impl Expander {
    /// Starts the lists of `patterns`. `rules`, the other rules of the run, keep their destinations. Once `cancel` is
    /// cancelled, no further page is requested.
    pub(crate) fn start(
        stores: &Arc<dyn Stores>,
        listener: &Arc<dyn Listener>,
        rules: &[Arc<Rule>],
        (patterns, part): (Vec<Arc<PatternRule>>, &RunPart),
        cancel: &CancellationToken,
    ) -> Self {
        let mut claims = DestinationClaims::default();
        for rule in rules {
            claims.reserve(rule);
        }
        let listings = start_listings(stores, listener, &patterns, cancel);
        let expansion = |pattern: Arc<PatternRule>| {
            let mut needed = listings_of(&pattern);
            needed.reverse();
            let readers = needed.iter().filter_map(|key| listings.get(key));
            PatternExpansion {
                progress: Arc::new(PatternProgress::new(&pattern, Arc::clone(listener))),
                pattern,
                readers: readers.map(RepositoryListing::read).collect(),
                seen: HashSet::new(),
                started: false,
                listed: 0,
                selected: 0,
            }
        };
        let patterns: Vec<_> = patterns.into_iter().map(expansion).collect();
        Self {
            listener: Arc::clone(listener),
            claims,
            patterns: patterns.into_iter(),
            part: part.clone(),
            current: None,
        }
    }

    /// Returns the next rule, in the order of the patterns and of their lists; `None` at the end. Failures are reported
    /// as events.
    pub(crate) async fn next(&mut self) -> Option<ExpandedRule> {
        loop {
            if self.current.is_none() {
                self.current = Some(self.patterns.next()?);
            }
            let current = self.current.as_mut()?;
            match current
                .step(&mut self.claims, &self.part, &self.listener)
                .await
            {
                Step::Rule(rule) => return Some(rule),
                Step::End => self.current = None,
            }
        }
    }
}

impl PatternExpansion {
    /// Reads on to the next repository that the pattern selects.
    async fn step(
        &mut self,
        claims: &mut DestinationClaims,
        part: &RunPart,
        listener: &Arc<dyn Listener>,
    ) -> Step {
        if !std::mem::replace(&mut self.started, true) {
            listener.event(&Event::RuleStarted {
                rule: Arc::new(RuleDescription::from(&*self.pattern)),
            });
        }
        while let Some(reader) = self.readers.last_mut() {
            match reader.next().await {
                Ok(Some(repository)) => {
                    if let Some(rule) = self.expand(&repository, claims, part) {
                        return Step::Rule(rule);
                    }
                }
                Ok(None) => {
                    self.listed += reader.listed();
                    self.readers.pop();
                }
                Err(failure) => {
                    self.progress.end_listing(Err(failure));
                    return Step::End;
                }
            }
        }
        let reason = (self.selected == 0).then(|| self.nothing_selected());
        self.progress.end_listing(Ok(reason));
        Step::End
    }

    /// Returns the rule for a repository that the pattern selects. A rule that cannot be, or whose destination another
    /// repository has, is reported.
    fn expand(
        &mut self,
        repository: &Repository,
        claims: &mut DestinationClaims,
        part: &RunPart,
    ) -> Option<ExpandedRule> {
        let rule = self.pattern.rule_for(repository)?;
        if self.pattern.from.len() > 1 && !self.seen.insert(repository.clone()) {
            return None;
        }
        self.selected += 1;
        // All processes claim for all repositories, so that they agree on the first one of a destination.
        let rule = rule.and_then(|rule| claims.claim(&rule).map(|()| Arc::new(rule)));
        match rule {
            Ok(rule) => Some(self.narrow(rule, part)),
            Err(error) if part.leads(repository) => {
                let failure = Failure::local(error.to_string());
                self.progress.begin_repository();
                self.progress
                    .end_repository(&repository.to_string(), Err(failure), true);
                None
            }
            Err(_) => {
                self.progress.pass_over();
                None
            }
        }
    }

    /// Returns the rule as this process carries it out.
    fn narrow(&self, rule: Arc<Rule>, part: &RunPart) -> ExpandedRule {
        let own = part.narrow(&rule);
        if own.as_ref().is_none_or(|own| own.tag_parts.is_some()) {
            self.progress.pass_over();
        }
        match own {
            None => ExpandedRule::Elsewhere(rule),
            Some(own) => {
                self.progress.begin_repository();
                ExpandedRule::Own(own, Arc::clone(&self.progress))
            }
        }
    }

    fn nothing_selected(&self) -> String {
        match self.listed {
            0 => "the registry lists no repository that could match".to_owned(),
            1 => "the only repository in the list does not match".to_owned(),
            listed => format!("no repository matches ({listed} in the list)"),
        }
    }
}

/// Identity of a list: an endpoint, and the components before the first wildcard.
type ListingKey = (Endpoint, String);

/// Returns the lists that a pattern needs, each once, in the order of its texts.
fn listings_of(pattern: &PatternRule) -> Vec<ListingKey> {
    let mut keys: Vec<ListingKey> = Vec::new();
    for from in &pattern.from {
        let key = (from.endpoint().clone(), from.literal_prefix().to_owned());
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// Starts the lists of all patterns.
fn start_listings(
    stores: &Arc<dyn Stores>,
    listener: &Arc<dyn Listener>,
    patterns: &[Arc<PatternRule>],
    cancel: &CancellationToken,
) -> HashMap<ListingKey, RepositoryListing> {
    let slots = Arc::new(Semaphore::new(LISTINGS));
    let mut by_key: HashMap<ListingKey, Vec<Arc<PatternRule>>> = HashMap::new();
    let mut order = Vec::new();
    for pattern in patterns {
        for key in listings_of(pattern) {
            let users = by_key.entry(key.clone()).or_insert_with(|| {
                order.push(key);
                Vec::new()
            });
            users.push(Arc::clone(pattern));
        }
    }
    let start = |key: ListingKey| {
        let users = by_key.remove(&key)?;
        let task = listing::ListingTask {
            stores: Arc::clone(stores),
            listener: Arc::clone(listener),
            endpoint: key.0.clone(),
            prefix: key.1.clone(),
            patterns: users,
            cancel: cancel.clone(),
        };
        let slots = Arc::clone(&slots);
        Some((key, RepositoryListing::start(task, slots)))
    };
    order.into_iter().filter_map(start).collect()
}
