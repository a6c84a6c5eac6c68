//! Runs of several processes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use testkit::{Kind, Registry};

use super::support::{
    REPOSITORIES, comparable, file, images, merge, place, registry, run_shards, source, sources,
};
use crate::support::real::{Access, Pair};
use crate::support::report::report;
use crate::support::{Place, assert_arrived};

/// Returns the number of requests of a kind for each repository.
fn by_repository(registry: &Registry, kind: Kind) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in registry.requests().into_iter().filter(|it| it.kind == kind) {
        *counts
            .entry(request.repository.unwrap_or_default())
            .or_default() += 1;
    }
    counts
}

#[test]
fn four_processes_copy_everything_once_and_their_report_is_that_of_one() {
    let (source, destination, other) = (source(), registry(), registry());
    let place = place(&source.host(), &destination.host());
    let runs = run_shards(&place, 4, &[]);
    let mut copied = 0;
    for (index, run) in runs.into_iter().enumerate() {
        let report = report(&place, &format!("shard-{index}.json"));
        let shard = &report["shard"];
        assert_eq!(
            (&shard["index"], &shard["count"]),
            (&json!(index), &json!(4))
        );
        assert_eq!(shard["selected_repositories"], REPOSITORIES + 2);
        let own = shard["repositories"].as_u64().unwrap();
        run.exits(0)
            .says(&format!("shard {index}/4: {own} of 26 repositories"));
        assert!(own < REPOSITORIES as u64);
        copied += report["images"].as_array().unwrap().len();
    }
    assert_eq!(copied, images().len());
    for (name, tag, image) in images() {
        assert_arrived(&destination, &name, tag, &image);
    }
    assert_eq!(destination.problems(), [""; 0]);
    // Each shard lists the repositories for both patterns, and the tags of its own alone.
    assert_eq!(source.count(|request| request.kind == Kind::Catalog), 8);
    let lists = by_repository(&source, Kind::Tags);
    assert_eq!(lists.len(), REPOSITORIES + 2);
    assert!(lists.values().all(|count| *count == 1), "{lists:?}");
    let pushed = destination.count(|request| request.kind == Kind::ManifestPut);
    assert_eq!(pushed, images().len());
    // One process writes the same report.
    let merged = comparable(merge(&place, 4));
    let alone = super::support::place(&source.host(), &other.host());
    alone
        .run(&["--config", "mirror.yaml", "--report", "single.json"])
        .exits(0)
        .does_not_say("shard");
    let single = alone
        .read("single.json")
        .replace(&other.host(), &destination.host());
    let single: Value = serde_json::from_str(&single).unwrap();
    assert_eq!(merged, comparable(single));
    assert_eq!(merged["summary"]["rules"], 4);
    let expected = json!("the registry lists no repository that could match");
    assert_eq!(
        merged["rules"][3]["empty"], expected,
        "{:#}",
        merged["rules"]
    );
    // The next run changes nothing.
    destination.clear_requests();
    for run in run_shards(&place, 4, &[]) {
        run.exits(0);
    }
    assert_eq!(
        destination.count(|request| request.kind == Kind::ManifestPut),
        0
    );
    assert_eq!(merge(&place, 4)["summary"]["unchanged"], images().len());
}

#[test]
fn four_processes_copy_everything_once_between_real_registries() {
    testkit::needs!("docker-registry", "skopeo");
    let pair = Pair::start(Access::Anonymous, false);
    for (name, tag, image) in images() {
        pair.push(&name, tag, &image);
    }
    let place = place(&pair.source.host(), &pair.destination.host());
    for run in run_shards(&place, 4, &[]) {
        run.exits(0);
    }
    let merged = merge(&place, 4);
    let summary = &merged["summary"];
    assert_eq!(
        (&summary["copied"], &summary["images"]),
        (&json!(52), &json!(52))
    );
    let sources: BTreeSet<String> = sources(&merged).into_iter().collect();
    assert_eq!(sources.len(), 52);
    for name in ["team/app-0", "team/app-23", "fixed/one"] {
        pair.assert_equal(&format!("{name}:v2"), &format!("{name}:v2"));
    }
    let run = place.run(&["check", "--config", "mirror.yaml"]);
    assert_eq!(run.exits(0).stdout, "");
}

pub(crate) fn shards_of_a_plan_and_a_check_divide_its_lines() {
    let (source, destination) = (source(), registry());
    let place = place(&source.host(), &destination.host());
    for (command, exit) in [("plan", 0), ("check", 3)] {
        let runs = run_shards(&place, 3, &[command]);
        let mut shown = Vec::new();
        for (index, run) in runs.into_iter().enumerate() {
            let run = run.exits(exit);
            let names = (0..REPOSITORIES).map(|number| format!("/team/app-{number}:v1"));
            shown.extend(names.filter(|name| run.stdout.contains(name)));
            let text = run.stdout + &run.stderr;
            assert!(text.contains(&format!("shard {index}/3: ")), "{text}");
        }
        assert_eq!(shown.len(), REPOSITORIES, "{command}");
        shown.sort();
        shown.dedup();
        assert_eq!(shown.len(), REPOSITORIES, "{command}");
        let merged = merge(&place, 3);
        assert_eq!(
            (&merged["exit_code"], &merged["command"]),
            (&json!(exit), &json!(command))
        );
        assert_eq!(merged["summary"]["planned_new"], images().len());
    }
    assert_eq!(
        destination.count(|request| request.kind == Kind::ManifestPut),
        0
    );
}

