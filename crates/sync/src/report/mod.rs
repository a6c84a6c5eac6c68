//! The summary, folded from events.

mod by_rule;
mod counts;
mod groups;
mod pattern_tally;
mod summary;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::event::{Event, Listener, RuleDescription};
use crate::id::RuleId;
use crate::lock::lock;
use counts::InFlightImages;

pub use by_rule::RuleSummary;
pub use counts::Counts;
pub use pattern_tally::PatternTally;
pub use summary::{FEW, FailedImage, FailureGroup, Summary};

/// Maximum number of failures, and of warnings, that are kept in full; others are only counted. So memory grows with
/// the number of rules and not of images.
pub const KEPT: usize = 1_000;

/// Folds events into a [`Summary`].
#[derive(Debug, Default)]
pub struct Report(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    summary: Summary,
    under_way: InFlightImages,
    /// Index of each rule in `summary.by_rule`.
    positions: HashMap<RuleId, usize>,
}

impl Report {
    /// Creates an empty report.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the results so far.
    pub fn summary(&self) -> Summary {
        self.lock().summary.clone()
    }

    /// Returns the few numbers that a display samples; cheap.
    pub fn counts(&self) -> Counts {
        let state = self.lock();
        Counts::from_summary(&state.summary, &state.under_way)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

impl Listener for Report {
    fn event(&self, event: &Event) {
        let mut state = self.lock();
        state.under_way.fold(event);
        let entry = state.rule_summary(event);
        let name = entry.map(|entry| {
            entry.fold(event);
            Arc::clone(&entry.rule.name)
        });
        state.summary.fold(event, &name.unwrap_or_default());
    }
}

impl State {
    /// Returns the results of the rule of an event. Without an event for its start, its id is its name.
    fn rule_summary(&mut self, event: &Event) -> Option<&mut RuleSummary> {
        // A rule may be listed before it starts, and may never start.
        if matches!(event, Event::RuleListed { .. }) {
            return None;
        }
        let id = event.rule()?;
        let by_rule = &mut self.summary.by_rule;
        let position = *self.positions.entry(id).or_insert_with(|| {
            let rule = Arc::new(RuleDescription::unknown(id));
            by_rule.push(RuleSummary::new(rule));
            by_rule.len() - 1
        });
        let entry = by_rule.get_mut(position)?;
        if let Event::RuleStarted { rule } = event {
            entry.rule = Arc::clone(rule);
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests;
