//! Options that differ between the rules of a run, and between the destinations of a rule.

use image_syncer_registry::manifest::ManifestView;

use crate::rule::{CopyOptions, Immutable, Parts};
use crate::scenario::*;
use crate::store::memory::{entry, repository};

const SIGNATURE: &str = "application/vnd.example.signature";

/// Returns a rule for `source` with these destinations and their options.
fn rule_with(source: &str, destinations: &[(&str, CopyOptions)]) -> Arc<Rule> {
    let names: Vec<&str> = destinations.iter().map(|(name, _)| *name).collect();
    let mut rule = Arc::unwrap_or_clone(rule(source, &names));
    for (destination, (_, options)) in rule.destinations.iter_mut().zip(destinations) {
        destination.options = Some(Arc::new(options.clone()));
    }
    Arc::new(rule)
}

fn whole() -> CopyOptions {
    CopyOptions::default()
}

fn sparse(arch: &str) -> CopyOptions {
    let parts = Parts {
        sparse: true,
        ..Parts::default()
    };
    CopyOptions {
        parts,
        ..only(arch).options()
    }
}

/// Returns a scenario whose images are copied one at a time.
fn scenario(rules: Vec<Arc<Rule>>) -> Scenario {
    Scenario::new("src.example/app:v1", &["dst.example/copy"])
        .with_settings(one_at_a_time())
        .with_rules(rules)
}

/// Returns the names of the entries of the index under `v1`.
fn entry_names(scenario: &Scenario, destination: &str) -> Vec<String> {
    let place = repository(destination);
    let root = scenario.stores.tagged(&place, "v1").unwrap();
    let root = scenario.stores.manifest(&place, &root).unwrap();
    let ManifestView::Index(index) = root.view().unwrap() else {
        panic!("not an index");
    };
    let entries = index.manifests.iter();
    entries
        .map(|entry| scenario.stores.name(&entry.digest))
        .collect()
}

/// Returns the sorted calls at `place`.
fn calls_at(scenario: &Scenario, place: &str) -> Vec<String> {
    let mut calls = scenario.stores.calls();
    calls.retain(|call| call.contains(place));
    calls.sort();
    calls
}

#[tokio::test]
async fn destinations_with_different_platforms_share_the_source() {
    let destinations = [
        ("one.example/copy", only("amd64").options()),
        ("two.example/copy", only("arm64").options()),
        ("three.example/copy", whole()),
        ("four.example/copy", only("arm64").options()),
    ];
    let scenario = scenario(vec![rule_with("src.example/app:v1", &destinations)]);
    let [index, ..] = scenario.index_of_two_platforms(&["v1"]);
    let events = scenario.run().await;
    assert_eq!(events.summary().copied, 4);
    assert_eq!(entry_names(&scenario, "one.example/copy"), ["amd64"]);
    assert_eq!(entry_names(&scenario, "two.example/copy"), ["arm64"]);
    assert_eq!(entry_names(&scenario, "four.example/copy"), ["arm64"]);
    let third = repository("three.example/copy");
    let third = scenario.stores.tagged(&third, "v1");
    assert_eq!(third.as_ref(), Some(index.digest()));
    let one = repository("one.example/copy");
    let arm64 = digest_of("arm64");
    assert!(scenario.stores.blob_bytes(&one, &arm64).is_none());
    // Each part of the source is read once for all of them.
    let expected = [
        "manifest src.example/app@amd64",
        "manifest src.example/app@arm64",
        "manifest src.example/app@index",
        "open-blob src.example/app@amd64",
        "open-blob src.example/app@amd64.config",
        "open-blob src.example/app@arm64",
        "open-blob src.example/app@arm64.config",
        "resolve src.example/app:v1",
    ];
    assert_eq!(calls_at(&scenario, "src.example"), expected);

    scenario.stores.take_sorted();
    let events = scenario.run().await;
    assert_eq!(events.summary().unchanged, 4);
    // The root decides what the filters make of it, as in a run with one filter.
    let expected = [
        "manifest src.example/app@index",
        "resolve src.example/app:v1",
    ];
    assert_eq!(calls_at(&scenario, "src.example"), expected);
    assert_eq!(scenario.count("resolve-for-push"), 4);
    assert_eq!(scenario.stores.calls().len(), 2 + 4);
}

