//! Images of every shape and rules of every form arrive whole and unchanged.

use testkit::{Image, Layer};

use crate::support::{Outcome, Place, World, assert_arrived, image, index, insecure, registry};

fn two() -> World {
    World::new("")
}

/// Runs rules without records, and asserts that no request broke the specification.
fn run(two: &World, rules: &str, arguments: &[&str]) -> Outcome {
    two.set_rules(rules);
    let outcome = two.run(&[&["--no-records"], arguments].concat());
    two.has_no_problems();
    assert_eq!(outcome.stdout, "");
    outcome
}

#[test]
fn a_single_image() {
    let two = two();
    let image = image("a");
    two.source.push("team/app", Some("v1"), &image);
    run(&two, "SRC/team/app:v1: DST/mirror/app\n", &[])
        .exits(0)
        .says("1 image: 1 copied, 0 unchanged, 0 skipped, 0 failed");
    two.arrived("mirror/app", "v1", &image);
}

#[test]
fn a_docker_image_whose_manifest_is_written_over_many_lines() {
    let two = two();
    let image = Image::docker().layer(Layer::tar("a", 500)).pretty().build();
    two.source.push("a", Some("v1"), &image);
    run(&two, "SRC/a:v1: DST/a\n", &[]).exits(0);
    two.arrived("a", "v1", &image);
}

#[test]
fn an_index_with_all_its_platforms() {
    let two = two();
    let index = index("a");
    two.source.push("a", Some("v1"), &index);
    run(&two, "SRC/a:v1: DST/a\n", &[]).exits(0);
    two.arrived("a", "v1", &index);
}

#[test]
fn a_helm_chart() {
    let two = two();
    let chart = Image::helm_chart("app", "1.2.3");
    two.source.push("charts/app", Some("1.2.3"), &chart);
    run(&two, "SRC/charts/app:1.2.3: DST/charts/app\n", &[]).exits(0);
    two.arrived("charts/app", "1.2.3", &chart);
}

#[test]
fn every_tag_of_a_repository() {
    let two = two();
    for tag in ["v1", "v2", "latest"] {
        two.source.push("a", Some(tag), &image(tag));
    }
    run(&two, "SRC/a: DST/b\n", &[])
        .exits(0)
        .says("3 images: 3 copied");
    for tag in ["v1", "v2", "latest"] {
        two.arrived("b", tag, &image(tag));
    }
}

#[test]
fn tags_that_match_an_expression() {
    let two = two();
    for tag in ["v1.0", "v1.1", "v2.0", "nightly-v1"] {
        two.source.push("a", Some(tag), &image(tag));
    }
    run(&two, "SRC/a:/^v1\\./: DST/a\n", &[]).exits(0);
    assert_eq!(two.tags("a"), ["v1.0", "v1.1"]);
}

#[test]
fn renamed_tags() {
    let two = two();
    for tag in ["v1", "v2"] {
        two.source.push("a", Some(tag), &image(tag));
    }
    run(&two, "SRC/a:v1,v2: DST/a:old,new\n", &[]).exits(0);
    two.arrived("a", "old", &image("v1"));
    two.arrived("a", "new", &image("v2"));
    assert_eq!(two.tags("a"), ["new", "old"]);
}

#[test]
fn an_image_by_its_digest() {
    let two = two();
    let image = image("a");
    let digest = two.source.push("a", None, &image);
    let rules =
        format!("SRC/a@{digest}: [DST/plain, 'DST/tagged:v9']\nSRC/a:v1@{digest}: DST/kept\n");
    run(&two, &rules, &[]).exits(0).says("3 copied");
    two.arrived("plain", &digest, &image);
    two.arrived("tagged", "v9", &image);
    two.arrived("kept", "v1", &image);
    assert!(two.tags("plain").is_empty());
}

#[test]
fn many_destinations() {
    let two = two();
    let third = registry();
    let image = image("a");
    two.source.push("a", Some("v1"), &image);
    let rules = format!("SRC/a:v1: [DST/one, DST/two, {}/three]\n", third.host());
    let auth = insecure(&[&two.source, &two.destination, &third]);
    let place = Place::new().file("auth.yaml", &auth).file(
        "images.yaml",
        &rules
            .replace("SRC", &two.source.host())
            .replace("DST", &two.destination.host()),
    );
    place
        .run(&["--images", "images.yaml", "--auth", "auth.yaml"])
        .exits(0)
        .says("3 copied");
    two.arrived("one", "v1", &image);
    two.arrived("two", "v1", &image);
    assert_arrived(&third, "three", "v1", &image);
}

