//! Properties of the division of repositories and tags.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::HashMap;

use image_syncer_registry::{Digest, Tag};
use proptest::prelude::*;

use super::*;

fn name(number: usize) -> String {
    format!("registry.example.com/team-{}/app-{number}", number % 17)
}

fn shards(count: u32) -> Vec<Shard> {
    (0..count)
        .map(|index| Shard::new(index, count).unwrap())
        .collect()
}

/// Returns the owners of a repository: those whose share is not empty.
fn owners(plans: &[ShardPlan], name: &str) -> Vec<usize> {
    let own = |(index, plan): (usize, &ShardPlan)| {
        (plan.share(name) != RepositoryShare::Nothing).then_some(index)
    };
    plans.iter().enumerate().filter_map(own).collect()
}

fn by_hash(count: u32) -> Vec<ShardPlan> {
    shards(count).into_iter().map(ShardPlan::by_hash).collect()
}

fn weights(given: &[(usize, u64)]) -> Weights {
    let mut weights = Weights::default();
    for (number, weight) in given {
        weights.add(&name(*number), *weight);
    }
    weights
}

fn by_weight(count: u32, weights: &Weights, others: &[String]) -> Vec<ShardPlan> {
    let plan = |shard| ShardPlan::by_weight(shard, weights, others.iter().map(String::as_str));
    shards(count).into_iter().map(plan).collect()
}

fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

/// Returns the number of plans whose share of the repository has the tag.
fn copies(plans: &[ShardPlan], name: &str, tag: &Tag) -> usize {
    let has = |plan: &&ShardPlan| match plan.share(name) {
        RepositoryShare::Nothing => false,
        RepositoryShare::Whole => true,
        RepositoryShare::Tags(parts) => parts.contains(tag),
    };
    plans.iter().filter(has).count()
}

#[test]
fn the_function_never_changes() {
    let owner = |name: &str, count| owners(&by_hash(count), name)[0];
    let found = [
        owner("docker.io/library/alpine", 8),
        owner("docker.io/library/debian", 8),
        owner("quay.io/prometheus/prometheus", 8),
        owner("registry.example.com/team/app", 1000),
    ];
    assert_eq!(found, OWNERS);
    let parts = |tag: &str| {
        (0..4).find(|part| {
            TagParts::new([*part], 4)
                .unwrap()
                .contains(&Tag::parse(tag).unwrap())
        })
    };
    assert_eq!(["v1", "v2", "latest"].map(|tag| parts(tag).unwrap()), PARTS);
}

/// Results that other versions must have as well.
const OWNERS: [usize; 4] = [7, 0, 5, 570];
const PARTS: [u32; 3] = [0, 3, 1];

#[test]
fn each_repository_has_exactly_one_owner() {
    for count in [1, 2, 3, 8, 100] {
        let plans = by_hash(count);
        for number in 0..500 {
            assert_eq!(owners(&plans, &name(number)).len(), 1);
        }
    }
}

#[test]
fn a_further_shard_gets_its_share_and_nothing_else_moves() {
    for count in [1, 4, 9] {
        let (before, after) = (by_hash(count), by_hash(count + 1));
        let mut moved = 0;
        for number in 0..10_000 {
            let (from, to) = (
                owners(&before, &name(number))[0],
                owners(&after, &name(number))[0],
            );
            if from != to {
                assert_eq!(to, count as usize);
                moved += 1;
            }
        }
        let expected = 10_000 / (count + 1);
        assert!(
            expected.abs_diff(moved) < expected / 10,
            "{moved} of {expected}"
        );
    }
}

#[test]
fn repositories_are_balanced() {
    let plans = by_hash(8);
    let mut counts: HashMap<usize, u32> = HashMap::new();
    for number in 0..8_000 {
        *counts.entry(owners(&plans, &name(number))[0]).or_default() += 1;
    }
    assert_eq!(counts.len(), 8);
    assert!(
        counts.values().all(|count| (880..1_120).contains(count)),
        "{counts:?}"
    );
}

#[test]
fn tags_are_balanced_and_belong_to_one_part() {
    let parts: Vec<TagParts> = (0..5)
        .map(|part| TagParts::new([part], 5).unwrap())
        .collect();
    let mut counts = [0; 5];
    for number in 0..5_000 {
        let tag = tag(&format!("v1.{number}"));
        let own: Vec<usize> = (0..5).filter(|part| parts[*part].contains(&tag)).collect();
        assert_eq!(own.len(), 1);
        counts[own[0]] += 1;
    }
    assert!(
        counts.iter().all(|count| (900..1_100).contains(count)),
        "{counts:?}"
    );
}

#[test]
fn tags_of_referrers_belong_to_the_part_of_their_subject() {
    let part =
        |text: &str| (0..64).find(|part| TagParts::new([*part], 64).unwrap().contains(&tag(text)));
    for number in 0..20_u8 {
        let subject = Digest::sha256(&[number]).to_string().replace(':', "-");
        for suffix in [".sig", ".att", ".sbom"] {
            assert_eq!(part(&format!("{subject}{suffix}")), part(&subject));
        }
    }
    // Other tags with a dot are whole names.
    let versions: Vec<_> = (0..20)
        .map(|number| part(&format!("v1.{number}")))
        .collect();
    assert!(versions.iter().any(|other| *other != versions[0]));
}

#[test]
fn impossible_parts_are_refused() {
    assert_eq!(TagParts::new([], 3), None);
    assert_eq!(TagParts::new([0, 3], 3), None);
    assert!(TagParts::new([2, 0, 1, 1], 3).unwrap().is_everything());
    assert!(!TagParts::new([0, 2], 3).unwrap().is_everything());
}

