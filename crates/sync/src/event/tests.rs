#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fmt::Debug;
use std::time::SystemTime;

use image_syncer_registry::{Cause, Digest, ErrorKind};
use serde::de::DeserializeOwned;

use super::*;
use crate::failure::{FailedRequest, Responsibility, Side};
use crate::report::Report;
use crate::rule::Location;
use crate::rule::tag_policy::{NewestBy, NewestPer, QuarantinedTag, TagStage};
use crate::scenario;
use crate::shard::{Shard, ShardRepositories};

/// One example for each variant of a type. A variant without one does not compile.
macro_rules! examples {
    ($type:ty { $($variant:pat => $example:expr),+ $(,)? }) => {{
        let _ = |value: &$type| match value {
            $($variant)|+ => (),
        };
        let examples: Vec<$type> = vec![$({
            let example: $type = $example;
            assert!(matches!(example, $variant), "{example:?} is another variant");
            example
        }),+];
        examples
    }};
}

/// Returns the JSON of a value that is the same after it was read again.
fn json<T: Debug + PartialEq + Serialize + DeserializeOwned>(value: &T) -> String {
    let json = serde_json::to_string(value).unwrap();
    let read: T = serde_json::from_str(&json).unwrap();
    assert_eq!(read, *value, "{json}");
    json
}

fn digest(number: u8) -> Digest {
    Digest::sha256(&[number])
}

fn description() -> RuleDescription {
    let rule = scenario::rule("a.example/x:v1", &["b.example/y", "c.example/y:v2"]);
    let location = Location {
        file: "images.yaml".into(),
        line: 3,
    };
    let rule = Arc::unwrap_or_clone(rule).located_at(location);
    RuleDescription::from(&rule)
}

fn image() -> ImageId {
    ImageId {
        rule: description().id,
        source: "a.example/x:v1".into(),
        destination: "b.example/y:v1".into(),
    }
}

fn finished(outcome: Outcome) -> Event {
    Event::ImageFinished {
        image: image(),
        outcome,
        elapsed: Duration::new(3, 5),
    }
}

fn volume() -> Volume {
    Volume {
        manifests: 1,
        blobs: 2,
        bytes: 3,
        mounted_bytes: 4,
        present_bytes: 5,
        shared_bytes: 6,
    }
}

fn losses() -> Vec<Loss> {
    examples!(Loss {
        Loss::Manifest(_) => Loss::Manifest(digest(1)),
        Loss::WrongManifest(_) => Loss::WrongManifest(digest(2)),
        Loss::Blob(_) => Loss::Blob(digest(3)),
        Loss::WrongBlob { .. } => Loss::WrongBlob {
            digest: digest(4),
            size: 7,
            found: u64::MAX,
        },
    })
}

fn changes() -> Vec<Change> {
    examples!(Change {
        Change::New => Change::New,
        Change::Moved { .. } => Change::Moved { from: digest(5) },
        Change::Referrers => Change::Referrers,
        Change::Again(_) => Change::Again(losses()),
    })
}

fn evidence() -> Vec<Evidence> {
    examples!(Evidence {
        Evidence::Registry => Evidence::Registry,
        Evidence::Verified => Evidence::Verified,
        Evidence::Records => Evidence::Records,
    })
}

fn sides() -> Vec<Side> {
    examples!(Side {
        Side::Source => Side::Source,
        Side::Destination => Side::Destination,
        Side::Local => Side::Local,
    })
}

fn responsibilities() -> Vec<Responsibility> {
    examples!(Responsibility {
        Responsibility::Source => Responsibility::Source,
        Responsibility::Destination => Responsibility::Destination,
        Responsibility::Credentials => Responsibility::Credentials,
        Responsibility::RateLimit => Responsibility::RateLimit,
        Responsibility::Rules => Responsibility::Rules,
        Responsibility::Internal => Responsibility::Internal,
        Responsibility::Interrupted => Responsibility::Interrupted,
    })
}

