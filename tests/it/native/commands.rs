//! Commands about native files.

use testkit::Kind;

use super::support::{NativeWorld, content};
use crate::support::{image, registry};

const RULES: &str = "  - name: base images\n    \
       from: SRC/library/{alpine,debian}\n    \
       tags: {semver: \">=3\", newest: {count: 2, per: minor}}\n    \
       to: DST/mirror/{repository}\n  \
       - name: team projects\n    \
       from: SRC/team/**\n    \
       except: [\"**/tmp-*\"]\n    \
       to: [\"DST/{repository}\", {repository: \"BAK/{name}\", conflict: skip}]\n";

fn filled() -> NativeWorld {
    let world = NativeWorld::new(RULES);
    let push = |repository: &str, tags: &[&str]| {
        for tag in tags {
            world.source.push(
                repository,
                Some(tag),
                &image(&format!("{repository}:{tag}")),
            );
        }
    };
    push(
        "library/alpine",
        &["3.20.0", "3.20.1", "3.20.2", "3.21.0", "2.9", "edge"],
    );
    push("library/debian", &["12.1", "12.2"]);
    push("team/app", &["v1", "v2"]);
    push("team/tmp-x", &["v1"]);
    push("team/web/api", &["v1"]);
    world
}

#[test]
fn a_validated_file_shows_its_rules_without_a_request() {
    let world = filled();
    world.source.clear_requests();
    let outcome = world.run(&["validate"]).exits(0);
    assert_eq!(outcome.stderr, "");
    insta::assert_snapshot!(world.named(&outcome.stdout));
    assert_eq!(world.source.requests().len(), 0);
}

#[test]
pub(crate) fn a_listed_file_shows_repositories_tags_and_destinations() {
    let world = filled();
    let outcome = world.run(&["validate", "--list"]).exits(0);
    insta::assert_snapshot!(world.named(&outcome.stdout));
    // Nothing was looked up, and the destinations were not asked.
    let manifests = |kind: Kind| matches!(kind, Kind::ManifestHead | Kind::ManifestGet);
    assert_eq!(world.source.count(|request| manifests(request.kind)), 0);
    assert_eq!(
        world.destination.requests().len() + world.backup.requests().len(),
        0
    );
}

#[test]
fn a_list_that_fails_is_a_failure_of_validate() {
    let closed = registry();
    let world = filled();
    let rules = format!(
        "{RULES}  - from: {}/**\n    to: DST/{{repository}}\n",
        closed.host()
    );
    world.set_rules(&rules);
    let file = world.place.read("sync.yaml");
    let none = "{list: none, tls: {insecure: true, plain-http: true}}";
    let file = file.replace("rules:", &format!("  {}: {none}\nrules:", closed.host()));
    std::fs::write(world.place.path("sync.yaml"), file).unwrap();
    world.run(&["validate"]).exits(0);
    let outcome = world.run(&["validate", "--list"]).exits(1);
    outcome.says(&closed.host());
}

#[test]
pub(crate) fn the_tags_of_a_rule_are_explained() {
    let world = filled();
    let outcome = world.run(&["tags", "--rule", "base*"]).exits(0);
    insta::assert_snapshot!(world.named(&outcome.stdout));
    let json = world
        .run(&["tags", "--rule", "base*", "--output", "json"])
        .exits(0);
    let document: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let repositories = document.as_array().unwrap();
    assert_eq!(repositories.len(), 2);
    let alpine = &repositories[0];
    assert_eq!(alpine["rule"], "base images");
    assert_eq!(
        alpine["repository"],
        world.with_hosts("SRC/library/alpine").as_str()
    );
    assert_eq!(
        alpine["tags"],
        serde_json::json!(["3.20.1", "3.20.2", "3.21.0"])
    );
}

#[test]
fn a_plan_explains_the_selection() {
    let world = filled();
    let outcome = world.run(&["plan", "-v"]).exits(0);
    let said = world.named(&outcome.stderr);
    let explained = "SRC/library/alpine: 6 tags; semver 4; newest 2 per minor: 3";
    assert!(said.contains(explained), "{said}");
    let outcome = world.run(&["plan"]).exits(0);
    outcome.does_not_say("newest 2 per minor");
}

#[test]
fn one_rule_is_carried_out() {
    let world = filled();
    world.run(&["--rule", "team*"]).exits(0);
    assert_eq!(
        content(&world.destination),
        ["team/app: v1 v2", "team/web/api: v1"]
    );
    world
        .run(&["plan", "--rule", "team project"])
        .exits(2)
        .says("--rule: no rule is called `team project`. Write `team projects`.");
}

#[test]
fn copy_uses_the_registries_of_a_file() {
    let world = filled();
    let [from, to] = ["SRC/team/app:v1", "DST/copy"].map(|name| world.with_hosts(name));
    world
        .place
        .run(&["copy", &from, &to, "--config", "sync.yaml"])
        .exits(0)
        .says("1 image: 1 copied");
    assert_eq!(content(&world.destination), ["copy: v1"]);
}
