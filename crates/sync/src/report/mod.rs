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

/// How many failures, and how many warnings, are kept in full; of the others only the number is known. So memory
/// grows with the rules and not with the images.
pub const KEPT: usize = 1_000;

/// Folds what happens into a [`Summary`].
#[derive(Debug, Default)]
pub struct Report(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    summary: Summary,
    under_way: InFlightImages,
    /// Where a rule stands in `summary.by_rule`, by its address; the summary holds the rule, so that it stays.
    positions: HashMap<usize, usize>,
}

impl Report {
    /// Nothing happened yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the run has come to so far.
    pub fn summary(&self) -> Summary {
        self.lock().summary.clone()
    }

    /// The few numbers of it that change all the time, at no cost worth speaking of.
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
