//! The summary, folded from events.

mod by_rule;
mod counts;
mod summary;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::event::{Event, Listener};
use crate::lock::lock;
use crate::rule::Rule;
use counts::InFlightImages;

pub use by_rule::RuleSummary;
pub use counts::Counts;
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
    /// Index of a rule in `summary.by_rule`, by its address. The summary holds the rule, so the address stays valid.
    positions: HashMap<usize, usize>,
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
        state.summary.fold(event);
        state.under_way.fold(event);
        match event {
            Event::RuleStarted { rule }
            | Event::RuleDiscovered { rule, .. }
            | Event::RuleFailed { rule, .. } => {
                if let Some(entry) = state.rule_summary(rule) {
                    entry.fold(event);
                }
            }
            Event::ImageFinished { image, .. } => {
                if let Some(entry) = state.rule_summary(&image.rule) {
                    entry.fold(event);
                }
            }
            Event::RuleListed { .. } | Event::ImageStarted(_) | Event::Warning { .. } => {}
        }
    }
}

impl State {
    fn rule_summary(&mut self, rule: &Arc<Rule>) -> Option<&mut RuleSummary> {
        let by_rule = &mut self.summary.by_rule;
        let address = Arc::as_ptr(rule).addr();
        let position = *self.positions.entry(address).or_insert_with(|| {
            by_rule.push(RuleSummary::new(Arc::clone(rule)));
            by_rule.len() - 1
        });
        by_rule.get_mut(position)
    }
}

#[cfg(test)]
mod tests;
