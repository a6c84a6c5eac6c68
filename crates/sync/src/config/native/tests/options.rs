//! Options of copies and their layers.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::rule::{ConflictAction, CopyOptions, IfEmpty};

fn options(text: &str, flags: &OptionOverrides) -> Vec<Arc<CopyOptions>> {
    let config = read_files(&[("file.yaml", text)], flags).unwrap();
    let rules = config.rules.iter();
    rules
        .flat_map(|rule| {
            let destinations = rule.destinations.iter();
            destinations.map(|destination| Arc::clone(rule.options_for(destination)))
        })
        .collect()
}

fn conflict(action: ConflictAction) -> OptionOverrides {
    OptionOverrides {
        conflict: Some(action.into()),
        ..OptionOverrides::default()
    }
}

#[test]
fn a_destination_overrides_its_rule_and_that_a_flag_and_that_the_defaults() {
    let text = "version: 1\ndefaults: {conflict: skip, platforms: linux/amd64}\nrules:\n  - {from: q.io/a, to: r.example/a}\n  - {from: q.io/b, to: r.example/b, conflict: fail, platforms: all}\n  - {from: q.io/c, conflict: skip, to: [r.example/c, {repository: s.example/c, conflict: overwrite, platforms: [linux/arm64]}]}\n";
    let seen = |flags: &OptionOverrides| -> Vec<String> {
        let all = options(text, flags);
        all.iter()
            .map(|options| format!("{} {}", options.conflict.otherwise, options.platforms))
            .collect()
    };
    assert_eq!(
        seen(&OptionOverrides::default()),
        [
            "skip linux/amd64",
            "fail ",
            "skip linux/amd64",
            "overwrite linux/arm64"
        ]
    );
    let flags = conflict(ConflictAction::Fail);
    assert_eq!(
        seen(&flags),
        [
            "fail linux/amd64",
            "fail ",
            "skip linux/amd64",
            "overwrite linux/arm64"
        ]
    );
    let config = read_files(&[("file.yaml", text)], &flags).unwrap();
    let told = warnings(&config);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("--conflict: overridden by `conflict` of the rule q.io/c ("),
        "{told:?}"
    );
    assert!(told[0].ends_with("file.yaml:6)"), "{told:?}");
}

#[test]
fn a_flag_is_reported_once_for_many_rules() {
    let rules = (0..4)
        .map(|n| format!("  - {{from: q.io/{n}, to: r.example/{n}, conflict: skip}}\n"))
        .collect::<Vec<_>>()
        .concat();
    let text = format!("version: 1\nrules:\n{rules}");
    let config = read_files(&[("f.yaml", &text)], &conflict(ConflictAction::Fail)).unwrap();
    let told = warnings(&config);
    assert_eq!(told.len(), 1);
    assert!(
        told[0].ends_with("f.yaml:3) and of 3 more rules"),
        "{told:?}"
    );
}

#[test]
fn options_have_their_documented_values() {
    let text = "version: 1\nrules:\n  - from: q.io/a\n    to: r.example/a\n    attestations: strip\n    sparse: true\n    foreign-layers: true\n    immutable: [v*, \"/^r/\"]\n    referrers: {depth: deep, types: cosign, interval: 12h}\n    conflict: {\"v*\": fail, \"/rc/\": skip, \"*\": overwrite}\n    if-empty: fail\n    schedule: never\n";
    let config = read(text);
    assert_eq!(config.rules[0].if_empty, IfEmpty::Fail);
    let options = &config.rules[0].options;
    let parts = options.parts;
    assert!(parts.strip_attestations && parts.sparse && parts.foreign_layers);
    let referrers = options.referrers.as_ref().unwrap();
    assert!(referrers.deep);
    assert_eq!(referrers.types, ["cosign"]);
    assert_eq!(referrers.interval, Duration::from_secs(12 * 3600));
    let tag = |name| image_syncer_registry::Tag::parse(name).unwrap();
    let action = |name| options.conflict.action(&tag(name));
    assert_eq!(action("v1-rc"), ConflictAction::Fail);
    assert_eq!(action("1-rc"), ConflictAction::Skip);
    assert_eq!(action("x"), ConflictAction::Overwrite);
    assert!(options.immutable.matches(&tag("v1")) && !options.immutable.matches(&tag("x")));
    for (written, copied) in [("all", true), ("none", false)] {
        let text = format!(
            "version: 1\nrules:\n  - {{from: q.io/a, to: r.example/a, referrers: {written}}}\n"
        );
        assert_eq!(read(&text).rules[0].options.referrers.is_some(), copied);
    }
}

