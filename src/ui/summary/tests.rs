#![allow(clippy::unwrap_used)]

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use image_syncer_registry::{Cause, ErrorKind};
use image_syncer_sync::event::Volume;
use image_syncer_sync::report::Report;
use image_syncer_sync::rule::{Location, Rule, RuleError};
use image_syncer_sync::{Event, Failure, ImageId, Listener, Outcome, Side};

use super::*;
use crate::host_counts::HostCounts;
use crate::run_summary::Traffic;

fn rule(line: usize) -> Rule {
    let none = |_: &_| Err(RuleError("no default".to_owned()));
    let rule = Rule::parse("a.example/x", &["b.example/y"], &none).unwrap();
    let file = "images.yaml".into();
    rule.located_at(Location { file, line })
}

/// Returns a report of a run that started the rules of these lines.
fn report(lines: RangeInclusive<usize>) -> Report {
    let report = Report::new();
    for line in lines {
        report.event(&Event::RuleStarted {
            rule: Arc::new((&rule(line)).into()),
        });
    }
    report
}

fn text_of(summary: &Summary, traffic: Traffic, files: FullLists<'_>) -> String {
    let counts = HostCounts {
        requests: 12_345,
        retries: 1,
        ..HostCounts::default()
    };
    let ending = RunSummary {
        shard: None,
        summary,
        rules: &[],
        hosts: &[(Some("a.example".to_owned()), counts)],
        traffic,
        elapsed: Duration::from_secs(2),
        exit_code: summary.exit_code(),
    };
    let lines = block(&ending, files).into_iter();
    lines.map(|(_, line)| line + "\n").collect()
}

fn text(summary: &Summary) -> String {
    let bytes = summary.volume.bytes;
    let traffic = Traffic {
        fetched: bytes,
        sent: bytes,
    };
    text_of(summary, traffic, FullLists::default())
}

fn failed(tag: &str, failure: Failure) -> Event {
    Event::ImageFinished {
        image: ImageId {
            rule: rule(3).id,
            source: format!("a.example/x:{tag}").into(),
            destination: format!("b.example/y:{tag}").into(),
        },
        outcome: Outcome::Failed(failure),
        elapsed: Duration::ZERO,
    }
}

fn no_right(tag: &str) -> Failure {
    Failure {
        side: Side::Destination,
        kind: Some(ErrorKind::Denied),
        cause: Cause::NoPushRight,
        host: "b.example".to_owned(),
        status: Some(403),
        code: Some("DENIED".to_owned()),
        tries: 1,
        ..Failure::local(format!(
            "cannot push manifest y:{tag} at b.example: the registry answered 403 Forbidden"
        ))
    }
}

fn missing(tag: &str) -> Failure {
    Failure {
        side: Side::Source,
        kind: Some(ErrorKind::NotFound),
        cause: Cause::NotFound,
        host: "a.example".to_owned(),
        tries: 3,
        ..Failure::local(format!(
            "cannot fetch manifest x:{tag} at a.example: 404 Not Found"
        ))
    }
}

#[test]
fn a_good_run_takes_four_lines() {
    let summary = Summary {
        copied: 1,
        unchanged: 2_000,
        volume: Volume {
            bytes: 4 << 20,
            mounted_bytes: 1 << 10,
            ..Volume::default()
        },
        ..Summary::default()
    };
    assert_eq!(
        text(&summary),
        "\n2,001 images: 1 copied, 2,000 unchanged, 0 skipped, 0 failed\n\
         4.0 MiB sent, 1.0 KiB mounted, 0 B already there; 2.0 s, 2.0 MiB/s\n\
         12,345 requests, 1 retry\n  a.example: 12,345 requests, 1 retry\n"
    );
}

