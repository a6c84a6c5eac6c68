//! The pipeline by example.

#![allow(clippy::unwrap_used)]
// The fields of a policy are options.
#![allow(clippy::unnecessary_wraps)]

use std::time::{Duration, SystemTime};

use super::AgeSource::{Auto, Created, FirstSeen, Pushed};
use super::*;

const DAY: u64 = 24 * 60 * 60;

/// 30 November 2026, 09:14 in UTC.
pub(super) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_796_030_040)
}

pub(super) fn days(count: u64) -> Duration {
    Duration::from_secs(count * DAY)
}

pub(super) fn patterns(texts: &[&str]) -> Vec<TagPattern> {
    let parse = |text: &&str| TagPattern::parse(text).unwrap();
    texts.iter().map(parse).collect()
}

pub(super) fn newest(count: usize, by: NewestBy, per: NewestPer) -> Option<Newest> {
    let count = NonZeroUsize::new(count).unwrap();
    Some(Newest { count, by, per })
}

pub(super) fn range(text: &str) -> Option<VersionRange> {
    Some(VersionRange::parse(text).unwrap())
}

pub(super) fn limit(count: u64) -> Option<AgeLimit> {
    Some(AgeLimit {
        age: days(count),
        by: AgeSource::Auto,
    })
}

/// Runs the pipeline over tags with their push times, which are their creation times as well.
pub(super) fn run(policy: &TagPolicy, tags: &[(String, Option<SystemTime>)]) -> PolicyResult {
    let listed = |tag: &str| {
        let mut tags = tags.iter();
        tags.find(|(name, _)| name == tag)
            .and_then(|(_, pushed)| *pushed)
    };
    run_with_lookups(policy, tags, listed, |_| None).0
}

/// Runs the pipeline over tags with their times, of which the listing has those that `listed` returns. Returns the tags
/// that were looked up as well.
pub(super) fn run_with_lookups(
    policy: &TagPolicy,
    tags: &[(String, Option<SystemTime>)],
    listed: impl Fn(&str) -> Option<SystemTime>,
    first_seen: impl Fn(&str) -> Option<SystemTime>,
) -> (PolicyResult, Vec<String>) {
    let mut pipeline = TagPipeline::new(&policy.clone().into(), now());
    let (mut ready, mut looked_up) = (Vec::new(), Vec::new());
    let mut admit = |pipeline: &mut TagPipeline, mut candidate: Candidate| {
        let tag = candidate.tag.to_string();
        candidate.times.first_seen = first_seen(&tag);
        let (_, time) = tags.iter().find(|(name, _)| *name == tag).unwrap();
        candidate.times.created = *time;
        looked_up.push(tag);
        pipeline.admit(candidate).unwrap();
    };
    for (name, _) in tags {
        let tag = Tag::parse(name).unwrap();
        if let Some(candidate) = pipeline.offer(&tag, None, listed(name)).unwrap() {
            admit(&mut pipeline, candidate);
        }
        ready.extend(pipeline.drain_ready());
    }
    loop {
        let pending = pipeline.next_pending();
        if pending.is_empty() {
            break;
        }
        for candidate in pending {
            admit(&mut pipeline, candidate);
        }
    }
    let mut result = pipeline.finish();
    ready.append(&mut result.tags);
    result.tags = ready;
    (result, looked_up)
}

pub(super) fn names(result: &PolicyResult) -> Vec<String> {
    result.tags.iter().map(|it| it.tag.to_string()).collect()
}

/// Runs the pipeline over tags that were pushed a year ago.
fn select(policy: &TagPolicy, tags: &[&str]) -> (Vec<String>, String) {
    let old = |tag: &&str| ((*tag).to_owned(), Some(now() - days(365)));
    let result = run(policy, &tags.iter().map(old).collect::<Vec<_>>());
    (names(&result), result.explanation.to_string())
}

#[test]
fn every_tag_passes_an_empty_policy() {
    let (tags, explanation) = select(&TagPolicy::default(), &["latest", "v1"]);
    assert_eq!(tags, ["latest", "v1"]);
    assert_eq!(explanation, "2 tags");
    assert_eq!(select(&TagPolicy::default(), &["a"]).1, "1 tag");
}

