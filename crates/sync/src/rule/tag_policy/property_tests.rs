//! Properties of the pipeline: it equals a naive one over a list.

#![allow(clippy::unwrap_used)]

use std::time::SystemTime;

use proptest::prelude::*;

use super::pipeline_tests::{
    days, limit, names, newest, now, patterns, range, run, run_with_lookups,
};
use super::*;

/// A tag as it occurs, with the age of its push in days.
fn any_tag() -> impl Strategy<Value = (String, Option<SystemTime>)> {
    let name = prop_oneof![
        "v?[0-3](\\.[0-3]){0,2}(-(rc\\.?[1-3]|beta))?(-(alpine3\\.[0-2]|slim))?",
        "latest|main|edge",
    ];
    (name, 0_u64..12).prop_map(|(name, age)| (name, Some(now() - days(age))))
}

fn any_policy() -> impl Strategy<Value = TagPolicy> {
    let lists = (
        proptest::sample::subsequence(vec!["v*", "[0-9]*", "latest"], 0..=2),
        proptest::sample::subsequence(vec!["*-slim", "/rc/"], 0..=1),
        proptest::sample::subsequence(vec!["", "*", "alpine*"], 0..=2),
    );
    let semver = proptest::option::of(prop_oneof![Just(">=1 <3"), Just("^1.1"), Just("0.x || 2")]);
    let ages = (
        proptest::option::of(1_u64..9),
        proptest::option::of(1_u64..12),
    );
    let by = prop_oneof![
        Just(NewestBy::Version),
        Just(NewestBy::Pushed),
        Just(NewestBy::Created)
    ];
    let per = prop_oneof![
        Just(NewestPer::Repository),
        Just(NewestPer::Major),
        Just(NewestPer::Minor)
    ];
    let newest_of = proptest::option::of((1_usize..4, by, per));
    (lists, semver, any::<bool>(), ages, newest_of, 0_usize..4).prop_map(
        |((include, exclude, variants), semver, prerelease, (older, newer), count, at_least)| {
            let variants = variants.iter().map(|it| VariantPattern::parse(it).unwrap());
            TagPolicy {
                include: patterns(&include),
                exclude: patterns(&exclude),
                semver: semver.and_then(range),
                prerelease,
                variants: variants.collect(),
                older_than: older.and_then(limit),
                newer_than: newer.and_then(limit),
                newest: count.and_then(|(count, by, per)| newest(count, by, per)),
                at_least,
            }
        },
    )
}

/// Tags that the policy selects, stage by stage over the whole list.
fn naive(policy: &TagPolicy, tags: &[(String, Option<SystemTime>)]) -> Vec<String> {
    let mut left: Vec<(Tag, Option<TagVersion>, SystemTime)> = tags
        .iter()
        .map(|(tag, pushed)| {
            (
                Tag::parse(tag).unwrap(),
                TagVersion::parse(tag),
                pushed.unwrap(),
            )
        })
        .collect();
    let any = |patterns: &[TagPattern], tag: &Tag| patterns.iter().any(|it| it.matches(tag));
    left.retain(|(tag, ..)| policy.include.is_empty() || any(&policy.include, tag));
    left.retain(|(tag, ..)| !any(&policy.exclude, tag));
    if policy.uses_versions() {
        left.retain(|(_, version, _)| version.is_some());
        if let Some(range) = &policy.semver {
            left.retain(|(_, version, _)| range.contains(version.as_ref().unwrap()));
        }
        let none = vec![VariantPattern::parse("").unwrap()];
        let wanted = if policy.variants.is_empty() {
            &none
        } else {
            &policy.variants
        };
        left.retain(|(_, version, _)| {
            let version = version.as_ref().unwrap();
            (policy.prerelease || version.prerelease().is_none())
                && wanted.iter().any(|it| it.matches(version.variant()))
        });
    }
    if let Some(limit) = policy.older_than {
        left.retain(|(_, _, pushed)| *pushed + limit.age <= now());
    }
    if let Some(limit) = policy.newer_than {
        left.retain(|(_, _, pushed)| *pushed + limit.age > now());
    }
    if let Some(newest) = policy.newest {
        let group = |version: &Option<TagVersion>| {
            let version = version.as_ref().filter(|_| policy.uses_versions())?;
            let [major, minor, ..] = version.numbers();
            let numbers = match newest.per {
                NewestPer::Repository => vec![],
                NewestPer::Major => vec![major],
                NewestPer::Minor => vec![major, minor],
            };
            let shape: String = version
                .variant()
                .replace(|it: char| it.is_ascii_digit(), "#");
            Some((shape, numbers))
        };
        // The newest first.
        left.sort_by(|one, other| {
            let by_time = (newest.by != NewestBy::Version).then(|| one.2.cmp(&other.2));
            let rest = one.1.cmp(&other.1).then(one.0.cmp(&other.0));
            by_time.map_or(rest, |it| it.then(rest)).reverse()
        });
        left.dedup_by(|one, other| one.0 == other.0);
        let mut counts = std::collections::HashMap::new();
        left.retain(|(_, version, _)| {
            let count = counts.entry(group(version)).or_insert(0);
            *count += 1;
            *count <= newest.count.get()
        });
    }
    if left.len() < policy.at_least {
        left.clear();
    }
    left.iter().map(|(tag, ..)| tag.to_string()).collect()
}

