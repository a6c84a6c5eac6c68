//! Syncs of native files.

use testkit::real::DockerRegistry;
use testkit::{Profile, Registry};

use super::support::{NativeWorld, content};
use crate::support::{Place, image, index, registry};

/// Pushes an image for each tag.
fn push(registry: &Registry, repository: &str, tags: &[&str]) {
    for tag in tags {
        registry.push(
            repository,
            Some(tag),
            &image(&format!("{repository}:{tag}")),
        );
    }
}

#[test]
fn patterns_policies_and_templates_fill_two_destinations() {
    let world = NativeWorld::new(
        "  - name: team projects\n    \
           from: SRC/team-*/**\n    \
           except: [\"**/tmp-*\", \"/-scratch$/\"]\n    \
           tags: {semver: \">=1.0\", newest: {count: 2, per: minor}}\n    \
           to:\n      \
             - DST/mirror/{repository}\n      \
             - {repository: \"BAK/harbor/{repository|flatten}\", platforms: [linux/amd64], tag: \"{tag}-copy\"}\n",
    );
    let source = &world.source;
    push(
        source,
        "team-a/app",
        &["1.0.0", "1.0.1", "1.0.2", "1.1.0", "0.9.0", "latest"],
    );
    source.push("team-b/web/api", Some("v2.0.0"), &index("api"));
    push(source, "team-a/tmp-build", &["1.0.0"]);
    push(source, "team-a/app-scratch", &["1.0.0"]);
    push(source, "other/app", &["1.0.0"]);
    let outcome = world.run(&[]).exits(0);
    assert_eq!(
        content(&world.destination),
        [
            "mirror/team-a/app: 1.0.1 1.0.2 1.1.0",
            "mirror/team-b/web/api: v2.0.0"
        ],
        "{}",
        outcome.stderr
    );
    assert_eq!(
        content(&world.backup),
        [
            "harbor/team-a-app: 1.0.1-copy 1.0.2-copy 1.1.0-copy",
            "harbor/team-b-web-api: v2.0.0-copy"
        ]
    );
    // The first destination has the whole index, the second one platform of it.
    let whole = index("api").digest().to_string();
    let digest = |registry: &Registry, repository: &str, tag: &str| {
        registry.state().digest(repository, tag).unwrap()
    };
    assert_eq!(
        digest(&world.destination, "mirror/team-b/web/api", "v2.0.0"),
        whole
    );
    assert_ne!(
        digest(&world.backup, "harbor/team-b-web-api", "v2.0.0-copy"),
        whole
    );
    world.run(&[]).exits(0).says("8 unchanged");
    world.run(&["check"]).exits(0);
}

#[test]
fn a_list_that_fails_fails_its_rule_only() {
    let closed = registry();
    let world = NativeWorld::new(
        "  - from: SRC/team/**\n    to: DST/{repository}\n  \
           - from: CLOSED/**\n    to: DST/closed/{repository}\n",
    );
    push(&world.source, "team/app", &["v1"]);
    push(&closed, "app", &["v1"]);
    let file = world
        .place
        .read("sync.yaml")
        .replace("CLOSED", &closed.host());
    let none = "{list: none, tls: {insecure: true, plain-http: true}}";
    let file = file.replace("rules:", &format!("  {}: {none}\nrules:", closed.host()));
    std::fs::write(world.place.path("sync.yaml"), file).unwrap();
    let outcome = world.run(&[]).exits(1);
    outcome.says_once(&format!("failed       {}/**", closed.host()));
    assert_eq!(content(&world.destination), ["team/app: v1"]);
}

#[test]
fn conflicts_are_decided_for_each_destination() {
    let world = NativeWorld::new(
        "  - from: SRC/team/app\n    \
           to:\n      \
             - {repository: DST/app, conflict: {\"v*\": fail, \"*\": overwrite}}\n      \
             - {repository: BAK/app, conflict: skip}\n",
    );
    push(&world.source, "team/app", &["latest", "v1"]);
    let old = image("old");
    for registry in [&world.destination, &world.backup] {
        for tag in ["latest", "v1"] {
            registry.push("app", Some(tag), &old);
        }
    }
    let plan = world.run(&["plan"]).exits(1);
    let plan = world.named(&plan.stdout);
    for (kind, reference) in [
        ("changed", "DST/app:latest"),
        ("failed", "DST/app:v1"),
        ("skipped", "BAK/app:latest"),
        ("skipped", "BAK/app:v1"),
    ] {
        let is_row = |line: &&str| line.starts_with(kind) && line.contains(reference);
        assert!(
            plan.lines().any(|line| is_row(&line)),
            "{kind} {reference}:\n{plan}"
        );
    }
    world.run(&[]).exits(1);
    let is_old = |registry: &Registry, tag: &str| {
        registry.state().digest("app", tag) == Some(old.digest().to_string())
    };
    assert!(!is_old(&world.destination, "latest") && is_old(&world.destination, "v1"));
    assert!(is_old(&world.backup, "latest") && is_old(&world.backup, "v1"));
}

#[test]
fn a_whole_registry_is_found_by_its_catalog() {
    testkit::needs!("docker-registry");
    let source = DockerRegistry::builder().start().unwrap();
    let destination = registry();
    let client = source.client().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for name in ["a", "b/c", "b/d/e"] {
        let image = image(name);
        let pushed = testkit::raw::push_over_http(&client, name, Some("v1"), &image);
        runtime.block_on(pushed).unwrap();
    }
    let insecure = "{tls: {insecure: true, plain-http: true}}";
    let (from, to) = (source.host(), destination.host());
    let place = Place::new().file(
        "sync.yaml",
        &format!(
            "version: 1\nregistries:\n  {from}: {insecure}\n  {to}: {insecure}\nrules:\n  - from: {from}/**\n    to: {to}/all/{{repository}}\n"
        ),
    );
    place
        .run(&["--config", "sync.yaml"])
        .exits(0)
        .says("3 images: 3 copied");
    assert_eq!(
        content(&destination),
        ["all/a: v1", "all/b/c: v1", "all/b/d/e: v1"]
    );
}

#[test]
fn braces_need_no_list() {
    let world = NativeWorld::over(
        Registry::builder()
            .profile(Profile::docker_hub())
            .start_on_thread(),
        "  - from: SRC/library/{alpine,debian}\n    tags: [\"3.*\", stable]\n    to: DST/{name}\n",
    );
    push(&world.source, "library/alpine", &["3.20", "3.21", "edge"]);
    push(&world.source, "library/debian", &["stable", "12"]);
    push(&world.source, "library/other", &["3.1"]);
    world.run(&["--listing", "off"]).exits(0);
    assert_eq!(
        content(&world.destination),
        ["alpine: 3.20 3.21", "debian: stable"]
    );
    let listings = world
        .source
        .count(|request| request.kind == testkit::Kind::Listing);
    assert_eq!(listings, 0);
}

#[test]
fn two_sources_for_one_name_are_both_named() {
    let world = NativeWorld::new("  - from: SRC/{a,b}/*\n    to: DST/{name}\n");
    push(&world.source, "a/app", &["v1"]);
    push(&world.source, "b/app", &["v1"]);
    push(&world.source, "b/web", &["v1"]);
    let outcome = world.run(&[]).exits(1);
    let said = world.named(&outcome.stderr);
    assert!(
        said.contains("SRC/a/app") && said.contains("SRC/b/app"),
        "{said}"
    );
    assert_eq!(content(&world.destination), ["app: v1", "web: v1"]);
    let first = image("a/app:v1").digest().to_owned();
    assert_eq!(
        world.destination.state().digest("app", "v1").unwrap(),
        first
    );
}
