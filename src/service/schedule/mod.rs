//! Scheduler: requests the runs of rules at their times.

#[cfg(test)]
mod tests;
mod times;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use image_syncer_sync::config::Times;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::lock::lock;
use crate::service::clock::Clock;
use crate::service::observer::RunObserver;
use crate::service::rule_book::RuleBook;
use crate::service::run::{Cause, Run, RunPurpose, RunState, Scope};
use crate::service::runs::{RequestError, RunRequest, Runs};
use crate::ui::units;

pub(crate) use times::LastStart;
use times::next_start;

/// Maximum time between two looks at the clock, which may be set to another time at any moment.
const LOOK: Duration = Duration::from_secs(10);

/// Seconds within which replicas start together.
const START_SLOT: i64 = 300;

/// Times of the next runs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Schedules(Arc<Shared>);

/// The next run of a rule by its schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlannedRun {
    /// Its start.
    pub(crate) start: Timestamp,
    /// Time until the start after that.
    pub(crate) interval: Option<SignedDuration>,
}

struct Shared {
    clock: Clock,
    state: Mutex<State>,
    /// A time has changed.
    changed: Notify,
}

#[derive(Default)]
struct State {
    rules: Arc<RuleBook>,
    /// Last start of each rule.
    last: HashMap<Arc<str>, LastStart>,
    /// Next start of each rule that has one.
    next: HashMap<Arc<str>, Timestamp>,
    looked: Option<Instant>,
}

impl Schedules {
    /// Creates the schedules of rules that started last at these times.
    pub(crate) fn new(clock: Clock, last: HashMap<Arc<str>, LastStart>) -> Self {
        let state = State {
            last,
            ..State::default()
        };
        Self(Arc::new(Shared {
            clock,
            state: Mutex::new(state),
            changed: Notify::new(),
        }))
    }

    /// Returns the time of the next run of a rule; `None` for a rule without a schedule.
    pub(crate) fn next(&self, rule: &str) -> Option<Timestamp> {
        self.state().next.get(rule).copied()
    }

    /// Returns the next run of a rule; `None` for a rule without a schedule.
    pub(crate) fn planned(&self, rule: &str) -> Option<PlannedRun> {
        let state = self.state();
        let start = state.next.get(rule).copied()?;
        let rule = state.rules.get(rule)?;
        let following = next_start(&rule.schedule, &rule.name, LastStart::At(start));
        Some(PlannedRun {
            start,
            interval: following.map(|following| following.duration_since(start)),
        })
    }

    /// Returns a sentence with the number of rules that have a schedule, and the first start.
    pub(crate) fn description(&self) -> String {
        let state = self.state();
        let all = state.rules.rules().len() as u64;
        let first = state.next.iter().min_by_key(|(_, time)| **time);
        let Some((rule, time)) = first else {
            return format!(
                "{}, none with a schedule: runs start on request",
                units::count(all, "rule")
            );
        };
        format!(
            "{}, {} with a schedule, in UTC unless it names a zone; first {rule} at {}",
            units::count(all, "rule"),
            state.next.len(),
            time.strftime("%Y-%m-%d %H:%M:%S UTC")
        )
    }

    /// Returns the moment of the last look at the clock; `None` before the first one.
    pub(crate) fn looked(&self) -> Option<Instant> {
        self.state().looked
    }

