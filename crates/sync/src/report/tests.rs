#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use std::time::Duration;

use std::collections::BTreeMap;

use super::*;
use crate::event::{Copied, Evidence, Outcome, Volume};
use crate::failure::{Failure, Responsibility};
use crate::id::ImageId;
use crate::rule::Rule;
use crate::scenario;

fn rule() -> Arc<Rule> {
    scenario::rule("r.example/a", &["s.example/a"])
}

fn image(rule: &Rule) -> ImageId {
    ImageId {
        rule: rule.id,
        source: "r.example/a:v1".into(),
        destination: "s.example/a:v1".into(),
    }
}

fn started(rule: &Rule) -> Event {
    let rule = Arc::new(rule.into());
    Event::RuleStarted { rule }
}

fn finished(outcome: Outcome) -> Event {
    Event::ImageFinished {
        image: image(&rule()),
        outcome,
        elapsed: Duration::ZERO,
    }
}

fn discovered(images: u64) -> Event {
    Event::RuleDiscovered {
        rule: rule().id,
        images,
        empty: None,
    }
}

fn fold(events: &[Event]) -> Summary {
    let report = Report::new();
    for event in events {
        report.event(event);
    }
    report.summary()
}

#[test]
fn each_outcome_is_counted_once_and_bytes_are_added() {
    let copied = || {
        finished(Outcome::Copied(Copied {
            volume: Volume {
                manifests: 2,
                blobs: 3,
                bytes: 10,
                mounted_bytes: 20,
                present_bytes: 30,
                shared_bytes: 40,
            },
            ..Copied::without_transfer(image_syncer_registry::Digest::sha256(b""))
        }))
    };
    let summary = fold(&[
        started(&rule()),
        discovered(4),
        copied(),
        copied(),
        finished(Outcome::Skipped { why: String::new() }),
        finished(Outcome::Failed(Failure::local("no"))),
    ]);
    assert_eq!((summary.copied, summary.skipped, summary.failed), (2, 1, 1));
    let volume = Volume {
        manifests: 4,
        blobs: 6,
        bytes: 20,
        mounted_bytes: 40,
        present_bytes: 60,
        shared_bytes: 80,
    };
    assert_eq!(summary.volume, volume);
    assert!(summary.is_complete());
    assert_eq!(summary.failures.len(), 1);
}

#[test]
fn an_image_that_never_ends_does_not_add_up() {
    let started = started(&rule());
    assert!(!fold(std::slice::from_ref(&started)).is_complete());
    let skipped = finished(Outcome::Skipped { why: String::new() });
    assert!(!fold(&[started, discovered(2), skipped]).is_complete());
}

#[test]
fn what_was_interrupted_is_not_a_failure() {
    let summary = fold(&[
        started(&rule()),
        Event::RuleFailed {
            rule: rule().id,
            failure: Failure::interrupted(),
        },
        finished(Outcome::Failed(Failure::interrupted())),
    ]);
    assert!(summary.was_interrupted());
    assert_eq!((summary.failed, summary.failed_rules), (0, 0));
    assert!(summary.failures.is_empty() && summary.is_complete());
}

#[test]
fn the_exit_code_tells_faults_and_interruption_apart() {
    let unchanged = finished(Outcome::Unchanged {
        digest: image_syncer_registry::Digest::sha256(b""),
        by: Evidence::Registry,
    });
    let failed = finished(Outcome::Failed(Failure::local("no")));
    let interrupted = finished(Outcome::Failed(Failure::interrupted()));
    assert_eq!(fold(std::slice::from_ref(&unchanged)).exit_code(), 0);
    assert_eq!(fold(&[unchanged.clone(), failed.clone()]).exit_code(), 1);
    assert_eq!(fold(&[unchanged, failed, interrupted]).exit_code(), 130);
    // A rule that matched nothing is said and fails nothing; one that could not be listed does.
    assert_eq!(fold(&[discovered(0)]).exit_code(), 0);
    let failure = Failure::local("no such repository");
    let rule_failed = Event::RuleFailed {
        rule: rule().id,
        failure,
    };
    assert_eq!(fold(&[rule_failed]).exit_code(), 1);
    assert_eq!(fold(&[started(&rule())]).exit_code(), 1);
}