#[tokio::test]
async fn rules_with_different_platforms_keep_to_their_own() {
    let rules = [("one", "amd64"), ("two", "arm64")].map(|(path, arch)| {
        let destination = format!("dst.example/{path}");
        rule_with(
            "src.example/app:v1",
            &[(&destination, only(arch).options())],
        )
    });
    let scenario = scenario(rules.to_vec());
    scenario.index_of_two_platforms(&["v1"]);
    let events = scenario.run().await;
    assert_eq!(events.summary().copied, 2);
    assert_eq!(entry_names(&scenario, "dst.example/one"), ["amd64"]);
    assert_eq!(entry_names(&scenario, "dst.example/two"), ["arm64"]);
    assert_eq!(scenario.count("manifest src.example/app@index"), 1);
    assert_eq!(scenario.count("open-blob"), 4);
}

#[tokio::test]
async fn referrers_go_only_to_the_destinations_that_get_them() {
    let destinations = [
        ("one.example/copy", with_referrers().options()),
        ("two.example/copy", whole()),
    ];
    let scenario = scenario(vec![rule_with("src.example/app", &destinations)]);
    let image = scenario.image("image", &["v1"], &["base"]);
    let attestation = scenario.referrer("attestation", SIGNATURE, &image);
    let signature = scenario.image("signature", &[], &["signature"]);
    let tag = scenario.tag_companion(".sig", &image, &signature);
    let events = scenario.run().await;
    // The signature tag is a referrer for the first destination, and one of the tags for the second.
    let expected = [
        format!("src.example/app:{tag} -> two.example/copy:{tag}: copied"),
        "src.example/app:v1 -> one.example/copy:v1: copied".to_owned(),
        "src.example/app:v1 -> two.example/copy:v1: copied".to_owned(),
    ];
    assert_eq!(events.endings(), expected);
    let copies = events.copies();
    let referrers: Vec<u64> = copies.iter().map(|(_, copied)| copied.referrers).collect();
    assert_eq!(referrers, [2, 0, 0]);
    for (destination, copied) in [("one.example/copy", true), ("two.example/copy", false)] {
        let place = repository(destination);
        let there = scenario.stores.holds_manifest(&place, attestation.digest());
        assert_eq!(there, copied, "{destination}");
        let signed = scenario.stores.tagged(&place, &tag);
        assert_eq!(signed.as_ref(), Some(signature.digest()), "{destination}");
    }
    assert_eq!(scenario.count("update-index one.example"), 1);
    assert_eq!(scenario.count("update-index two.example"), 0);
}

#[tokio::test]
async fn a_rule_without_referrers_defers_no_tags_of_other_rules() {
    let scenario = scenario(vec![
        rule_with(
            "src.example/app:v1",
            &[("one.example/copy", with_referrers().options())],
        ),
        rule_with("src.example/app", &[("two.example/copy", whole())]),
    ]);
    let [_, amd64, _] = scenario.index_of_two_platforms(&["v1"]);
    let signature = scenario.image("signature", &[], &["signature"]);
    scenario.tag_companion(".sig", &amd64, &signature);
    assert_eq!(scenario.run().await.summary().copied, 3);
    scenario.stores.take_sorted();
    assert_eq!(scenario.run().await.summary().unchanged, 3);
    // Only for a rule that defers tags, the children of an unchanged index would be searched for their tags.
    assert_eq!(scenario.count("manifest"), 0);
}

