//! A large repository, which is divided.

use std::collections::BTreeMap;

use testkit::{Image, Layer, Profile, Registry};

use super::support::Shared;
use crate::support::assert_arrived;
use crate::support::postgres::Postgres;

const REPOSITORY: &str = "team/large";
/// Number of tags: 32 for the unit of the repository, and parts of 8, 8, 8 and 12.
const TAGS: usize = 68;

fn image(number: usize) -> Image {
    Image::single([Layer::tar(&format!("layer-{number}"), 1_000)])
}

/// Registries with a large repository, and a file whose rule copies it.
fn large(server: &Postgres, profile: fn() -> Profile, list: &str) -> Shared {
    let mut shared = Shared::between(server, profile);
    for number in 0..TAGS {
        shared
            .source
            .push(REPOSITORY, Some(&format!("v{number:02}")), &image(number));
    }
    let (from, to) = (shared.source.host(), shared.destination.host());
    let registry = format!("{{list: {list}, tls: {{plain-http: true}}}}");
    let file = format!(
        "version: 1\nregistries:\n  \"{from}\": {registry}\n  \"{to}\": {registry}\nrules:\n- {{name: large, from: \
         \"{from}/{REPOSITORY}\", to: \"{to}/{{repository}}\"}}\n"
    );
    shared.place = shared.place.file("mirror.yaml", &file);
    // A registry with projects needs the project.
    shared.destination.push("team/other", Some("v1"), &image(0));
    shared
}

/// Returns the number of requests of each kind that both registries receive meanwhile.
fn requests(shared: &Shared, run: impl FnOnce()) -> BTreeMap<String, usize> {
    let registries = [&shared.source, &shared.destination];
    let before = registries.map(|registry: &Registry| registry.requests().len());
    run();
    let mut kinds = BTreeMap::new();
    for (name, (registry, before)) in ["from", "to"].iter().zip(registries.iter().zip(before)) {
        for request in registry.requests().iter().skip(before) {
            let kind = format!("{name} {:?}", request.kind);
            *kinds.entry(kind).or_default() += 1;
        }
    }
    kinds
}

/// Returns the requests of the first run and of a second one, without and with a division.
fn compared(profile: fn() -> Profile, list: &str) -> [BTreeMap<String, usize>; 4] {
    let server = Postgres::start();
    let alone = large(&server, profile, list);
    let shared = large(&server, profile, list);
    let sync = || {
        let files = ["--config", "mirror.yaml", "--no-records"];
        alone.place.run(&files).exits(0);
    };
    let share = || {
        shared.begin(&[]).outcome().exits(0);
        let report = shared.report();
        assert_eq!(report["images"].as_array().unwrap().len(), TAGS);
    };
    let first = [requests(&alone, sync), requests(&shared, share)];
    for number in 0..TAGS {
        let tag = format!("v{number:02}");
        assert_arrived(&shared.destination, REPOSITORY, &tag, &image(number));
    }
    let parts = "SELECT count(*), sum(weight) FROM image_syncer.units WHERE kind = 'part'";
    assert_eq!(server.sql(parts), "4|36");
    let [a, b] = first;
    [a, b, requests(&alone, sync), requests(&shared, share)]
}

/// Returns the number of requests of each kind that `divided` has more than `whole`.
fn further(
    whole: &BTreeMap<String, usize>,
    divided: &BTreeMap<String, usize>,
) -> BTreeMap<String, usize> {
    let further = divided.iter().map(|(kind, count)| {
        let before = whole.get(kind).copied().unwrap_or_default();
        (kind.clone(), count.checked_sub(before).unwrap())
    });
    assert!(whole.keys().all(|kind| divided.contains_key(kind)));
    further.filter(|(_, count)| *count > 0).collect()
}

#[test]
fn each_part_costs_a_list_at_both_ends() {
    if !Postgres::is_installed() {
        return;
    }
    let [first, first_divided, second, second_divided] = compared(Profile::distribution, "catalog");
    let lists = [("from Tags", 4), ("to Tags", 4)];
    let lists = BTreeMap::from(lists.map(|(kind, count)| (kind.to_owned(), count)));
    assert_eq!(further(&first, &first_divided), lists);
    assert_eq!(further(&second, &second_divided), lists);
}

#[test]
fn unchanged_images_that_lists_show_are_not_divided() {
    if !Postgres::is_installed() {
        return;
    }
    let [_, _, second, second_divided] = compared(Profile::harbor, "harbor");
    assert_eq!(second_divided, second);
    // Without records, each image is checked for referrers.
    let expected = [
        ("from Listing", 2),
        ("from Referrers", TAGS),
        ("to Listing", 1),
    ];
    let expected = expected.map(|(kind, count)| (kind.to_owned(), count));
    assert_eq!(second, BTreeMap::from(expected));
}
