//! Images of layouts, with skopeo as another program that writes them.

use std::process::Command;

use serde_json::Value;
use testkit::real::DockerRegistry;
use testkit::{Image, Profile, Registry};

use super::real_push;
use crate::support::{Place, image, index};

const SBOM: &str = "application/spdx+json";

/// Runs a program in the directory of `place`.
fn run(place: &Place, program: &str, arguments: &[&str]) {
    let mut command = Command::new(program);
    command.current_dir(place.path("")).args(arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

/// Copies two tags of one index with an SBOM, and a chart, into the layout `store` of `place`.
fn stored() -> (Place, Image, Image) {
    let registry = Registry::builder()
        .profile(Profile::strict())
        .start_on_thread();
    let place = Place::new();
    let (multi, chart) = (index("multi"), Image::helm_chart("app", "1.0.0"));
    for tag in ["v1", "v2"] {
        registry.push("team/app", Some(tag), &multi);
    }
    registry.push("team/app", None, &Image::referrer_of(&multi, SBOM, "sbom"));
    registry.push("team/app", Some("chart"), &chart);
    let host = registry.host();
    for (tag, name) in [
        ("v1", "quay.io/team/app:v1"),
        ("v2", "quay.io/team/app:v2"),
        ("chart", "ghcr.io/charts/app:1.0.0"),
    ] {
        let (source, destination) = (
            format!("{host}/team/app:{tag}"),
            format!("oci:store#{name}"),
        );
        place
            .run(&["copy", &source, &destination, "--insecure", &host])
            .exits(0);
    }
    (place, multi, chart)
}

/// Returns the first fields of all lines.
fn names(stdout: &str) -> Vec<&str> {
    stdout
        .lines()
        .map(|line| line.split('\t').next().unwrap())
        .collect()
}

#[test]
fn every_field_of_the_json_is_described() {
    let (place, ..) = stored();
    let outcome = place.run(&[
        "tags",
        "oci:store#quay.io/team/app:v1,v9",
        "--output",
        "json",
    ]);
    let images: Vec<Value> = serde_json::from_str(&outcome.exits(1).stdout).unwrap();
    let document =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/tags.md")).unwrap();
    let described = |value: &Value| {
        for (key, value) in value.as_object().unwrap() {
            assert!(document.contains(&format!("`{key}`")), "{key}");
            let items = value.as_array().into_iter().flatten();
            for (key, _) in items.flat_map(|item| item.as_object().unwrap()) {
                assert!(document.contains(&format!("`{key}`")), "{key}");
            }
        }
    };
    assert_eq!(images.len(), 2);
    images.iter().for_each(described);
}

#[test]
fn a_layout_shows_all_details_and_its_referrers_are_counted() {
    let (place, multi, chart) = stored();
    let outcome = place.run(&["tags", "oci:store"]).exits(0);
    let lines: Vec<Vec<&str>> = outcome
        .stdout
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    let three = "linux/amd64,linux/arm64,linux/s390x";
    let helm = "application/vnd.cncf.helm.config.v1+json";
    for (line, name, image, content) in [
        (&lines[0], "quay.io/team/app:v1", &multi, three),
        (&lines[1], "quay.io/team/app:v2", &multi, three),
        (&lines[2], "ghcr.io/charts/app:1.0.0", &chart, helm),
    ] {
        assert_eq!(line[..3], [name, image.digest(), content]);
        assert!(line[3].parse::<u64>().unwrap() > image.blob_bytes());
        assert_eq!(line[4..], ["-"]);
    }
    assert_eq!(lines.len(), 3, "{}", outcome.stdout);
    let json = place
        .run(&["tags", "oci:store#*:v1", "--output", "json"])
        .exits(0);
    let images: Vec<Value> = serde_json::from_str(&json.stdout).unwrap();
    let [image] = &images[..] else {
        panic!("{}", json.stdout)
    };
    assert_eq!(image["source"], "oci:store#quay.io/team/app:v1");
    assert_eq!(image["referrers"][0]["artifact_type"], SBOM);
    assert_eq!(image["referrers"].as_array().unwrap().len(), 1);
    // What the list names can be copied.
    let source = image["source"].as_str().unwrap();
    place.run(&["copy", source, "oci:other"]).exits(0);
    let names_alone = place.run(&["tags", "oci:other", "--names"]).exits(0);
    assert_eq!(names_alone.stdout, "quay.io/team/app:v1\n");
}

#[test]
fn names_globs_and_repositories_select_images() {
    let (place, ..) = stored();
    let (v1, v2, chart) = (
        "quay.io/team/app:v1",
        "quay.io/team/app:v2",
        "ghcr.io/charts/app:1.0.0",
    );
    for (text, expected) in [
        ("oci:store", &[v1, v2, chart][..]),
        ("oci:store#*", &[v1, v2, chart]),
        ("oci:store#{quay,ghcr}.io/*1*", &[v1, chart]),
        ("oci:store#quay.io/team/app", &[v1, v2]),
        ("oci:store#quay.io/team/app:v2", &[v2]),
        ("oci:store#quay.io/team/app:/1$/", &[v1]),
        ("oci:store#quay.io/*/*:/2$/", &[v2]),
        ("oci:store:quay.io/team/app:v2", &[v2]),
    ] {
        let outcome = place.run(&["tags", text]).exits(0);
        assert_eq!(names(&outcome.stdout), expected, "{text}");
    }
    place
        .run(&["tags", "oci:store#docker.io/*"])
        .exits(0)
        .says("oci:store#docker.io/*: no image");
    let missing = place.run(&["tags", "oci:none"]).exits(1);
    missing.says("error: oci:none: cannot open the layout at oci:none: there is no such directory");
}

#[test]
fn a_damaged_image_is_a_row_with_its_reason() {
    let (place, multi, chart) = stored();
    let blob = |digest: &str| place.path(&format!("store/blobs/{}", digest.replace(':', "/")));
    std::fs::write(blob(chart.digest()), "{}").unwrap();
    let arm = &multi.manifests()[1].digest;
    std::fs::remove_file(blob(arm)).unwrap();
    let outcome = place.run(&["tags", "oci:store"]).exits(1);
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    let platform = "there is no such file";
    assert!(
        lines[0].contains("\terror: ") && lines[0].contains(platform),
        "{}",
        lines[0]
    );
    assert!(
        lines[0].contains("linux/amd64,linux/arm64,linux/s390x\t-\t"),
        "{}",
        lines[0]
    );
    let damaged = format!(
        "ghcr.io/charts/app:1.0.0\t{}\t-\t-\t-\terror: ",
        chart.digest()
    );
    assert!(
        lines[2].starts_with(&damaged) && lines[2].contains("it is damaged"),
        "{}",
        lines[2]
    );
    outcome.says("error: 3 of 3 images could not be read.");
}

#[test]
fn layouts_of_skopeo_have_bare_tags_and_images_without_a_name() {
    testkit::needs!("skopeo", "docker-registry");
    let registry = DockerRegistry::builder().start().unwrap();
    let place = Place::new();
    let (multi, single) = (index("multi"), image("single"));
    for (tag, image) in [("multi", &multi), ("single", &single)] {
        real_push(&registry, "a", tag, image);
    }
    for (tag, target) in [
        ("single", "oci:theirs"),
        ("multi", "oci:theirs:v1"),
        ("multi", "oci:theirs:quay.io/team/app:v2"),
    ] {
        let source = format!("docker://{}/a:{tag}", registry.host());
        let all = [
            "copy",
            "--all",
            "--src-tls-verify=false",
            "--insecure-policy",
        ];
        run(&place, "skopeo", &[&all[..], &[&source, target]].concat());
    }
    let outcome = place
        .run(&["tags", "oci:theirs", "--output", "json"])
        .exits(0);
    let images: Vec<Value> = serde_json::from_str(&outcome.stdout).unwrap();
    let unnamed = format!("@{}", single.digest());
    let named: Vec<_> = images
        .iter()
        .map(|it| (it["name"].as_str().unwrap(), it["digest"].as_str().unwrap()))
        .collect();
    assert_eq!(
        named,
        [
            ("v1", multi.digest()),
            ("quay.io/team/app:v2", multi.digest()),
            (unnamed.as_str(), single.digest()),
        ]
    );
    assert_eq!(images[0]["source"], "oci:theirs#:v1");
    assert!(images[0].get("repository").is_none());
    assert_eq!(images[2]["platforms"][0]["platform"], "linux/amd64");
    // What the list names can be listed again.
    for (image, name) in [(&images[0], "v1"), (&images[2], unnamed.as_str())] {
        let source = image["source"].as_str().unwrap();
        let outcome = place.run(&["tags", source]).exits(0);
        assert_eq!(names(&outcome.stdout), [name], "{source}");
    }
    let outcome = place.run(&["tags", "oci:theirs:v1"]).exits(0);
    assert_eq!(names(&outcome.stdout), ["v1"]);
}