#[tokio::test]
async fn types_of_referrers_differ_between_rules_of_one_repository() {
    let types = |types: &[&str]| CopyOptions {
        referrers: Some(Arc::new(Referrers {
            types: types.iter().map(|&name| name.to_owned()).collect(),
            ..Referrers::default()
        })),
        ..whole()
    };
    // The same image twice: the second rule adds what the first one leaves out.
    let rules = [types(&["application/spdx+json"]), types(&[])];
    let rules =
        rules.map(|options| rule_with("src.example/app:v1", &[("dst.example/copy", options)]));
    let scenario = scenario(rules.to_vec());
    let image = scenario.image("image", &["v1"], &["base"]);
    let attestation = scenario.referrer("attestation", SIGNATURE, &image);
    let events = scenario.run().await;
    assert_eq!(events.summary().failed, 0);
    assert!(
        scenario
            .stores
            .holds_manifest(&scenario.destination, attestation.digest())
    );
    assert_eq!(scenario.count("put-manifest dst.example/copy:v1"), 1);
}

#[tokio::test]
async fn force_and_verify_hold_for_their_destination_only() {
    let destinations = [
        ("one.example/copy", verifying().options()),
        ("two.example/copy", forced().options()),
        ("three.example/copy", whole()),
    ];
    let scenario = scenario(vec![rule_with("src.example/app:v1", &destinations)]);
    scenario.image("image", &["v1"], &["base"]);
    for (destination, _) in &destinations {
        let place = repository(destination);
        scenario.stores.copy_repository(&scenario.source, &place);
        scenario.stores.remove_blob(&place, &digest_of("base"));
    }
    let events = scenario.run().await;
    let expected = [
        "src.example/app:v1 -> one.example/copy:v1: repaired",
        "src.example/app:v1 -> three.example/copy:v1: unchanged",
        "src.example/app:v1 -> two.example/copy:v1: copied",
    ];
    assert_eq!(events.endings(), expected);
    for (destination, sent) in [("one", 1), ("two", 1), ("three", 0)] {
        let sends = scenario.count(&format!("send {destination}.example/copy@base"));
        assert_eq!(sends, sent, "{destination}");
    }
    assert_eq!(
        calls_at(&scenario, "three.example"),
        ["resolve-for-push three.example/copy:v1"]
    );
    assert_eq!(scenario.count("open-blob src.example/app@base"), 1);
}

#[tokio::test]
async fn a_digest_that_one_rule_found_is_still_verified_for_another() {
    let found = rule("src.example/app:v1", &["dst.example/copy"]);
    for (options, ending) in [(verifying(), "repaired"), (forced(), "copied")] {
        let checked = [("dst.example/copy:checked", options.options())];
        let rules = vec![
            Arc::clone(&found),
            rule_with("src.example/app:v1", &checked),
        ];
        let scenario = scenario(rules);
        scenario.image("image", &["v1", "checked"], &["base"]);
        scenario.fill_destination();
        scenario.remove_copied_blob("base");
        let events = scenario.run().await;
        let expected = [
            format!("src.example/app:v1 -> dst.example/copy:checked: {ending}"),
            "src.example/app:v1 -> dst.example/copy:v1: unchanged".to_owned(),
        ];
        assert_eq!(events.endings(), expected);
        assert_eq!(scenario.count("send dst.example/copy@base"), 1);
    }
}

#[tokio::test]
async fn a_sparse_index_does_not_stand_for_a_whole_one() {
    let rules = vec![
        rule_with(
            "src.example/app:v1",
            &[("dst.example/copy", sparse("amd64"))],
        ),
        rule_with("src.example/app:v1", &[("dst.example/copy:whole", whole())]),
    ];
    let scenario = scenario(rules);
    scenario
        .stores
        .behave(|behaviour| behaviour.validates = false);
    let [_, amd64, arm64] = scenario.index_of_two_platforms(&["v1"]);
    let events = scenario.run().await;
    assert_eq!(events.summary().copied, 2);
    for child in [amd64, arm64] {
        let place = &scenario.destination;
        assert!(scenario.stores.holds_manifest(place, child.digest()));
    }
    assert!(scenario.has_copied_blob(&digest_of("arm64")));
    // The layer and the config, once each.
    assert_eq!(scenario.count("open-blob src.example/app@amd64"), 2);
    assert_eq!(scenario.count("send dst.example/copy@amd64"), 2);
}