#[test]
fn the_explanation_names_what_each_stage_let_through() {
    let policy = TagPolicy {
        include: patterns(&["v*", "/^1/"]),
        exclude: patterns(&["*-perl"]),
        semver: range(">=1.30"),
        older_than: limit(3),
        newer_than: limit(300),
        newest: newest(2, NewestBy::Version, NewestPer::Minor),
        ..TagPolicy::default()
    };
    let tags = [
        ("latest", 365),
        ("v1.31.5-perl", 10),
        ("vnext", 10),
        ("v1.29.0", 10),
        ("v1.31.4-rc.1", 10),
        ("v1.31.3-alpine", 10),
        ("v1.31.4", 1),
        ("v1.31.5", 0),
        ("v1.31.3", 10),
        ("v1.31.2", 10),
        ("v1.31.1", 10),
        ("v1.30.9", 400),
        ("v1.30.8", 30),
    ];
    let tags: Vec<(String, Option<SystemTime>)> = tags
        .iter()
        .map(|(tag, age)| ((*tag).to_owned(), Some(now() - days(*age))))
        .collect();
    let result = run(&policy, &tags);
    assert_eq!(names(&result), ["v1.31.3", "v1.31.2", "v1.30.8"]);
    assert_eq!(
        result.explanation.to_string(),
        "13 tags; include 12; exclude 11; semver 9; 1 prerelease; 1 of other variants; 2 younger than 3 d (v1.31.4 until \
         2 Dec 09:14); 1 older than 300 d; newest 2 per minor: 3"
    );
    let held = result.quarantined.iter();
    let held: Vec<String> = held
        .map(|it| format!("{} {}", it.tag, it.reason()))
        .collect();
    assert_eq!(
        held,
        [
            "v1.31.5 in quarantine until 2026-12-03 09:14 UTC",
            "v1.31.4 in quarantine until 2026-12-02 09:14 UTC"
        ]
    );
    let json = serde_json::to_string(&result.explanation).unwrap();
    let read: TagExplanation = serde_json::from_str(&json).unwrap();
    assert_eq!(read, result.explanation);
}

#[test]
fn versions_matter_only_if_the_policy_uses_them() {
    let tags = ["latest", "1.2", "1.3-rc1", "1.2-alpine3.20", "main"];
    let by_pushed = TagPolicy {
        newest: newest(9, NewestBy::Pushed, NewestPer::Repository),
        ..TagPolicy::default()
    };
    let (selected, explanation) = select(&by_pushed, &tags);
    assert_eq!(selected.len(), 5);
    assert_eq!(explanation, "5 tags; newest 9 pushed: 5");
    let by_version = TagPolicy {
        newest: newest(9, NewestBy::Version, NewestPer::Repository),
        ..TagPolicy::default()
    };
    let (selected, explanation) = select(&by_version, &tags);
    assert_eq!(selected, ["1.2"]);
    assert_eq!(
        explanation,
        "5 tags; versions 3; 1 prerelease; 1 of other variants; newest 9: 1"
    );
    let any = TagPolicy {
        prerelease: true,
        variants: vec![VariantPattern::parse("*").unwrap()],
        ..by_version.clone()
    };
    assert_eq!(select(&any, &tags).0, ["1.3-rc1", "1.2-alpine3.20", "1.2"]);
    let alpine = TagPolicy {
        variants: vec![VariantPattern::parse("alpine*").unwrap()],
        ..TagPolicy::default()
    };
    assert_eq!(select(&alpine, &tags).0, ["1.2-alpine3.20"]);
    let both = ["", "/^alpine/"].map(|text| VariantPattern::parse(text).unwrap());
    let both = TagPolicy {
        variants: both.to_vec(),
        ..alpine
    };
    assert_eq!(select(&both, &tags).0, ["1.2", "1.2-alpine3.20"]);
}

