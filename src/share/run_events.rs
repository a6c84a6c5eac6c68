//! Events of a run, put together from those of its units.

use std::collections::HashMap;
use std::sync::Arc;

use image_syncer_sync::event::RuleDescription;
use image_syncer_sync::report::PatternTally;
use image_syncer_sync::rule::RuleSet;
use image_syncer_sync::{Event, Failure, Listener, RuleId};

use crate::share::UnitSpec;
use crate::share::unit::RulePosition;

/// A unit that ended.
#[derive(Clone, Debug)]
pub(crate) struct FinishedUnit {
    /// Its work.
    pub(crate) spec: UnitSpec,
    /// Its events, or the reason why no worker could carry it out.
    pub(crate) result: Result<Vec<Event>, String>,
}

/// Puts the events of a run together: each rule starts once and ends once, for any number of units.
pub(crate) struct RunEvents {
    rules: HashMap<RuleId, RuleState>,
    /// Ids of the patterns, by their positions.
    patterns: Vec<RuleId>,
    /// Ids of the other rules, by their positions.
    named: Vec<RuleId>,
    listener: Arc<dyn Listener>,
}

/// Progress of a rule.
struct RuleState {
    description: Arc<RuleDescription>,
    tally: PatternTally,
    has_started: bool,
    has_failed: bool,
}

impl RunEvents {
    /// Returns the events of a run of these rules, which go to `listener`.
    pub(crate) fn new(rules: &RuleSet, listener: Arc<dyn Listener>) -> Self {
        let mut events = Self::without_rules(listener);
        rules
            .descriptions()
            .into_iter()
            .for_each(|rule| events.know(rule));
        events
    }

    /// Returns the events of a run whose rules are in the result of its first unit. They go to `listener`.
    pub(crate) fn without_rules(listener: Arc<dyn Listener>) -> Self {
        Self {
            rules: HashMap::new(),
            patterns: Vec::new(),
            named: Vec::new(),
            listener,
        }
    }

    /// Returns the rules, in their order.
    pub(crate) fn descriptions(&self) -> Vec<Arc<RuleDescription>> {
        let ids = self.named.iter().chain(&self.patterns);
        let states = ids.filter_map(|id| self.rules.get(id));
        states.map(|state| Arc::clone(&state.description)).collect()
    }

    /// Reports the events of a unit.
    pub(crate) fn add(&mut self, unit: FinishedUnit) {
        match unit.result {
            Ok(events) => {
                for event in events {
                    self.add_event(&unit.spec, event);
                }
            }
            Err(reason) => {
                for rule in self.rules_of(&unit.spec) {
                    let failure = Failure::local(reason.clone());
                    self.fail(&unit.spec, rule, failure);
                }
            }
        }
    }

    /// Records a unit that was not carried out, since the run was cancelled: its rules were interrupted.
    pub(crate) fn interrupt(&mut self, unit: &UnitSpec) {
        for rule in self.rules_of(unit) {
            self.fail_rule(rule, Failure::interrupted());
        }
    }

    /// Reports the end of the rules whose units were all carried out.
    pub(crate) fn end(mut self) {
        let ids: Vec<RuleId> = self.named.iter().chain(&self.patterns).copied().collect();
        for id in ids {
            self.start(id);
            let Some(state) = self.rules.remove(&id) else {
                continue;
            };
            if state.has_failed {
                continue;
            }
            self.listener.event(&if state.description.is_pattern {
                state.tally.end(id, state.description.if_empty)
            } else {
                // Its unit has judged whether it may be empty.
                Event::RuleDiscovered {
                    rule: id,
                    images: state.tally.images,
                    empty: state.tally.empty.filter(|_| state.tally.images == 0),
                }
            });
        }
    }

    fn add_event(&mut self, unit: &UnitSpec, event: Event) {
        match event {
            Event::RuleStarted { rule } => {
                let id = rule.id;
                self.know(rule);
                self.start(id);
            }
            Event::RuleDiscovered {
                rule,
                images,
                empty,
            } => self.discovered(unit, rule, (images, empty)),
            Event::RuleFailed { rule, failure } => self.fail(unit, rule, failure),
            Event::RepositoryFailed { rule, .. } => {
                self.start(rule);
                if let Some(state) = self.rules.get_mut(&rule) {
                    state.tally.add(None);
                }
                self.listener.event(&event);
            }
            Event::ImageFinished { ref image, .. } => {
                self.start(image.rule);
                let image = image.clone();
                self.listener.event(&Event::ImageStarted { image });
                self.listener.event(&event);
            }
            Event::Warning { .. } => self.listener.event(&event),
            // Only the whole run knows its numbers.
            _ => {}
        }
    }