#[test]
fn mistakes_in_options_are_refused() {
    insta::assert_snapshot!(rule_mistakes("  - from: q.io/a\n    to: r.example/a\n    platforms: [amd64, linux/x86_64, all]\n    sparse: yes\n    conflict: {\"*\": fail, \"v*\": skip, \"v[\": skip}\n    immutable: [\"\"]\n    referrers: {interval: 5}\n    if-empty: stop\n"), @r#"
    file.yaml:5:17: amd64 is not a platform. Write one such as linux/amd64 or linux/arm/v7.
      |
    5 |     platforms: [amd64, linux/x86_64, all]
      |                 ^^^^^

    file.yaml:5:24: no image has the architecture x86_64. Images call it amd64: write amd64.
      |
    5 |     platforms: [amd64, linux/x86_64, all]
      |                        ^^^^^^^^^^^^

    file.yaml:5:38: `all` is every platform. Write `platforms: all`, or remove `all` from the list.
      |
    5 |     platforms: [amd64, linux/x86_64, all]
      |                                      ^^^

    file.yaml:6:5: `sparse` has no effect without a filter. Add `platforms` or `attestations: strip`.
      |
    6 |     sparse: yes
      |     ^^^^^^

    file.yaml:7:27: `v*` has no effect: the pattern `*` before it matches every tag. Write `*` last.
      |
    7 |     conflict: {"*": fail, "v*": skip, "v[": skip}
      |                           ^^^^

    file.yaml:7:39: `v[` has no effect: the pattern `*` before it matches every tag. Write `*` last.
      |
    7 |     conflict: {"*": fail, "v*": skip, "v[": skip}
      |                                       ^^^^

    file.yaml:8:17: the pattern is empty. Write a glob such as v*, or * for every tag.
      |
    8 |     immutable: [""]
      |                 ^^

    file.yaml:9:27: `interval`: not a duration. Write a whole number with its unit, such as 30s, 15m, 12h or 7d.
      |
    9 |     referrers: {interval: 5}
      |                           ^

    file.yaml:10:15: `if-empty`: there is no such value. Write `warn`, `fail` or `ignore`.
       |
    10 |     if-empty: stop
       |               ^^^^
    "#);
    insta::assert_snapshot!(rule_mistakes("  - from: q.io/a\n    to: r.example/a\n    sparse: true\n"), @r#"
    file.yaml:5:5: `sparse` has no effect without a filter. Add `platforms` or `attestations: strip`.
      |
    5 |     sparse: true
      |     ^^^^^^
    "#);
}

#[test]
fn schedules_are_checked_and_have_no_effect() {
    for schedule in [
        "\"0 3 * * *\"",
        "never",
        "{cron: \"*/5 * * * MON-FRI\", zone: Europe/Berlin, jitter: 5m, at-start: true}",
        "{cron: [\"0 3 * * *\", \"0 4 * * *\"]}",
        "{every: 6h}",
        "\"@daily\"",
    ] {
        let text = format!(
            "version: 1\nrules:\n  - {{from: q.io/a, to: r.example/a, schedule: {schedule}}}\n"
        );
        assert_eq!(warnings(&read(&text)), [""; 0], "{schedule}");
    }
    let rules = [
        "\"0 3 * *\"",
        "\"61 * * * *\"",
        "\"0 0 30 2 *\"",
        "{}",
        "{cron: \"0 3 * * *\", every: 6h}",
        "{every: 0}",
        "{every: 6h, zone: UTC}",
        "{cron: \"0 3 * * *\", zone: Europe/Berlln}",
        "{at: 5}",
    ]
    .iter()
    .enumerate()
    .map(|(n, schedule)| {
        format!("  - {{from: q.io/{n}, to: r.example/{n}, schedule: {schedule}}}\n")
    })
    .collect::<Vec<_>>()
    .concat();
    insta::assert_snapshot!(rule_mistakes(&rules), @r#"
    file.yaml:3:47: `0 3 * *` is not a time in cron form: it has 4 fields. Write minute, hour, day, month and weekday, such as `0 3 * * *`, or `never`.
      |
    3 |   - {from: q.io/0, to: r.example/0, schedule: "0 3 * *"}
      |                                               ^^^^^^^^^

    file.yaml:4:47: `61 * * * *` is not a time in cron form: number out of bounds. Write minute, hour, day, month and weekday, such as `0 3 * * *`, or `never`.
      |
    4 |   - {from: q.io/1, to: r.example/1, schedule: "61 * * * *"}
      |                                               ^^^^^^^^^^^^

    file.yaml:5:47: `0 0 30 2 *` is not a time in cron form: no such time ever comes. Write minute, hour, day, month and weekday, such as `0 3 * * *`, or `never`.
      |
    5 |   - {from: q.io/2, to: r.example/2, schedule: "0 0 30 2 *"}
      |                                               ^^^^^^^^^^^^

    file.yaml:6:47: the schedule has no times. Write `cron: "0 3 * * *"` or `every: 6h`.
      |
    6 |   - {from: q.io/3, to: r.example/3, schedule: {}}
      |                                               ^

    file.yaml:7:67: `cron` and `every` exclude each other. Keep one of the two.
      |
    7 | …ule: {cron: "0 3 * * *", every: 6h}}
      |                           ^^^^^

    file.yaml:8:55: `every`: the interval is 0. Write one such as 6h.
      |
    8 | …ple/5, schedule: {every: 0}}
      |                           ^

    file.yaml:9:65: `zone` has no effect with `every`. Remove one of the two.
      |
    9 | …edule: {every: 6h, zone: UTC}}
      |                           ^^^

    file.yaml:10:73: there is no time zone `Europe/Berlln`. Write a name of the IANA database, such as `Europe/Berlin`, or `UTC`.
       |
    10 | …cron: "0 3 * * *", zone: Europe/Berlln}}
       |                           ^^^^^^^^^^^^^

    file.yaml:11:47: the schedule has no times. Write `cron: "0 3 * * *"` or `every: 6h`.
       |
    11 |   - {from: q.io/8, to: r.example/8, schedule: {at: 5}}
       |                                               ^

    file.yaml:11:48: unknown key `at`. The keys of `schedule` are `cron`, `every`, `zone`, `jitter` and `at-start`.
       |
    11 |   - {from: q.io/8, to: r.example/8, schedule: {at: 5}}
       |                                                ^^
    "#);
}