/// Returns the tags, each name once.
fn distinct(mut tags: Vec<(String, Option<SystemTime>)>) -> Vec<(String, Option<SystemTime>)> {
    let mut names = std::collections::HashSet::new();
    tags.retain(|(name, _)| names.insert(name.clone()));
    tags
}

proptest! {
    #[test]
    fn the_pipeline_equals_filters_one_after_the_other(
        policy in any_policy(),
        tags in proptest::collection::vec(any_tag(), 0..40),
    ) {
        let tags = distinct(tags);
        prop_assert_eq!(names(&run(&policy, &tags)), naive(&policy, &tags));
    }

    #[test]
    fn the_order_of_the_list_does_not_matter(
        policy in any_policy(),
        tags in proptest::collection::vec(any_tag(), 0..40).prop_map(distinct),
        seed in any::<u64>(),
    ) {
        let mut mixed = tags.clone();
        let hash = |name: &str| Tag::parse(name).map(|it| it.as_str().bytes().fold(seed, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })).unwrap();
        mixed.sort_by_key(|(name, _)| hash(name));
        let sorted = |result: &PolicyResult| {
            let mut names = names(result);
            names.sort();
            let mut held = result.quarantined.clone();
            held.sort_by(|one, other| one.tag.cmp(&other.tag));
            (names, held, result.explanation.clone(), result.too_few)
        };
        prop_assert_eq!(sorted(&run(&policy, &mixed)), sorted(&run(&policy, &tags)));
    }

    #[test]
    fn newest_is_sort_then_take(
        tags in proptest::collection::vec(any_tag(), 0..40).prop_map(distinct),
        count in 1_usize..8,
    ) {
        let policy = TagPolicy {
            prerelease: true,
            newest: newest(count, NewestBy::Version, NewestPer::Repository),
            ..TagPolicy::default()
        };
        let versions = tags.iter().filter_map(|(tag, _)| Some((TagVersion::parse(tag)?, tag.clone())));
        let mut versions: Vec<_> = versions.filter(|(version, _)| version.variant().is_empty()).collect();
        versions.sort();
        let expected: Vec<String> = versions.into_iter().rev().take(count).map(|(_, tag)| tag).collect();
        prop_assert_eq!(names(&run(&policy, &tags)), expected);
    }

    #[test]
    fn no_tag_and_no_range_causes_a_panic(tag in "[A-Za-z0-9_.-]{1,40}", range in "[0-9x*v.<>=^~|, -]{0,20}") {
        let version = TagVersion::parse(&tag);
        if let (Some(version), Ok(range)) = (version, VersionRange::parse(&range)) {
            range.contains(&version);
        }
    }

    #[test]
    fn tags_in_quarantine_are_those_that_the_rest_would_select(
        policy in any_policy(),
        tags in proptest::collection::vec(any_tag(), 0..40).prop_map(distinct),
    ) {
        let held = run(&policy, &tags).quarantined;
        let young = |tag: &str| {
            let (_, pushed) = tags.iter().find(|(name, _)| name == tag).unwrap();
            policy.older_than.is_some_and(|limit| pushed.unwrap() + limit.age > now())
        };
        let open = TagPolicy { older_than: None, at_least: 0, ..policy.clone() };
        let mut expected = naive(&open, &tags);
        expected.retain(|tag| young(tag));
        let held: Vec<String> = held.into_iter().map(|it| it.tag.to_string()).collect();
        prop_assert_eq!(held, expected);
    }

    #[test]
    fn lookups_select_the_tags_of_a_listing_with_times(
        policy in any_policy(),
        tags in proptest::collection::vec(any_tag(), 0..40).prop_map(distinct),
    ) {
        let by_pushed = policy.newest.is_some_and(|it| it.by == NewestBy::Pushed);
        prop_assume!(!by_pushed);
        let time = |tag: &str| tags.iter().find(|(name, _)| name == tag).and_then(|(_, time)| *time);
        let (result, _) = run_with_lookups(&policy, &tags, |_| None, time);
        prop_assert_eq!(names(&result), naive(&policy, &tags));
        prop_assert_eq!(result.quarantined, run(&policy, &tags).quarantined);
    }
}
