//! Destinations of rules: collisions, places of mistakes, and limits of Harbor.

use super::*;

#[test]
fn two_listed_sources_of_a_rule_have_destinations_of_their_own() {
    insta::assert_snapshot!(rule_mistakes("  - {from: [q.io/a/app, q.io/b/app], to: \"r.example/{name}\"}\n"), @r#"
    file.yaml:3:25: r.example/app gets two sources, q.io/a/app and q.io/b/app. Give them different destinations, such as {repository} in the template.
      |
    3 |   - {from: [q.io/a/app, q.io/b/app], to: "r.example/{name}"}
      |                         ^^^^^^^^^^
    "#);
    // Two rules may fill one repository, and named tags are compared one by one.
    assert_eq!(
        rules(
            "  - {from: q.io/a/app, to: \"r.example/{name}\"}\n  - {from: q.io/b/app, tags: \"v*\", to: \"r.example/{name}\"}\n  - {name: n, from: [q.io/a/x:v1, q.io/b/x:v2], to: \"r.example/{name}\"}\n"
        )
        .len(),
        4
    );
}

#[test]
fn a_wrong_destination_of_a_pattern_has_its_place() {
    insta::assert_snapshot!(rule_mistakes("  - from: q.io/team/*\n    to:\n      - r.example/{name}\n      - r.example/all\n      - {repository: \"docker.io/me/{repository}\"}\n"), @r#"
    file.yaml:6:9: r.example/all: all repositories of q.io/team/* go there, such as q.io/team/x and q.io/team/y. Write {repository} in the destination.
      |
    6 |       - r.example/all
      |         ^^^^^^^^^^^^^

    file.yaml:7:22: no destination docker.io/me/{repository} for q.io/team/x: a repository of Docker Hub has no more than 2 components (namespace/name), and me/team/x has 3 components.
      |
    7 |       - {repository: "docker.io/me/{repository}"}
      |                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn harbor_needs_a_project() {
    let file = "version: 1\nrules:\n  - {from: q.io/team/*, to: \"h.example/{name}\"}\n  - {from: q.io/app, to: h.example/app}\n  - {from: q.io/x, to: h.example/p/x}\nregistries:\n  h.example: {list: harbor}\n";
    insta::assert_snapshot!(mistakes(file), @r#"
    file.yaml:3:5: no destination h.example/{name} for q.io/team/x: a repository of Harbor has at least 2 components (project/name), and x has 1 component.
      |
    3 |   - {from: q.io/team/*, to: "h.example/{name}"}
      |     ^

    file.yaml:4:12: h.example/app: a repository of Harbor has at least 2 components (project/name), and app has 1 component.
      |
    4 |   - {from: q.io/app, to: h.example/app}
      |            ^^^^^^^^
    "#);
    read(&file.replace("list: harbor", "list: catalog"));
}