    /// Requests each run at its time, until `runs` are closed.
    pub(crate) async fn drive(&self, runs: &Runs) {
        loop {
            let (due, wait) = self.look();
            for (time, rule) in due {
                if !request(runs, &rule, Cause::Schedule, self.slot(&rule, time)) {
                    return;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.0.changed.notified() => {}
            }
        }
    }

    /// Returns the time for which replicas have one run of a rule. They count intervals from a start that each of them saw
    /// a moment earlier or later, so the slot of an interval is a multiple of it.
    fn slot(&self, rule: &str, time: Timestamp) -> Timestamp {
        let state = self.state();
        let Some(Times::Every(interval)) = state.rules.get(rule).map(|rule| &rule.schedule.times)
        else {
            return time;
        };
        let seconds = i64::try_from(interval.as_secs()).unwrap_or(i64::MAX).max(1);
        let second = time.as_second();
        Timestamp::from_second(second - second.rem_euclid(seconds)).unwrap_or(time)
    }

    /// Returns the rules whose time has come, in the order of these times, and the time to wait for the next one.
    fn look(&self) -> (Vec<(Timestamp, Arc<str>)>, Duration) {
        let now = self.0.clock.now();
        let mut state = self.state();
        state.looked = Some(Instant::now());
        let due = state.next.iter().filter(|(_, time)| **time <= now);
        let mut due: Vec<(Timestamp, Arc<str>)> =
            due.map(|(rule, time)| (*time, Arc::clone(rule))).collect();
        due.sort();
        // A run that waits for another one has been requested as well.
        for (_, rule) in &due {
            state.started(rule, now);
        }
        let next = state.next.values().min();
        let wait = next.and_then(|next| Duration::try_from(next.duration_since(now)).ok());
        (due, wait.map_or(LOOK, |wait| wait.min(LOOK)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }
}

/// Requests the runs of all rules that start with the service: those whose schedule says so, or `all`.
pub(crate) fn request_at_start(runs: &Runs, all: bool) {
    // Replicas that start together request each run once.
    let now = Timestamp::now().as_second();
    let slot = Timestamp::from_second(now - now % START_SLOT).unwrap_or_default();
    for rule in runs.rules().rules() {
        if all || rule.schedule.at_start {
            request(runs, &rule.name, Cause::Start, slot);
        }
    }
}

/// Requests a whole run for a time. Returns false if no run starts any more.
fn request(runs: &Runs, rule: &Arc<str>, cause: Cause, slot: Timestamp) -> bool {
    let request = RunRequest {
        rule: Arc::clone(rule),
        cause,
        purpose: RunPurpose::Sync,
        scope: Scope::default(),
    };
    match runs.request_for(&request, Some(slot)) {
        Err(RequestError::Stopping) => false,
        // A rule may have been removed this very moment.
        Ok(_) | Err(_) => true,
    }
}

impl State {
    /// Notes that a rule started.
    fn started(&mut self, rule: &Arc<str>, now: Timestamp) {
        self.last.insert(Arc::clone(rule), LastStart::At(now));
        self.plan(rule);
    }

    /// Computes the next start of a rule.
    fn plan(&mut self, rule: &str) {
        let next = self.rules.get(rule).and_then(|rule| {
            let last = self.last.get(&rule.name)?;
            next_start(&rule.schedule, &rule.name, *last)
        });
        match (next, self.rules.get(rule)) {
            (Some(next), Some(rule)) => {
                self.next.insert(Arc::clone(&rule.name), next);
            }
            _ => {
                self.next.remove(rule);
            }
        }
    }
}

impl RunObserver for Schedules {
    fn changed(&self, run: &Run) {
        let is_whole = run.scope.is_whole();
        if run.state != RunState::Running || run.purpose != RunPurpose::Sync || !is_whole {
            return;
        }
        if let Some(started) = run.started {
            self.state().started(&run.rule, started);
            self.0.changed.notify_one();
        }
    }

    fn rules(&self, rules: &Arc<RuleBook>) {
        let now = self.0.clock.now();
        let mut state = self.state();
        state.rules = Arc::clone(rules);
        state.next.clear();
        for rule in rules.rules() {
            let known = LastStart::NeverSince(now);
            state.last.entry(Arc::clone(&rule.name)).or_insert(known);
            state.plan(&rule.name);
        }
        let State { last, rules, .. } = &mut *state;
        last.retain(|name, _| rules.get(name).is_some());
        drop(state);
        self.0.changed.notify_one();
    }
}