    /// Records the images of a unit.
    fn discovered(&mut self, unit: &UnitSpec, rule: RuleId, found: (u64, Option<String>)) {
        self.start(rule);
        let Some(state) = self.rules.get_mut(&rule) else {
            return;
        };
        let (images, empty) = found;
        match unit {
            UnitSpec::Repository { repository, .. } => {
                state.tally.add(Some(images));
                self.listener.event(&Event::RepositoryDiscovered {
                    rule,
                    repository: repository.as_str().into(),
                    images,
                    empty,
                });
            }
            UnitSpec::All | UnitSpec::Start | UnitSpec::List | UnitSpec::Rules { .. } => {
                state.tally.images += images;
                state.tally.empty = empty;
            }
            UnitSpec::Part { .. } => state.tally.images += images,
        }
    }

    /// Reports a failure of a unit's own: of its repository, or of its rule, once.
    fn fail(&mut self, unit: &UnitSpec, rule: RuleId, failure: Failure) {
        self.start(rule);
        let Some(state) = self.rules.get_mut(&rule) else {
            return;
        };
        match unit {
            UnitSpec::Repository { repository, .. }
            | UnitSpec::Part {
                rule: RulePosition::Pattern(_),
                repository,
                ..
            } => {
                state.tally.add(None);
                self.listener.event(&Event::RepositoryFailed {
                    rule,
                    repository: repository.as_str().into(),
                    failure,
                });
            }
            _ => self.fail_rule(rule, failure),
        }
    }

    fn fail_rule(&mut self, rule: RuleId, failure: Failure) {
        self.start(rule);
        if let Some(state) = self.rules.get_mut(&rule)
            && !std::mem::replace(&mut state.has_failed, true)
        {
            self.listener.event(&Event::RuleFailed { rule, failure });
        }
    }

    /// Adds a rule, unless it is known.
    fn know(&mut self, rule: Arc<RuleDescription>) {
        if self.rules.contains_key(&rule.id) {
            return;
        }
        let ids = if rule.is_pattern {
            &mut self.patterns
        } else {
            &mut self.named
        };
        ids.push(rule.id);
        self.rules.insert(rule.id, RuleState::new(rule));
    }

    fn start(&mut self, rule: RuleId) {
        if let Some(state) = self.rules.get_mut(&rule)
            && !std::mem::replace(&mut state.has_started, true)
        {
            let rule = Arc::clone(&state.description);
            self.listener.event(&Event::RuleStarted { rule });
        }
    }

    /// Returns the rules that a unit is about.
    fn rules_of(&self, unit: &UnitSpec) -> Vec<RuleId> {
        let at = |ids: &[RuleId], position: &usize| ids.get(*position).copied();
        match unit {
            UnitSpec::All | UnitSpec::Start => {
                self.named.iter().chain(&self.patterns).copied().collect()
            }
            UnitSpec::List => self.patterns.clone(),
            UnitSpec::Rules { rules, .. } => {
                let rules = rules.iter();
                rules.filter_map(|it| at(&self.named, it)).collect()
            }
            UnitSpec::Repository { pattern, .. } => {
                at(&self.patterns, pattern).into_iter().collect()
            }
            UnitSpec::Part { rule, .. } => match rule {
                RulePosition::Rule(position) => at(&self.named, position),
                RulePosition::Pattern(position) => at(&self.patterns, position),
            }
            .into_iter()
            .collect(),
        }
    }
}