#[test]
fn variants_are_counted_separately_and_their_numbers_compared() {
    let tags = [
        "3.9.6-debian-12-r9",
        "3.9.6-debian-12-r19",
        "3.9.6-debian-12-r2",
        "3.9.6-alpine3.9",
        "3.9.6-alpine3.20",
        "3.9.5-alpine3.21",
        "3.9.6",
    ];
    let policy = TagPolicy {
        variants: vec![VariantPattern::parse("*").unwrap()],
        newest: newest(1, NewestBy::Version, NewestPer::Repository),
        ..TagPolicy::default()
    };
    let (selected, _) = select(&policy, &tags);
    assert_eq!(
        selected,
        ["3.9.6-debian-12-r19", "3.9.6-alpine3.20", "3.9.6"]
    );
}

#[test]
fn too_few_tags_are_none() {
    let policy = TagPolicy {
        include: patterns(&["v*"]),
        at_least: 3,
        ..TagPolicy::default()
    };
    let tags = |names: &[&str]| -> Vec<(String, Option<SystemTime>)> {
        names
            .iter()
            .map(|name| ((*name).to_owned(), None))
            .collect()
    };
    let few = run(&policy, &tags(&["v1", "v2", "latest"]));
    assert!(few.too_few && few.tags.is_empty());
    assert_eq!(few.explanation.to_string(), "3 tags; include 2");
    assert_eq!(few.explanation.selected, 2);
    let enough = run(&policy, &tags(&["v1", "v2", "latest", "v3", "v4"]));
    assert!(!enough.too_few);
    assert_eq!(names(&enough), ["v1", "v2", "v3", "v4"]);
}

#[test]
fn a_tag_without_the_time_that_decides_is_an_error_or_held_back() {
    let tag = Tag::parse("v1").unwrap();
    let admit = |older: Option<AgeSource>, newer: Option<AgeSource>, newest: Option<Newest>| {
        let limit = |by: AgeSource| AgeLimit { age: days(3), by };
        let policy = TagPolicy {
            older_than: older.map(limit),
            newer_than: newer.map(limit),
            newest,
            ..TagPolicy::default()
        };
        let mut pipeline = TagPipeline::new(&policy.into(), now());
        if let Some(candidate) = pipeline.offer(&tag, None, None)? {
            pipeline.admit(candidate)?;
        }
        for candidate in pipeline.next_pending() {
            pipeline.admit(candidate)?;
        }
        Ok(pipeline.finish().explanation.to_string())
    };
    assert_eq!(admit(Some(Auto), None, None), Err(UnknownTime::Either));
    assert_eq!(admit(Some(Pushed), None, None), Err(UnknownTime::Pushed));
    assert_eq!(
        admit(Some(FirstSeen), None, None),
        Err(UnknownTime::FirstSeen)
    );
    assert_eq!(
        admit(Some(Created), None, None).unwrap(),
        "1 tag; 1 younger than 3 d (v1 of unknown age)"
    );
    assert_eq!(admit(None, Some(Pushed), None), Err(UnknownTime::Pushed));
    assert_eq!(
        admit(None, Some(FirstSeen), None),
        Err(UnknownTime::FirstSeen)
    );
    for by in [Auto, Created] {
        let explanation = admit(None, Some(by), None).unwrap();
        assert_eq!(explanation, "1 tag; 0 older than 3 d, 1 of unknown age");
    }
    let pushed = newest(1, NewestBy::Pushed, NewestPer::Repository);
    assert_eq!(admit(None, None, pushed), Err(UnknownTime::Order));
    let created = newest(1, NewestBy::Created, NewestPer::Repository);
    assert_eq!(
        admit(None, None, created).unwrap(),
        "1 tag; newest 1 created: 1"
    );
}

