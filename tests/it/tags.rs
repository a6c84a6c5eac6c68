//! `image-syncer tags`: the tags of a repository.

use testkit::Registry;

use crate::support::{Place, image, insecure, registry};

fn place(registry: &Registry) -> Place {
    Place::new().file("auth.yaml", &insecure(&[registry]))
}

#[test]
pub(crate) fn a_list_of_names_has_a_line_for_each_tag() {
    let source = registry();
    for tag in ["v1", "v2", "latest"] {
        source.push("team/app", Some(tag), &image(tag));
    }
    let place = place(&source);
    let name = format!("{}/team/app", source.host());
    let outcome = place.run(&["tags", &name, "--auth", "auth.yaml"]).exits(0);
    assert_eq!(outcome.stdout, "latest\t-\t-\nv1\t-\t-\nv2\t-\t-\n");
    assert_eq!(outcome.stderr, "");
    let matching = format!("{name}:/^v/");
    let outcome = place
        .run(&[
            "tags",
            &matching,
            "--insecure",
            &source.host(),
            "--output",
            "json",
        ])
        .exits(0);
    assert_eq!(
        outcome.stdout,
        "[\n{\"tag\":\"v1\"},\n{\"tag\":\"v2\"}\n]\n"
    );
    let none = format!("{name}:/^x/");
    let outcome = place
        .run(&["tags", &none, "--auth", "auth.yaml", "--output", "json"])
        .exits(0);
    assert_eq!(outcome.stdout, "[]\n");
    outcome.says(&format!("warning: {name}: no tag"));
}

#[test]
fn a_repository_that_cannot_be_listed_is_named() {
    let source = registry();
    let place = place(&source);
    let name = format!("{}/missing", source.host());
    let outcome = place.run(&["tags", &name, "--auth", "auth.yaml"]).exits(1);
    assert_eq!(outcome.stdout, "");
    outcome.says(&format!("error: {name}: "));
    let digest = format!("{name}@sha256:{}", "0".repeat(64));
    place.run(&["tags", &digest]).exits(2).says(&format!(
        "names one image by its digest. Write {name} for the tags of the repository."
    ));
}