/// Returns a failure with all fields.
fn failure() -> Failure {
    Failure {
        side: Side::Destination,
        kind: Some(ErrorKind::Denied),
        cause: Cause::NoPushRight,
        host: "b.example".to_owned(),
        request: Some(Box::new(FailedRequest {
            action: "push manifest y:v1".to_owned(),
            repository: Some(image_syncer_registry::Repository::parse("b.example/y").unwrap()),
            until: Some(SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789)),
        })),
        reason: "cannot push \"it\"".to_owned(),
        tries: 3,
        status: Some(403),
        code: Some("DENIED".to_owned()),
        interrupted: false,
    }
}

fn planned(change: Change) -> Planned {
    Planned {
        digest: digest(6),
        change,
        filtered: true,
        sparse: false,
        hidden: true,
        cost: Some(Cost {
            platforms: vec!["linux/amd64".to_owned()],
            layers: 8,
            volume: volume(),
            referrers: 9,
        }),
    }
}

fn outcomes() -> Vec<Outcome> {
    examples!(Outcome {
        Outcome::Copied(_) => Outcome::Copied(Copied {
            digest: digest(7),
            filtered: true,
            sparse: true,
            volume: volume(),
            replaced: Some(digest(8)),
            referrers: 10,
            root_unchanged: true,
            contended: 11,
            losses: losses(),
        }),
        Outcome::Unchanged { .. } => Outcome::Unchanged {
            digest: digest(9),
            by: Evidence::Registry,
        },
        Outcome::Skipped { .. } => Outcome::Skipped { why: "no platform".to_owned() },
        Outcome::Failed(_) => Outcome::Failed(failure()),
        Outcome::Planned(_) => Outcome::Planned(Box::new(planned(Change::New))),
    })
}

/// Returns an explanation with all stages.
fn explanation() -> TagExplanation {
    let next = QuarantinedTag {
        tag: "v1.31.4".to_owned(),
        until: Some(SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 0)),
    };
    let stages = examples!(TagStage {
        TagStage::Include { .. } => TagStage::Include { left: 48 },
        TagStage::Exclude { .. } => TagStage::Exclude { left: 40 },
        TagStage::Semver { .. } => TagStage::Semver { left: 30 },
        TagStage::Versions { .. } => TagStage::Versions { left: 29 },
        TagStage::Prereleases { .. } => TagStage::Prereleases { dropped: 1 },
        TagStage::Variants { .. } => TagStage::Variants { dropped: 2 },
        TagStage::Younger { .. } => TagStage::Younger {
            dropped: 3,
            age: Duration::from_secs(60),
            next: Some(next),
        },
        TagStage::Older { .. } => TagStage::Older {
            dropped: 4,
            unknown: 5,
            age: Duration::from_secs(90),
        },
        TagStage::Newest { .. } => TagStage::Newest {
            count: 5,
            by: NewestBy::Pushed,
            per: NewestPer::Minor,
            left: 10,
        },
    });
    TagExplanation {
        tags: 312,
        stages,
        selected: 10,
    }
}

fn events() -> Vec<Event> {
    let rule = description().id;
    let mut events = examples!(Event {
        Event::RuleStarted { .. } => Event::RuleStarted { rule: Arc::new(description()) },
        Event::RuleListed { .. } => Event::RuleListed { rule, images: 12 },
        Event::RuleDiscovered { .. } => Event::RuleDiscovered {
            rule,
            images: 0,
            empty: Some("the repository has no tags".to_owned()),
        },
        Event::TagsSelected { .. } => Event::TagsSelected {
            rule,
            repository: "a.example/x".to_owned(),
            explanation: explanation(),
        },
        Event::RuleFailed { .. } => Event::RuleFailed { rule, failure: failure() },
        Event::RepositoriesListed { .. } => Event::RepositoriesListed {
            place: "a.example/team".into(),
            listed: 100,
            total: Some(2_503),
            ended: false,
        },
        Event::ArchiveProgress { .. } => Event::ArchiveProgress {
            archive: "oci-archive:all.tar.gz".into(),
            work: ArchiveWork::Unpack,
            bytes: 1_000,
            total: Some(2_000),
            ended: false,
        },
        Event::RepositoryDiscovered { .. } => Event::RepositoryDiscovered {
            rule,
            repository: "a.example/team/x".into(),
            images: 3,
            empty: None,
        },
        Event::RepositoryFailed { .. } => Event::RepositoryFailed {
            rule,
            repository: "a.example/team/x".into(),
            failure: failure(),
        },
        Event::ShardSelected(_) => Event::ShardSelected(ShardRepositories {
            shard: Shard::new(2, 8).unwrap(),
            own: 120,
            selected: 950,
        }),
        Event::ImageStarted { .. } => Event::ImageStarted { image: image() },
        Event::ImageFinished { .. } => finished(Outcome::Failed(Failure::interrupted())),
        Event::Warning { .. } => Event::Warning { text: "mind the gap".to_owned() },
    });
    events.extend(outcomes().into_iter().map(finished));
    // Fields without a value.
    let digest = digest(10);
    events.push(finished(Outcome::Copied(Copied::without_transfer(digest))));
    events.push(Event::RuleStarted {
        rule: Arc::new(RuleDescription::unknown(rule)),
    });
    events.push(Event::RuleDiscovered {
        rule,
        images: 1,
        empty: None,
    });
    events
}