#[test]
fn each_rule_has_counts_of_its_own() {
    let report = Report::new();
    let rules = ["r.example/a", "r.example/b"].map(|name| scenario::rule(name, &["s.example/a"]));
    let [one, two] = &rules;
    // A rule may be known before it starts. The summary has the rules in the order in which they start.
    report.event(&Event::RuleListed {
        rule: two.id,
        images: 1,
    });
    report.event(&started(one));
    report.event(&started(two));
    for (rule, outcome) in [
        (one, Outcome::Skipped { why: String::new() }),
        (two, Outcome::Failed(Failure::interrupted())),
        (one, Outcome::Failed(Failure::local("no"))),
    ] {
        let mut event = finished(outcome);
        if let Event::ImageFinished { image, .. } = &mut event {
            image.rule = rule.id;
        }
        report.event(&event);
    }
    report.event(&Event::RuleDiscovered {
        rule: one.id,
        images: 2,
        empty: None,
    });
    let summary = report.summary();
    assert_eq!(summary.rules_by_id()[&two.id].interrupted, 1);
    assert_eq!(summary.failures[0].rule, one.id);
    let rules = summary.by_rule;
    let names: Vec<&str> = rules.iter().map(|entry| &*entry.rule.name).collect();
    assert_eq!(names, ["r.example/a", "r.example/b"]);
    assert_eq!((rules[0].skipped, rules[0].failed), (1, 1));
    assert_eq!(rules[0].discovered, Some(2));
    assert_eq!((rules[1].interrupted, rules[1].discovered), (1, None));
}

#[test]
fn failures_and_warnings_are_bounded_and_counted() {
    let report = Report::new();
    for _ in 0..KEPT + 5 {
        report.event(&finished(Outcome::Failed(Failure::local("no"))));
        let text = "mind".to_owned();
        report.event(&Event::Warning { text });
    }
    let summary = report.summary();
    assert_eq!(
        (summary.failures.len(), summary.warnings.len()),
        (KEPT, KEPT)
    );
    assert_eq!(summary.failed, KEPT as u64 + 5);
    assert_eq!(summary.warnings_given, KEPT as u64 + 5);
    let by_class = BTreeMap::from([(Responsibility::Internal, KEPT as u64 + 5)]);
    assert_eq!(summary.by_class, by_class);
    let rare = Failure {
        host: "r.example".to_owned(),
        ..Failure::local("no")
    };
    for _ in 0..=FEW {
        report.event(&finished(Outcome::Failed(rare.clone())));
    }
    let with_rare = report.summary();
    assert_eq!(with_rare.failures.len() as u64, KEPT as u64 + FEW);
    assert_eq!(
        with_rare.by_cause.get(&FailureGroup::from_failure(&rare)),
        Some(&(FEW + 1))
    );
    let alike = FailureGroup::from_failure(&Failure::local("no"));
    assert_eq!(summary.by_cause, BTreeMap::from([(alike, KEPT as u64 + 5)]));
}

#[test]
fn rules_that_were_never_begun_are_interrupted_or_lost() {
    let mut cancelled = fold(&[]);
    cancelled.finish(2, true);
    assert!(cancelled.was_interrupted() && cancelled.is_complete());
    let mut drained = fold(&[]);
    drained.finish(2, false);
    assert!(!drained.was_interrupted() && !drained.is_complete());
}

#[test]
fn the_counts_tell_how_far_a_run_is() {
    let report = Report::new();
    let started = || Event::ImageStarted {
        image: image(&rule()),
    };
    // While its rule is still being listed, an image is known when it has begun.
    report.event(&started());
    report.event(&started());
    report.event(&finished(Outcome::Failed(Failure::local("no"))));
    let counts = report.counts();
    assert_eq!((counts.found, counts.under_way, counts.ended), (2, 1, 1));
    assert_eq!((counts.failed, counts.rules_listed), (1, 0));
    // One that was interrupted before it began was not under way.
    report.event(&finished(Outcome::Failed(Failure::interrupted())));
    report.event(&discovered(5));
    let counts = report.counts();
    assert_eq!((counts.found, counts.under_way, counts.ended), (5, 1, 2));
    assert_eq!((counts.failed, counts.rules_listed), (1, 1));
    // How many a rule will have is known before it has them.
    let rule = rule().id;
    report.event(&Event::RuleListed { rule, images: 7 });
    let counts = report.counts();
    assert_eq!((counts.found, counts.rules_listed), (5 + 7, 2));
    report.event(&Event::RuleDiscovered {
        rule,
        images: 6,
        empty: None,
    });
    let counts = report.counts();
    assert_eq!((counts.found, counts.rules_listed), (5 + 6, 2));
}