#[test]
fn only_the_selected_platforms() {
    let two = two();
    two.source.push("a", Some("v1"), &index("a"));
    run(
        &two,
        "SRC/a:v1: DST/a\n",
        &["--os", "linux", "--arch", "amd64,arm64"],
    )
    .exits(0)
    .says(", as a filtered index");
    two.destination.verify_complete("a", "v1").unwrap();
    // The new index and two of the three children.
    assert_eq!(two.destination.state().manifests("a").len(), 3);
}

#[test]
fn a_second_run_copies_nothing() {
    let two = two();
    two.source.push("a", Some("v1"), &index("a"));
    let rules = "SRC/a: DST/a\n";
    run(&two, rules, &[]).exits(0).says("1 copied");
    let again = run(&two, rules, &["-v"])
        .exits(0)
        .says("0 copied, 1 unchanged");
    assert_eq!(again.lines("unchanged").len(), 1);
}

#[test]
fn force_pushes_unchanged_images_again() {
    let two = two();
    two.source.push("a", Some("v1"), &image("a"));
    let rules = "SRC/a:v1: DST/a\n";
    run(&two, rules, &[]).exits(0);
    run(&two, rules, &["--force=false"])
        .exits(0)
        .says("1 unchanged");
    run(&two, rules, &["--force"]).exits(0).says("1 copied");
}

#[test]
fn one_transfer_at_a_time_is_enough() {
    let two = two();
    for tag in ["v1", "v2", "v3"] {
        two.source.push("a", Some(tag), &index(tag));
    }
    run(&two, "SRC/a: [DST/a, DST/b]\n", &["--proc", "1"])
        .exits(0)
        .says("6 copied");
    run(&two, "SRC/a: [DST/a, DST/b]\n", &["--proc", "-3"])
        .exits(0)
        .says("6 unchanged");
}

/// Returns `image` with sizes in its manifest changed by `wrong`, and 0 as the size of the config.
fn with_wrong_sizes(image: &Image, wrong: impl Fn(u64) -> u64) -> Image {
    let mut document = image.root().json();
    document["config"]["size"] = 0.into();
    for layer in document["layers"].as_array_mut().unwrap() {
        layer["size"] = wrong(layer["size"].as_u64().unwrap()).into();
    }
    let root = testkit::Manifest::new(&image.root().media_type, document.to_string());
    Image::of_parts(image.blobs().to_vec(), vec![root.clone()], root)
}

#[test]
fn wrong_sizes_in_manifests_are_reported_and_the_digest_decides() {
    let two = two();
    let images = [
        ("less", with_wrong_sizes(&image("less"), |size| size - 1)),
        ("more", with_wrong_sizes(&image("more"), |size| size + 1)),
        ("none", with_wrong_sizes(&image("none"), |_| 0)),
    ];
    for (tag, image) in &images {
        two.source.push("app", Some(tag), image);
    }
    let rules = "SRC/app: [DST/one, DST/two]\n";
    let outcome = run(&two, rules, &[])
        .exits(0)
        .says("\n3 images to 2 destinations, 6 copies: 6 copied, ");
    assert_eq!(outcome.lines("warning").len(), 3, "{}", outcome.stderr);
    for (tag, image) in &images {
        let source = format!("{}/app:{tag}", two.source.host());
        outcome.says_once(&format!("{source}: its manifest states wrong sizes: "));
        for repository in ["one", "two"] {
            let stored = two.destination.state().manifest(repository, tag).unwrap();
            assert_eq!(stored.1, image.root().bytes);
            for blob in image.blobs() {
                let stored = two.destination.state().blob(repository, blob.digest());
                assert!(stored == blob.bytes(), "{repository}:{tag}");
            }
        }
    }
    run(&two, rules, &["--verify"])
        .exits(0)
        .says(", 6 copies: 0 copied, 6 unchanged");
}