#[test]
fn the_heaviest_repository_goes_first_to_the_shard_with_the_least_work() {
    let weights = weights(&[(1, 7), (2, 6), (3, 5), (4, 4), (5, 4), (6, 4)]);
    let plans = by_weight(3, &weights, &[]);
    let owner = |number| owners(&plans, &name(number));
    // 7 + 4, 6 + 4, 5 + 4: of equal weights the first name first.
    assert_eq!(
        [1, 2, 3, 4, 5, 6].map(owner),
        [[0], [1], [2], [2], [1], [0]].map(|owner| owner.to_vec())
    );
}

#[test]
fn repositories_without_a_weight_count_as_the_average_where_their_hash_puts_them() {
    let other = "registry.example.com/new".to_owned();
    let owner = owners(&by_hash(2), &other)[0];
    let weights = weights(&[(1, 10), (2, 10), (3, 10)]);
    let plans = by_weight(2, &weights, std::slice::from_ref(&other));
    assert_eq!(owners(&plans, &other), [owner]);
    let placed = [1, 2, 3].map(|number| owners(&plans, &name(number))[0]);
    // The new one counts as 10, so that the others go 10 there and 20 to the other shard.
    let on_owner = placed.iter().filter(|it| **it == owner).count();
    assert_eq!(on_owner, 1);
}

#[test]
fn a_repository_with_more_than_an_equal_share_is_divided_by_tags() {
    // 60 of 100, for four shards: three parts of 20.
    let plans = by_weight(4, &weights(&[(1, 60), (2, 20), (3, 10), (4, 10)]), &[]);
    let shares: Vec<RepositoryShare> = plans.iter().map(|plan| plan.share(&name(1))).collect();
    let parts = |part| RepositoryShare::Tags(TagParts::new([part], 3).unwrap());
    assert_eq!(
        shares,
        [parts(0), parts(1), parts(2), RepositoryShare::Nothing]
    );
    assert_eq!(owners(&plans, &name(2)), [3]);
    for number in 0..200 {
        assert_eq!(copies(&plans, &name(1), &tag(&format!("t{number}"))), 1);
    }
    // An equal share is not divided.
    let equal = weights(&[(1, 25), (2, 25), (3, 25), (4, 25)]);
    let plans = by_weight(4, &equal, &[]);
    assert!((1..=4).all(|number| owners(&plans, &name(number)).len() == 1));
}

#[test]
fn a_repository_with_most_of_the_work_does_not_delay_the_others() {
    // 60 % in one repository, and the rest in 200 of different sizes.
    let mut given: Vec<(usize, u64)> = (1..=200).map(|it| (it, 500 + 7 * it as u64)).collect();
    let rest: u64 = given.iter().map(|(_, weight)| weight).sum();
    given.push((0, rest * 3 / 2));
    let plans = by_weight(4, &weights(&given), &[]);
    let loads = plans.iter().map(|plan| {
        let load = given
            .iter()
            .map(|(number, weight)| match plan.share(&name(*number)) {
                RepositoryShare::Nothing => 0,
                RepositoryShare::Whole => *weight,
                RepositoryShare::Tags(_) => weight / 3,
            });
        load.sum::<u64>()
    });
    let ideal = (rest + rest * 3 / 2) / 4;
    let loads: Vec<u64> = loads.collect();
    assert!(
        loads.iter().all(|load| load.abs_diff(ideal) < ideal / 50),
        "{loads:?} of {ideal}"
    );
}

#[test]
fn one_shard_has_everything() {
    let weights = weights(&[(1, 60), (2, 0)]);
    let plans = by_weight(1, &weights, &[name(3)]);
    assert!((1..=4).all(|number| plans[0].share(&name(number)) == RepositoryShare::Whole));
}

#[test]
fn equal_weights_have_one_digest() {
    let digest = |given: &[(usize, u64)]| weights(given).digest();
    assert_eq!(digest(&[(1, 5), (2, 3)]), digest(&[(2, 3), (1, 2), (1, 3)]));
    assert_ne!(digest(&[(1, 5)]), digest(&[(1, 6)]));
    assert_ne!(digest(&[(1, 5)]), digest(&[(2, 5)]));
}

proptest! {
    /// Each tag of each repository belongs to exactly one shard. No shard has more than two equal shares of the work: the
    /// one that gets a piece last had no more than an equal share before, and no piece is larger than that.
    #[test]
    fn weights_divide_everything_once_and_evenly(
        given in prop::collection::vec((0_usize..60, 0_u64..100_000), 1..60),
        count in 1_u32..12,
    ) {
        let weights = weights(&given);
        let plans = by_weight(count, &weights, &[]);
        let mut loads = vec![0.0_f64; count as usize];
        let mut total = 0.0;
        for number in 0..60 {
            let name = name(number);
            for text in ["v1", "latest", "2.0"] {
                prop_assert_eq!(copies(&plans, &name, &tag(text)), 1);
            }
            #[allow(clippy::cast_precision_loss)]
            let weight = given.iter().filter(|(it, _)| *it == number).map(|(_, weight)| *weight).sum::<u64>() as f64;
            total += weight;
            let known = given.iter().any(|(it, _)| *it == number);
            for (load, plan) in loads.iter_mut().zip(&plans).filter(|_| known) {
                *load += match plan.share(&name) {
                    RepositoryShare::Nothing => 0.0,
                    RepositoryShare::Whole => weight,
                    RepositoryShare::Tags(parts) => weight * parts.fraction(),
                };
            }
        }
        let share = total / f64::from(count);
        let most = loads.iter().copied().fold(0.0, f64::max);
        prop_assert!(most <= share * 2.0 + 1.0, "{most} of {share}");
    }
}