#[test]
fn every_event_is_the_same_after_json() {
    let lines: Vec<String> = events().iter().map(json).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn every_part_of_an_outcome_is_the_same_after_json() {
    let changes: Vec<String> = changes().iter().map(json).collect();
    for change in self::changes() {
        json(&Planned {
            cost: None,
            ..planned(change)
        });
    }
    assert_eq!(changes[0], "\"new\"");
    assert_eq!(changes[2], "\"referrers\"");
    let names = |texts: Vec<String>| texts.join(" ").replace('"', "");
    assert_eq!(
        names(evidence().iter().map(json).collect()),
        "registry verified records"
    );
    assert_eq!(
        names(sides().iter().map(json).collect()),
        "source destination local"
    );
    assert_eq!(
        names(responsibilities().iter().map(json).collect()),
        "source destination credentials rate-limit rules internal interrupted"
    );
}

#[test]
fn every_cause_and_kind_is_the_same_after_json() {
    for cause in Cause::ALL {
        let cause = *cause;
        json(&Failure { cause, ..failure() });
    }
    for kind in ErrorKind::ALL {
        let kind = Some(*kind);
        json(&Failure { kind, ..failure() });
    }
}

#[test]
fn another_process_has_the_same_summary() {
    let (here, there) = (Report::new(), Report::new());
    for event in events() {
        here.event(&event);
        there.event(&serde_json::from_str(&json(&event)).unwrap());
    }
    let summary = here.summary();
    assert_eq!(summary.failed, 1);
    assert_eq!(summary.failures_given(), 3);
    assert_eq!(summary.by_cause.len(), 1);
    assert_eq!(there.summary(), summary);
    assert_eq!(there.counts(), here.counts());
    let read: serde_json::Value = serde_json::from_str(&json(&summary)).unwrap();
    assert_eq!(
        read["by_cause"],
        serde_json::json!([
            {"cause": "no-push-right", "side": "destination", "host": "b.example", "failures": 3}
        ])
    );
    json(&here.counts());
}

#[test]
fn a_rule_is_named_from_its_start_on() {
    let rules = RuleTable::default();
    let description = description();
    let id = description.id;
    assert_eq!(*rules.get(id), RuleDescription::unknown(id));
    assert_eq!(rules.get(id).to_string(), id.to_string());
    for event in events() {
        assert_eq!(
            event.rule().is_none(),
            matches!(
                event,
                Event::Warning { .. }
                    | Event::ArchiveProgress { .. }
                    | Event::RepositoriesListed { .. }
                    | Event::ShardSelected(_)
            )
        );
    }
    rules.record(&events()[0]);
    rules.record(&events()[1]);
    assert_eq!(*rules.get(id), description);
    assert_eq!(description.to_string(), "a.example/x:v1 (images.yaml:3)");
    assert_eq!(description.source, "a.example/x");
    assert_eq!(description.destinations, ["b.example/y", "c.example/y"]);
}