#[test]
fn shared_saved_and_unfinished_bytes_have_lines() {
    let summary = Summary {
        copied: 1,
        failed: 1,
        volume: Volume {
            bytes: 4 << 20,
            shared_bytes: 1 << 20,
            ..Volume::default()
        },
        ..Summary::default()
    };
    let traffic = Traffic {
        fetched: 3 << 20,
        sent: 6 << 20,
    };
    let text = text_of(&summary, traffic, FullLists::default());
    let expected = "\n6.0 MiB sent, 0 B mounted, 0 B already there, 1.0 MiB shared with other images; 2.0 s, 3.0 MiB/s\n\
         2.0 MiB of this was sent for unfinished images; complete blobs are not sent again\n\
         3.0 MiB read from sources: 3.0 MiB less than sent, because one download fed several destinations\n";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn verified_images_have_a_line() {
    let mut summary = Summary {
        unchanged: 7,
        verified: 7,
        ..Summary::default()
    };
    assert!(text(&summary).ends_with("\n7 verified to the last blob\n"));
    summary.copied = 2;
    (summary.repaired, summary.losses) = (1, 1);
    assert!(
        text(&summary).ends_with(
            "\n7 verified to the last blob, 1 repaired: 1 manifest or blob was missing\n"
        )
    );
    (summary.repaired, summary.losses) = (2, 5);
    assert!(text(&summary).ends_with(
        "\n7 verified to the last blob, 2 repaired: 5 manifests and blobs were missing\n"
    ));
}

#[test]
fn failures_come_last_in_groups() {
    let report = report(3..=3);
    report.event(&failed("lost", missing("lost")));
    for number in 0..1_500 {
        let tag = format!("v{number}");
        report.event(&failed(&tag, no_right(&tag)));
    }
    report.event(&failed("gone", missing("gone")));
    let files = FullLists {
        report: Some("report.json"),
        failed_images: Some("left.yaml"),
    };
    let text = text_of(&report.summary(), Traffic::default(), files);
    let (_, failures) = text.split_once("\nfailed: ").unwrap();
    insta::assert_snapshot!(failures);
    assert!(
        text_of(&report.summary(), Traffic::default(), FullLists::default())
            .ends_with("\n  -v prints every failure, --report FILE lists them\n")
    );
}

#[test]
fn a_few_failures_are_all_named_and_a_reason_replaces_a_missing_hint() {
    let report = report(3..=7);
    for tag in ["v1", "v2", "v3", "v4", "v5"] {
        report.event(&failed(tag, no_right(tag)));
    }
    report.event(&Event::RuleFailed {
        rule: rule(7).id,
        failure: Failure {
            cause: Cause::Rejected,
            code: Some("CONFLICT".to_owned()),
            ..missing("list")
        },
    });
    let text = text(&report.summary());
    let (_, failures) = text.split_once("\nfailed: ").unwrap();
    let mut lines = failures.lines();
    assert_eq!(
        lines.next(),
        Some("1 at the source, 5 for a login or right")
    );
    assert_eq!(
        lines.next(),
        Some("  no-push-right at b.example: 5 failures")
    );
    for tag in ["v1", "v2", "v3", "v4", "v5"] {
        let name = format!("    a.example/x:{tag} → b.example/y:{tag} (images.yaml:3)");
        assert_eq!(lines.next(), Some(name.as_str()));
    }
    assert_eq!(
        lines.next(),
        Some(
            "    hint: grant the account the right to push to the repository at b.example, and check that this project \
             or namespace exists"
        )
    );
    let rest: Vec<&str> = lines.collect();
    assert_eq!(
        rest,
        [
            "  rejected at a.example: 1 failure",
            "    a.example/x (images.yaml:7)",
            "    cannot fetch manifest x:list at a.example: 404 Not Found (CONFLICT)"
        ]
    );
}

#[test]
fn rules_that_match_nothing_are_named() {
    let report = report(1..=12);
    for line in 1..=12 {
        report.event(&Event::RuleDiscovered {
            rule: rule(line).id,
            images: 0,
            empty: Some("the repository has no tags".to_owned()),
        });
    }
    let text = text(&report.summary());
    let (_, rules) = text.split_once("\n12 rules matched nothing:\n").unwrap();
    assert!(rules.starts_with("  a.example/x (images.yaml:1): the repository has no tags\n"));
    assert!(
        rules.contains("  a.example/x (images.yaml:10): ") && rules.contains("\n  and 2 more\n")
    );
}

#[test]
fn the_busiest_hosts_have_a_line_with_their_pauses() {
    let counts = |requests| HostCounts {
        requests,
        ..HostCounts::default()
    };
    let mut hosts: Vec<_> = (1..=8)
        .rev()
        .map(|number| (Some(format!("r{number}.example")), counts(1_000 * number)))
        .collect();
    let limited = &mut hosts.first_mut().unwrap().1;
    (limited.retries, limited.rate_limit_pauses) = (2, 3);
    limited.rate_limit_wait = Duration::from_secs(90);
    hosts.last_mut().unwrap().1.overload_pauses = 1;
    let lines = hosts::lines(&hosts).into_iter();
    let text: String = lines.map(|(_, line)| line + "\n").collect();
    insta::assert_snapshot!(text);
}

#[test]
fn images_without_a_result_are_a_defect() {
    let summary = Summary {
        discovered: 1,
        ..Summary::default()
    };
    assert!(text(&summary).contains("defect"));
}

#[test]
fn an_interrupted_run_says_how_to_finish() {
    let summary = Summary {
        interrupted: 3,
        ..Summary::default()
    };
    let text = text(&summary);
    assert!(text.contains("3 interrupted") && text.contains("run again to finish"));
}
