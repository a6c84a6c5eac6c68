//! Collects the images of rules until each rule, and all before it, have ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use image_syncer_sync::event::RuleDescription;
use image_syncer_sync::{Event, ImageId, Listener, Outcome, RuleId};

use crate::lock::lock;
use crate::ui::plan::PlanForm;
use crate::ui::plan::places::{Places, split_reference};
use crate::ui::plan::row::{PlanRow, PlannedOutcome, PlatformLists, printable};
use crate::ui::stdout::Stdout;

/// Images with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowSelection {
    /// Images that would be copied.
    Different,
    /// Skipped and failed images as well.
    Notable,
    /// Unchanged images as well.
    All,
}

/// Listener that writes what a run would copy: rules in their given order, images of each by name.
///
/// Rows are held until their rule and those before it have ended. About 0.5 KiB of memory is needed for each image that
/// differs and whose turn has not come, and nothing for unchanged ones, except with [`RowSelection::All`]. Output for a
/// slow reader of stdout is held in the same way, so that it does not delay the run.
pub struct PlanListener {
    form: PlanForm,
    which: RowSelection,
    state: Mutex<State>,
    stdout: Stdout,
}

#[derive(Default)]
struct State {
    rules: Vec<RuleRows>,
    /// Position of each rule in `rules`.
    positions: HashMap<RuleId, usize>,
    /// First rule that was not written.
    next: usize,
    platforms: PlatformLists,
}

/// Images of a rule so far.
#[derive(Debug)]
pub(super) struct RuleRows {
    /// Rule.
    pub(super) rule: Arc<RuleDescription>,
    /// Rows, sorted by place and name when they are written.
    pub(super) rows: Vec<PlanRow>,
    /// Repositories of the rows.
    pub(super) places: Places,
    /// Images that were not compared before the run was interrupted.
    pub(super) interrupted: u64,
    /// Reason for an empty rule.
    pub(super) empty: Option<String>,
    /// Names of sources whose images are missing, the rule or one of its repositories, each with the reason. Without
    /// those that were interrupted.
    pub(super) failures: Vec<(String, String)>,
    finished: u64,
    announced: Option<u64>,
}

impl PlanListener {
    /// Creates a plan in this form.
    pub(crate) fn new(
        rules: &[Arc<RuleDescription>],
        form: PlanForm,
        which: RowSelection,
        stdout: Stdout,
    ) -> Self {
        let positions = rules.iter().enumerate();
        let positions = positions.map(|(at, rule)| (rule.id, at)).collect();
        Self {
            form,
            which,
            state: Mutex::new(State {
                rules: rules.iter().map(RuleRows::new).collect(),
                positions,
                ..State::default()
            }),
            stdout,
        }
    }

    /// Writes the rest, and `last` after it.
    pub fn close(&self, last: Vec<String>) {
        let mut state = self.state();
        while let Some(rule) = state.pop_rule() {
            self.write(rule);
        }
        let form = self.form;
        self.stdout.send(move |out| form.last(out, &last));
    }

    fn write(&self, rule: RuleRows) {
        let form = self.form;
        self.stdout.send(move |out| form.rule(out, &rule));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn includes(&self, outcome: &PlannedOutcome) -> bool {
        match outcome {
            PlannedOutcome::Planned(_) => true,
            PlannedOutcome::Skipped(_) | PlannedOutcome::Failed(_) => {
                self.which != RowSelection::Different
            }
            PlannedOutcome::Unchanged(_) => self.which == RowSelection::All,
        }
    }

    fn image(&self, state: &mut State, image: &ImageId, outcome: &Outcome) {
        let State {
            rules,
            positions,
            platforms,
            ..
        } = state;
        let Some(rule) = positions.get(&image.rule).and_then(|at| rules.get_mut(*at)) else {
            return;
        };
        rule.finished += 1;
        if matches!(outcome, Outcome::Failed(failure) if failure.interrupted) {
            rule.interrupted += 1;
        }
        let (source, source_name) = split_reference(&image.source);
        let (destination, name) = split_reference(&image.destination);
        let place = rule.places.position(source, destination);
        if matches!(outcome, Outcome::Unchanged { .. }) {
            if let Some(place) = rule.places.get_mut(place) {
                place.unchanged += 1;
            }
            if self.which != RowSelection::All {
                return;
            }
        }
        let row = PlanRow::new(place, (source_name, name), outcome, platforms);
        rule.rows
            .extend(row.filter(|row| self.includes(&row.outcome)));
    }
}

impl Listener for PlanListener {
    fn event(&self, event: &Event) {
        let mut state = self.state();
        match event {
            Event::ImageFinished { image, outcome, .. } => {
                self.image(&mut state, image, outcome);
            }
            Event::RuleDiscovered {
                rule,
                images,
                empty,
            } => {
                if let Some(gathered) = state.rule_rows(*rule) {
                    gathered.announced = Some(*images);
                    gathered.empty = empty.as_deref().map(printable);
                }
            }
            // The number of images is unknown, so the rule ends with the run.
            Event::RuleFailed { rule, failure } if !failure.interrupted => {
                if let Some(gathered) = state.rule_rows(*rule) {
                    let name = printable(&gathered.rule.name);
                    gathered.failures.push((name, printable(&failure.reason)));
                }
            }
            Event::RepositoryFailed {
                rule,
                repository,
                failure,
            } if !failure.interrupted => {
                if let Some(gathered) = state.rule_rows(*rule) {
                    let failure = (printable(repository), printable(&failure.reason));
                    gathered.failures.push(failure);
                }
            }
            _ => return,
        }
        while state.next_has_ended() {
            let Some(rule) = state.pop_rule() else {
                break;
            };
            // The lock keeps the order of the rules.
            self.write(rule);
        }
    }
}

impl State {
    fn rule_rows(&mut self, rule: RuleId) -> Option<&mut RuleRows> {
        let at = self.positions.get(&rule)?;
        self.rules.get_mut(*at)
    }

    fn next_has_ended(&self) -> bool {
        self.rules.get(self.next).is_some_and(|rule| {
            rule.announced
                .is_some_and(|announced| announced <= rule.finished)
        })
    }

    /// Returns the next rule with sorted rows.
    fn pop_rule(&mut self) -> Option<RuleRows> {
        let rule = self.rules.get_mut(self.next)?;
        self.next += 1;
        let empty = RuleRows::new(&rule.rule);
        let mut rule = std::mem::replace(rule, empty);
        rule.rows.sort_unstable_by(|one, other| {
            one.place.cmp(&other.place).then_with(|| one.compare(other))
        });
        Some(rule)
    }
}

impl RuleRows {
    fn new(rule: &Arc<RuleDescription>) -> Self {
        Self {
            rule: Arc::clone(rule),
            rows: Vec::new(),
            places: Places::new(rule),
            interrupted: 0,
            empty: None,
            failures: Vec::new(),
            finished: 0,
            announced: None,
        }
    }
}
