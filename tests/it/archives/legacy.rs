//! Archives of `docker save` before Docker 25, which have no manifests.

use serde_json::{Value, json};

use super::{copy, run};
use crate::support::{Place, registry};

/// Writes the archive `saved.tar` with two images that share a layer: the first has two names, the second none.
fn save(place: &Place) {
    let script = "mkdir -p base top && echo base > a && echo top > b && \
                  tar --mtime=@0 --owner=0 --group=0 --numeric-owner -cf base/layer.tar a && \
                  tar --mtime=@0 --owner=0 --group=0 --numeric-owner -cf top/layer.tar b";
    run(place, "sh", &["-c", script]);
    let diff_id = |layer: &str| testkit::digest::sha256(&super::bytes(place, layer));
    let config = |layers: &[&str]| {
        let ids: Vec<String> = layers.iter().map(|layer| diff_id(layer)).collect();
        json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ids}})
    };
    let (base, top) = ("base/layer.tar", "top/layer.tar");
    let write = |name: &str, content: &Value| {
        std::fs::write(place.path(name), content.to_string()).unwrap();
    };
    write("one.json", &config(&[base, top]));
    write("two.json", &config(&[base]));
    let images = json!([
        {"Config": "one.json", "RepoTags": ["app:v1", "quay.io/team/app:v1"], "Layers": [base, top]},
        {"Config": "two.json", "RepoTags": null, "Layers": [base]},
    ]);
    write("manifest.json", &images);
    write("repositories", &json!({"app": {"v1": "top"}}));
    let entries = [
        "-cf",
        "saved.tar",
        "base",
        "top",
        "one.json",
        "two.json",
        "manifest.json",
        "repositories",
    ];
    run(place, "tar", &entries);
}

#[test]
fn images_of_an_old_docker_are_copied_with_the_same_digests_each_time() {
    let (registry, place) = (registry(), Place::new());
    save(&place);
    let listed = place
        .run(&["tags", "docker-archive:saved.tar"])
        .exits(0)
        .stdout;
    let names: Vec<&str> = listed
        .lines()
        .map(|line| line.split('\t').next().unwrap())
        .collect();
    assert_eq!(
        names[..2],
        ["docker.io/library/app:v1", "quay.io/team/app:v1"]
    );
    assert!(names[2].contains("@sha256:"), "{names:?}");
    let to = ["--to", "REG/in/"];
    let all = [&["docker-archive:saved.tar#*"], &to[..]].concat();
    copy(&place, &registry, &all)
        .exits(0)
        .says("docker-archive:saved.tar has no manifests. They are made from manifest.json")
        .says("2 copied");
    for repository in ["in/library/app", "in/team/app"] {
        registry.verify_complete(repository, "v1").unwrap();
    }
    copy(&place, &registry, &all).exits(0).says("2 unchanged");
    // A compressed file has the same images, and `oci-archive` reads it too.
    run(&place, "gzip", &["saved.tar"]);
    let packed = [&["oci-archive:saved.tar.gz#*"], &to[..]].concat();
    copy(&place, &registry, &packed)
        .exits(0)
        .says("2 unchanged");
    let unnamed = names[2].rsplit_once('@').unwrap().1;
    let source = format!("docker-archive:saved.tar.gz#@{unnamed}");
    copy(&place, &registry, &[&source, "REG/unnamed:v1"]).exits(0);
    registry.verify_complete("unnamed", "v1").unwrap();
}

#[test]
fn an_image_of_a_classic_file_comes_from_an_old_archive() {
    let (registry, place) = (registry(), Place::new());
    save(&place);
    let host = registry.host();
    let place = place
        .file(
            "images.yaml",
            &format!("docker-archive:saved.tar#app:v1: {host}/app\n"),
        )
        .file("auth.yaml", &format!("{host}: {{insecure: true}}\n"));
    let files = ["--images", "images.yaml", "--auth", "auth.yaml"];
    place.run(&files).exits(0).says("1 copied");
    registry.verify_complete("app", "v1").unwrap();
    let outcome = place.run(&files).exits(0);
    outcome.says_once("1 unchanged");
}