#[test]
fn a_plan_and_a_check_can_be_divided() {
    shards_of_a_plan_and_a_check_divide_its_lines();
}

/// Writes a report in which `team/app-0` took most of the time.
fn with_skewed_report(place: Place, source: &Registry) -> Place {
    let image = |(name, tag, _): (String, &str, _)| {
        let seconds = if name == "team/app-0" { 500.0 } else { 2.0 };
        json!({"source": format!("{}/{name}:{tag}", source.host()), "elapsed_seconds": seconds})
    };
    let images: Vec<Value> = images().into_iter().map(image).collect();
    let report = json!({"version": 1, "images": images});
    place.file("before.json", &report.to_string())
}

pub(crate) fn weights_of_a_report_divide_a_large_repository() {
    let (source, destination) = (source(), registry());
    let place = place(&source.host(), &destination.host());
    let place = with_skewed_report(place, &source);
    for command in [&["plan"][..], &["check"], &[]] {
        let weights = [command, &["--shard-weights", "before.json"]].concat();
        run_shards(&place, 4, &weights);
        let mut owners = 0;
        for index in 0..4 {
            let report = report(&place, &format!("shard-{index}.json"));
            owners += usize::from(sources(&report).iter().any(|it| it.contains("/app-0:")));
        }
        let merged = sources(&merge(&place, 4));
        let expected = images()
            .into_iter()
            .map(|(name, tag, _)| format!("{}/{name}:{tag}", source.host()));
        assert_eq!(
            merged.into_iter().collect::<BTreeSet<_>>(),
            expected.collect()
        );
        assert_eq!(
            owners, 2,
            "each tag of the large repository on another shard"
        );
    }
    for (name, tag, image) in images() {
        assert_arrived(&destination, &name, tag, &image);
    }
}

#[test]
fn weights_divide_repositories_evenly() {
    weights_of_a_report_divide_a_large_repository();
    // With the report of a real run, all shards have about the same number.
    let (source, destination) = (source(), registry());
    let place = place(&source.host(), &destination.host());
    place
        .run(&["--config", "mirror.yaml", "--report", "before.json"])
        .exits(0);
    run_shards(&place, 4, &["--shard-weights", "before.json"]);
    let counts: Vec<u64> = (0..4)
        .map(|index| {
            report(&place, &format!("shard-{index}.json"))["shard"]["repositories"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!(sources(&merge(&place, 4)).len(), images().len());
    assert_eq!(
        counts.iter().sum::<u64>(),
        REPOSITORIES as u64 + 2,
        "{counts:?}"
    );
}

#[test]
fn limits_of_registries_are_divided_and_said_once() {
    let (source, destination) = (source(), registry());
    let limits = file(&source.host(), &destination.host()).replacen(
        "tls: {plain-http: true}}",
        "tls: {plain-http: true}, limits: {transfers: 6, rate: 100MiB}}",
        1,
    );
    let place = Place::new().file("mirror.yaml", &limits);
    let flags = ["--config", "mirror.yaml", "--shard", "1/4"];
    let host = source.host();
    let line = format!(
        "shard 1/4: limits of registries are those of all 4 shards together; here {host}: 25.0 MiB/s, 1 transfer"
    );
    let run = place.run(&flags).exits(0);
    run.says_once(&line);
    let logged = [&flags[..], &["--log", "run.log"]].concat();
    place.run(&logged).exits(0);
    assert_eq!(place.read("run.log").matches(&line).count(), 1);
    let requests = [&flags[..], &["--max-requests", "1000"]].concat();
    place
        .run(&requests)
        .exits(0)
        .says("here each registry: 250 requests/s; ");
    let whole = ["--config", "mirror.yaml"];
    place.run(&whole).exits(0).does_not_say("limits");
}

#[test]
fn an_empty_shard_ends_well_and_failures_belong_to_the_shard_of_their_rule() {
    let (source, destination) = (source(), registry());
    let rules = format!(
        "{src}/fixed/one: {dst}/one\n{src}/fixed/missing:v1: {dst}/missing\n",
        src = source.host(),
        dst = destination.host()
    );
    let place = Place::new().file("images.yaml", &rules).file(
        "auth.yaml",
        &crate::support::insecure(&[&source, &destination]),
    );
    let mut exits = Vec::new();
    for index in 0..6 {
        let shard = format!("{index}/6");
        let failed = format!("failed-{index}.yaml");
        let flags = ["--shard", &shard, "--failed-images", &failed];
        let run = place.run(&[&crate::support::FILES[..], &flags].concat());
        let lists = place.read(&failed).contains("fixed/missing");
        assert_eq!(lists, run.code == 1, "{}", run.stderr);
        exits.push(run.code);
    }
    exits.sort_unstable();
    assert_eq!(exits, [0, 0, 0, 0, 0, 1]);
    assert_eq!(destination.state().tags("one"), ["v1", "v2"]);
}