#[test]
fn times_are_looked_up_only_if_the_policy_needs_them() {
    let needed = |policy: &TagPolicy, listed: bool| {
        let pushed = listed.then(now);
        let known = TagTimes {
            pushed,
            ..TagTimes::default()
        };
        let needed = policy.needed_times(&known, now());
        (needed.first_seen, needed.created)
    };
    let by = |by| Some(AgeLimit { age: days(1), by });
    for (older, newer, newest, unlisted, listed) in [
        (None, None, None, (false, false), (false, false)),
        (
            by(AgeSource::Auto),
            None,
            None,
            (true, false),
            (false, false),
        ),
        (
            by(AgeSource::Pushed),
            None,
            None,
            (false, false),
            (false, false),
        ),
        (
            by(AgeSource::FirstSeen),
            None,
            None,
            (true, false),
            (true, false),
        ),
        (
            by(AgeSource::Created),
            None,
            None,
            (false, true),
            (false, true),
        ),
        (
            None,
            by(AgeSource::Auto),
            None,
            (true, true),
            (false, false),
        ),
        (
            None,
            None,
            newest(1, NewestBy::Created, NewestPer::Repository),
            (false, true),
            (false, true),
        ),
        (
            None,
            None,
            newest(1, NewestBy::Pushed, NewestPer::Repository),
            (false, false),
            (false, false),
        ),
    ] {
        let policy = TagPolicy {
            older_than: older,
            newer_than: newer,
            newest,
            ..TagPolicy::default()
        };
        assert_eq!(needed(&policy, false), unlisted, "{policy:?}");
        assert_eq!(needed(&policy, true), listed, "{policy:?}");
    }
}

#[test]
fn seven_hundred_thousand_tags_keep_five() {
    let policy = TagPolicy {
        newest: newest(5, NewestBy::Version, NewestPer::Repository),
        ..TagPolicy::default()
    };
    let mut pipeline = TagPipeline::new(&policy.into(), now());
    let mut most = 0;
    // Neither ascending nor descending.
    for number in 0..700_000_u64 {
        let mixed = number * 7_919 % 700_001;
        let tag = Tag::parse(&format!("v1.{}.{}", mixed / 1_000, mixed % 1_000)).unwrap();
        assert!(pipeline.offer(&tag, None, None).unwrap().is_none());
        most = most.max(pipeline.kept());
    }
    assert_eq!(most, 5);
    let result = pipeline.finish();
    assert_eq!(
        names(&result),
        [
            "v1.700.0",
            "v1.699.999",
            "v1.699.998",
            "v1.699.997",
            "v1.699.996"
        ]
    );
    assert_eq!(
        result.explanation.to_string(),
        "700000 tags; versions 700000; newest 5: 5"
    );
}

#[test]
fn times_are_looked_up_from_the_newest_version_on_until_enough_are_selected() {
    let policy = TagPolicy {
        older_than: limit(3),
        newest: newest(2, NewestBy::Version, NewestPer::Major),
        ..TagPolicy::default()
    };
    let tags: Vec<(String, Option<SystemTime>)> = ["1.1", "1.2", "1.3", "1.4", "2.1", "2.0"]
        .map(|tag| (tag.to_owned(), None))
        .to_vec();
    let first_seen = |tag: &str| Some(now() - days(if tag == "1.4" { 1 } else { 9 }));
    let (result, looked_up) = run_with_lookups(&policy, &tags, |_| None, first_seen);
    assert_eq!(names(&result), ["2.1", "2.0", "1.3", "1.2"]);
    let held: Vec<&str> = result
        .quarantined
        .iter()
        .map(|it| it.tag.as_str())
        .collect();
    assert_eq!(held, ["1.4"]);
    let mut sorted = looked_up;
    sorted.sort();
    assert_eq!(sorted, ["1.2", "1.3", "1.4", "2.0", "2.1"]);
    assert_eq!(
        result.explanation.to_string(),
        "6 tags; versions 6; 1 younger than 3 d (1.4 until 2 Dec 09:14); newest 2 per major: 4"
    );
}

#[test]
fn a_tag_that_was_seen_long_ago_needs_no_creation_time() {
    let policy = TagPolicy {
        newer_than: limit(3),
        ..TagPolicy::default()
    };
    let needed = |days_ago: Option<u64>| {
        let times = TagTimes {
            first_seen: days_ago.map(|count| now() - days(count)),
            ..TagTimes::default()
        };
        let needed = policy.needed_times(&times, now());
        (needed.first_seen, needed.created)
    };
    assert_eq!(needed(None), (true, true));
    assert_eq!(needed(Some(2)), (false, true));
    assert_eq!(needed(Some(3)), (false, false));
}