#[tokio::test]
async fn records_settle_immutable_tags_for_their_destination_only() {
    let immutable = CopyOptions {
        immutable: Immutable::parse(&["v*".to_owned()]).unwrap(),
        ..whole()
    };
    let destinations = [
        ("one.example/copy", immutable),
        ("two.example/copy", whole()),
    ];
    let tags = ["v1", "v2", "v3"];
    let rules = vec![rule_with("src.example/app:v1,v2,v3", &destinations)];
    let scenario = scenario(rules).with_records();
    scenario.image_for_each_tag("app", &tags);
    let events = scenario.run_with_records(one_at_a_time()).await;
    assert_eq!(events.summary().copied, 6);
    let events = scenario.run_with_records(one_at_a_time()).await;
    let summary = events.summary();
    assert_eq!((summary.unchanged, summary.recorded), (6, 3));
    // One list at the first, a HEAD for each tag at the second.
    assert_eq!(
        calls_at(&scenario, "one.example"),
        ["tags one.example/copy", "tags one.example/copy"]
    );
    let expected = tags.map(|tag| format!("resolve-for-push two.example/copy:{tag}"));
    assert_eq!(calls_at(&scenario, "two.example"), expected);
    assert_eq!(scenario.count("resolve src.example"), 3);
}

#[tokio::test]
async fn records_of_other_options_are_not_believed() {
    let immutable = |arch: &str| CopyOptions {
        immutable: Immutable::parse(&["*".to_owned()]).unwrap(),
        ..only(arch).options()
    };
    let rules = |one: &str, two: &str| {
        let destinations = [
            ("dst.example/one", immutable(one)),
            ("dst.example/two", immutable(two)),
        ];
        vec![rule_with("src.example/app:v1", &destinations)]
    };
    let mut scenario = scenario(rules("amd64", "arm64")).with_records();
    scenario.index_of_two_platforms(&["v1"]);
    let events = scenario.run_with_records(one_at_a_time()).await;
    assert_eq!(events.summary().copied, 2);
    let events = scenario.run_with_records(one_at_a_time()).await;
    assert_eq!(events.summary().recorded, 2);
    assert_eq!(scenario.count("resolve"), 0);
    // The options change places.
    scenario.rules = rules("arm64", "amd64");
    let events = scenario.run_with_records(one_at_a_time()).await;
    assert_eq!((events.summary().recorded, events.summary().copied), (0, 2));
    assert_eq!(entry_names(&scenario, "dst.example/one"), ["arm64"]);
    assert_eq!(entry_names(&scenario, "dst.example/two"), ["amd64"]);
}

#[tokio::test]
async fn rules_that_give_one_tag_different_content_are_in_conflict() {
    let place = "dst.example/copy";
    let cases = [
        (only("arm64").options(), "another image"),
        (sparse("arm64"), "other parts of the image"),
    ];
    for (options, what) in cases {
        let scenario = scenario(vec![
            rule_with("src.example/app:v1", &[(place, whole())]),
            rule_with("src.example/app:v1", &[(place, options)]),
        ]);
        let [index, ..] = scenario.index_of_two_platforms(&["v1"]);
        let events = scenario.run().await;
        assert_eq!((events.summary().copied, events.summary().failed), (1, 1));
        let expected = format!(
            "cannot write src.example/app:v1 (rule src.example/app:v1) to dst.example/copy:v1: rule src.example/app:v1 \
             writes {what} to this tag, src.example/app:v1"
        );
        assert_eq!(events.failure().reason, expected);
        assert_eq!(scenario.copied_digest("v1").as_ref(), Some(index.digest()));
    }
}

#[tokio::test]
async fn an_image_that_no_filter_changes_is_no_conflict() {
    let place = "dst.example/copy";
    let scenario = scenario(vec![
        rule_with("src.example/app:v1", &[(place, whole())]),
        rule_with("src.example/app:v1", &[(place, only("amd64").options())]),
    ]);
    let amd64 = scenario.child("amd64", "linux/amd64");
    scenario.index_of_entries("index", &["v1"], &[entry(&amd64, Some("linux/amd64"))]);
    let events = scenario.run().await;
    assert_eq!(events.summary().failed, 0);
    assert_eq!(scenario.count("put-manifest dst.example/copy:v1"), 1);
}