impl RuleState {
    fn new(description: Arc<RuleDescription>) -> Self {
        Self {
            description,
            tally: PatternTally::default(),
            has_started: false,
            has_failed: false,
        }
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use image_syncer_sync::rule::{Rule, RuleError};
    use image_syncer_sync::{ImageId, Outcome};

    use super::*;

    /// Keeps the kinds of events, with their numbers.
    #[derive(Default)]
    struct Kinds(Mutex<Vec<String>>);

    impl Listener for Kinds {
        fn event(&self, event: &Event) {
            let kind = match event {
                Event::RuleStarted { .. } => "started".to_owned(),
                Event::RuleDiscovered { images, empty, .. } => {
                    format!("discovered {images} {empty:?}")
                }
                Event::RuleFailed { failure, .. } => format!("failed {}", failure.reason),
                Event::ImageStarted { .. } => "image started".to_owned(),
                Event::ImageFinished { image, .. } => format!("finished {}", image.source),
                Event::Warning { text } => text.clone(),
                other => format!("{other:?}"),
            };
            self.0.lock().unwrap().push(kind);
        }
    }

    fn rules() -> RuleSet {
        let none = |_: &_| Err(RuleError("no default".to_owned()));
        let rule = Rule::parse("a.example/x", &["b.example/y"], &none).unwrap();
        RuleSet::from(vec![Arc::new(rule)])
    }

    fn events_of(units: Vec<FinishedUnit>, interrupted: &[UnitSpec]) -> Vec<String> {
        let kinds = Arc::new(Kinds::default());
        let mut events = RunEvents::new(&rules(), kinds.clone());
        for unit in units {
            events.add(unit);
        }
        for unit in interrupted {
            events.interrupt(unit);
        }
        events.end();
        std::mem::take(&mut *kinds.0.lock().unwrap())
    }

    fn discovered(images: u64) -> Event {
        Event::RuleDiscovered {
            rule: rules().rules[0].id,
            images,
            empty: None,
        }
    }

    fn finished(tag: &str) -> Event {
        Event::ImageFinished {
            image: ImageId {
                rule: rules().rules[0].id,
                source: format!("a.example/x:{tag}").into(),
                destination: "b.example/y".into(),
            },
            outcome: Outcome::Skipped { why: String::new() },
            elapsed: Duration::ZERO,
        }
    }

    fn unit(spec: UnitSpec, events: Vec<Event>) -> FinishedUnit {
        FinishedUnit {
            spec,
            result: Ok(events),
        }
    }

    fn part(tag: &str) -> UnitSpec {
        UnitSpec::Part {
            rule: RulePosition::Rule(0),
            repository: "a.example/x".to_owned(),
            tags: vec![tag.to_owned()],
        }
    }

    #[test]
    fn a_rule_that_was_divided_starts_and_ends_once() {
        let whole = UnitSpec::Rules {
            rules: vec![0],
            image_bytes: None,
        };
        let units = vec![
            unit(part("v2"), vec![discovered(1), finished("v2")]),
            unit(whole, vec![discovered(1), finished("v1")]),
        ];
        let expected = [
            "started",
            "image started",
            "finished a.example/x:v2",
            "image started",
            "finished a.example/x:v1",
            "discovered 2 None",
        ];
        assert_eq!(events_of(units, &[]), expected);
    }

    #[test]
    fn rules_that_the_reader_does_not_have_are_those_of_the_first_unit() {
        let kinds = Arc::new(Kinds::default());
        let mut events = RunEvents::without_rules(kinds.clone());
        let [rule] = &rules().descriptions()[..] else {
            panic!("one rule")
        };
        let started = Event::RuleStarted {
            rule: Arc::clone(rule),
        };
        events.add(unit(UnitSpec::Start, vec![started]));
        events.add(unit(part("v1"), vec![discovered(1), finished("v1")]));
        assert_eq!(events.descriptions(), [Arc::clone(rule)]);
        events.end();
        let expected = [
            "started",
            "image started",
            "finished a.example/x:v1",
            "discovered 1 None",
        ];
        assert_eq!(*kinds.0.lock().unwrap(), expected);
    }

    #[test]
    fn a_unit_that_nobody_could_carry_out_fails_its_rule_once() {
        let failed = |spec| FinishedUnit {
            spec,
            result: Err("no worker".to_owned()),
        };
        let units = vec![failed(part("v1")), failed(part("v2"))];
        assert_eq!(events_of(units, &[]), ["started", "failed no worker"]);
    }

    #[test]
    fn a_cancelled_run_interrupts_the_rules_with_units_that_are_left() {
        let units = vec![unit(part("v1"), vec![discovered(1), finished("v1")])];
        let interrupted = format!("failed {}", Failure::interrupted().reason);
        let expected = [
            "started",
            "image started",
            "finished a.example/x:v1",
            &interrupted,
        ];
        assert_eq!(events_of(units, &[part("v2"), part("v3")]), expected);
    }
}
