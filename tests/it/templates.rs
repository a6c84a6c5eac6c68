//! Templates of destinations in native files, end to end.

use crate::support::{Place, assert_arrived, image, registry};

/// Returns a native file with both registries, and the rules.
fn file(source: &testkit::Registry, destination: &testkit::Registry, rules: &str) -> String {
    let (from, to) = (source.host(), destination.host());
    let rules = rules.replace("SRC", &from).replace("DST", &to);
    format!(
        "version: 1\nregistries:\n  \"{from}\": {{tls: {{plain-http: true}}}}\n  \"{to}\": {{tls: {{plain-http: true}}}}\nrules:\n{rules}"
    )
}

#[test]
fn paths_and_tags_are_renamed() {
    let (source, destination) = (registry(), registry());
    for name in ["app", "tool"] {
        let repository = format!("team/{name}");
        source.push(&repository, Some("v1"), &image(name));
        source.push(&repository, Some("v2"), &image(&format!("{name} 2")));
        source.push(&repository, Some("latest"), &image("other"));
    }
    source.push("coreos/etcd", Some("v3"), &image("etcd"));
    let rules = r#"  - name: apps
    from: "SRC/team/{app,tool}"
    tags: "/^v([0-9]+)$/"
    to: {repository: "DST/{namespace|replace:team:mirror}/{name}", tag: "{1}-x"}
  - name: renamed
    from: SRC/coreos/etcd:v3
    to: {repository: "DST/{repository}:{tag}-copy", rename: {'/^coreos\/(.+)$/': "core/$1"}}
"#;
    let place = Place::new().file("sync.yaml", &file(&source, &destination, rules));
    place.run(&["--config", "sync.yaml"]).exits(0);
    for name in ["app", "tool"] {
        let repository = format!("mirror/{name}");
        assert_arrived(&destination, &repository, "1-x", &image(name));
        assert_arrived(
            &destination,
            &repository,
            "2-x",
            &image(&format!("{name} 2")),
        );
    }
    assert_arrived(&destination, "core/etcd", "v3-copy", &image("etcd"));
    let repositories = ["core/etcd", "mirror/app", "mirror/tool"];
    assert_eq!(destination.state().repositories(), repositories);
}

#[test]
fn two_tags_for_one_name_fail_with_both() {
    let (source, destination) = (registry(), registry());
    source.push("app", Some("v1.0"), &image("a"));
    source.push("app", Some("v1.1"), &image("b"));
    let rules = "  - {from: SRC/app, tags: '/^v([0-9]+)/', to: 'DST/{name}:{1}'}\n";
    let place = Place::new().file("sync.yaml", &file(&source, &destination, rules));
    let run = place.run(&["--config", "sync.yaml"]).exits(1);
    let (from, to) = (source.host(), destination.host());
    run.says(&format!(
        "cannot write {from}/app:v1.1 (rule {from}/app (sync.yaml:6)) to {to}/app:1: rule {from}/app (sync.yaml:6) writes another image to this tag, {from}/app:v1.0"
    ));
    assert_arrived(&destination, "app", "1", &image("a"));
}

#[test]
fn an_image_without_a_legal_name_fails_alone_and_is_not_listed() {
    let (source, destination) = (registry(), registry());
    source.push("app", Some("v"), &image("a"));
    source.push("app", Some("v1"), &image("b"));
    let rules = "  - {from: SRC/app, to: 'DST/{name}:{tag|strip:v}'}\n";
    let place = Place::new().file("sync.yaml", &file(&source, &destination, rules));
    let flags = ["--config", "sync.yaml", "--failed-images", "failed.yaml"];
    let run = place.run(&flags).exits(1);
    run.says("cannot name v by {tag|strip:v}: `` is not a tag: it is empty");
    assert_arrived(&destination, "app", "1", &image("b"));
    // Without the template, it would be copied to a name that the rule does not give it.
    assert!(!place.read("failed.yaml").contains("app"));
}

#[test]
fn patterns_become_destinations_and_collisions_are_named() {
    let (source, destination) = (registry(), registry());
    let names = ["team-a/b-c", "team-a-b/c", "team-a/tmp-1", "other/x"];
    for name in names {
        source.push(name, Some("v1"), &image(name));
    }
    let rules = r#"  - name: teams
    from: SRC/team-*/**
    except: "**/tmp-*"
    to: ["DST/flat/{repository|strip:team-|flatten}", "DST/{host}/{repository}"]
  - {name: one, from: SRC/other/*, tags: v*, to: {repository: "DST/all", tag: "{repository|flatten}-{tag}"}}
"#;
    let place = Place::new().file("sync.yaml", &file(&source, &destination, rules));
    let (from, to) = (source.host(), destination.host());
    place
        .run(&["--config", "sync.yaml"])
        .exits(1)
        .says(&format!(
            "{to}/flat/a-b-c gets two sources, {from}/team-a-b/c and {from}/team-a/b-c."
        ));
    assert_arrived(&destination, "flat/a-b-c", "v1", &image("team-a-b/c"));
    assert_arrived(&destination, "all", "other-x-v1", &image("other/x"));
    let repositories = ["127.0.0.1/team-a-b/c", "all", "flat/a-b-c"];
    assert_eq!(destination.state().repositories(), repositories);
}

#[test]
fn mistakes_are_found_before_any_request() {
    let (source, destination) = (registry(), registry());
    let rules = r#"  - {name: a, from: SRC/team/*, to: ["DST/all", "SRC/{repository}", "DST/{nmae}"]}
  - {name: b, from: [SRC/a/x, SRC/b/x], to: "DST/{name}"}
  - {name: c, from: SRC/x, to: "DST/{tag}"}
"#;
    let place = Place::new().file("sync.yaml", &file(&source, &destination, rules));
    let (from, to) = (source.host(), destination.host());
    place
        .run(&["--config", "sync.yaml"])
        .exits(2)
        .says("unknown name {nmae}. Did you mean {name}? The names are {repository}, {name}, {namespace}, {host}, {registry}, {date}, {tag} or {1} to {9}.")
        .says(&format!(
            "{to}/x gets two sources, {from}/a/x and {from}/b/x. Give them different destinations, such as {{repository}} in the template."
        ))
        .says("a repository cannot depend on the tag. Write {tag} after a colon behind the repository.");
    assert_eq!(source.requests().len() + destination.requests().len(), 0);
}
