//! Images from and to OCI layouts, with skopeo as the judge.

use std::process::Command;

use testkit::{Action, Fault, Gate, Image, Kind, Layer, Profile, Registry};

use crate::support::{PATIENCE, Place, assert_arrived, image, index, insecure, registry};

const SBOM: &str = "application/spdx+json";

/// Copies `source` to `destination`, from or to `registry`.
fn copy(
    place: &Place,
    registry: &Registry,
    source: &str,
    destination: &str,
) -> crate::support::Outcome {
    let host = registry.host();
    let text = |text: &str| text.replace("REG", &host);
    let (source, destination) = (text(source), text(destination));
    place.run(&["copy", &source, &destination, "--insecure", &host])
}

/// Runs skopeo in the directory of `place` and returns its output.
fn skopeo(place: &Place, arguments: &[&str]) -> String {
    let mut command = Command::new("skopeo");
    command.current_dir(place.path("")).args(arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn images_go_to_a_layout_that_skopeo_reads_and_back() {
    testkit::needs!("skopeo");
    let registry = Registry::builder()
        .profile(Profile::strict())
        .start_on_thread();
    let place = Place::new();
    let (single, multi) = (image("single"), index("multi"));
    let chart = Image::helm_chart("app", "1.0.0");
    registry.push("team/app", Some("single"), &single);
    registry.push("team/app", Some("multi"), &multi);
    registry.push("team/app", Some("chart"), &chart);
    registry.push("team/app", None, &Image::referrer_of(&multi, SBOM, "sbom"));
    let rules = "REG/team/app: oci:store\n".replace("REG", &registry.host());
    let place = place
        .file("images.yaml", &rules)
        .file("auth.yaml", &insecure(&[&registry]));
    let sync = ["--images", "images.yaml", "--auth", "auth.yaml"];
    place.run(&sync).exits(0).says("3 copied");
    for (tag, image) in [("single", &single), ("multi", &multi), ("chart", &chart)] {
        let name = format!("oci:store:{}/team/app:{tag}", registry.host());
        let raw = skopeo(&place, &["inspect", "--raw", &name]);
        assert_eq!(raw.as_bytes(), image.root().bytes, "{tag}");
        let target = format!("dir:copy-{tag}");
        skopeo(
            &place,
            &["copy", "--all", "--insecure-policy", &name, &target],
        );
    }
    let before = place.read("store/index.json");
    place.run(&sync).exits(0).says("3 unchanged");
    assert_eq!(place.read("store/index.json"), before);

    let source = "oci:store#REG/team/app".replace("REG", &registry.host());
    let (host, back) = (registry.host(), format!("{}/back", registry.host()));
    place
        .run(&["copy", "--all-tags", &source, &back, "--insecure", &host])
        .exits(0)
        .says("3 copied");
    for (tag, image) in [("single", &single), ("multi", &multi), ("chart", &chart)] {
        assert_arrived(&registry, "back", tag, image);
    }
    let sbom = Image::referrer_of(&multi, SBOM, "sbom");
    assert!(registry.state().manifest("back", sbom.digest()).is_some());
}

#[test]
fn layouts_of_skopeo_are_sources() {
    testkit::needs!("skopeo");
    let (registry, place) = (registry(), Place::new());
    let image = index("multi");
    registry.push("a", Some("v1"), &image);
    let source = format!("docker://{}/a:v1", registry.host());
    for target in ["oci:theirs:v1", "oci:theirs:quay.io/team/app:v2"] {
        let all = [
            "copy",
            "--all",
            "--src-tls-verify=false",
            "--insecure-policy",
        ];
        skopeo(&place, &[&all[..], &[&source, target]].concat());
    }
    for (source, tag) in [
        ("oci:theirs:v1", "skopeo"),
        ("oci:theirs#any/name:v1", "bare"),
        ("oci:theirs#quay.io/team/app:v2", "full"),
        ("oci:theirs:quay.io/team/app:v2", "both"),
    ] {
        let destination = format!("REG/b:{tag}");
        copy(&place, &registry, source, &destination)
            .exits(0)
            .says("1 copied");
        assert_arrived(&registry, "b", tag, &image);
    }
}

#[test]
fn a_dry_run_and_a_refused_directory_write_nothing() {
    let (registry, place) = (registry(), Place::new());
    registry.push("a", Some("v1"), &image("a"));
    let (source, host) = (format!("{}/a:v1", registry.host()), registry.host());
    let dry = ["copy", &source, "oci:new", "--dry-run", "--insecure", &host];
    let planned = place.run(&dry).exits(0);
    assert!(planned.stdout.contains("1 image: 1 new"), "{planned:?}");
    assert!(!place.path("new").exists());
    std::fs::create_dir(place.path("photos")).unwrap();
    std::fs::write(place.path("photos/one.jpg"), "mine").unwrap();
    copy(&place, &registry, "REG/a:v1", "oci:photos").exits(1).says(
        "cannot open the layout at oci:photos: the directory is not empty and is no OCI layout: it has no file \
         oci-layout. Name a layout, an empty directory, or one that does not exist",
    );
    let files = std::fs::read_dir(place.path("photos")).unwrap();
    assert_eq!(files.count(), 1);
}

#[test]
fn mistakes_are_refused_before_the_run() {
    let (registry, place) = (registry(), Place::new());
    for (source, destination, why) in [
        (
            "oci:#a:v1",
            "REG/a",
            "the path is missing. Write oci:DIRECTORY",
        ),
        ("oci:store#", "REG/a", "the name after the # is missing"),
        (
            "oci:store",
            "REG/a",
            "oci:store names no image: cannot open the layout in oci:store: there is no such directory",
        ),
    ] {
        copy(&place, &registry, source, destination)
            .exits(2)
            .says(why);
    }
}

#[test]
fn a_missing_image_of_a_layout_is_named() {
    let (registry, place) = (registry(), Place::new());
    registry.push("a", Some("v1"), &image("a"));
    copy(&place, &registry, "REG/a:v1", "oci:store#quay.io/a:v1").exits(0);
    copy(&place, &registry, "oci:store#quay.io/a:v2", "REG/b")
        .exits(1)
        .says("1 failed");
    copy(&place, &registry, "oci:none#quay.io/a:v2", "REG/b")
        .exits(1)
        .says("cannot open the layout at oci:none: there is no such directory");
}

#[test]
fn a_killed_run_leaves_a_valid_layout_and_the_next_one_completes_it() {
    let (registry, place) = (registry(), Place::new());
    let layers = [Layer::tar("base", 3_000), Layer::synthetic(1 << 20, 7)];
    let large = Image::single(layers.clone());
    registry.push("a", Some("done"), &image("a"));
    registry.push("a", Some("large"), &large);
    let (host, source) = (registry.host(), format!("{}/a:done,large", registry.host()));
    let body = Gate::new();
    let fault = Fault::on(Kind::BlobGet).reference(layers[1].digest());
    registry.fault(fault, Action::Hold(body.clone()));
    let arguments = ["copy", &source, "oci:store", "--insecure", &host];
    let mut child = place.command(&arguments).spawn().unwrap();
    body.wait(1, PATIENCE).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    body.open();
    place.run(&arguments).exits(0);
    assert_eq!(valid_names(&place), 2);
    let mut files: Vec<String> = std::fs::read_dir(place.path("store"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["blobs", "index.json", "oci-layout"]);
    // A layout that was removed is written again, although the records have its blobs.
    std::fs::remove_dir_all(place.path("store")).unwrap();
    place.run(&arguments).exits(0).says("2 copied");
    assert_eq!(valid_names(&place), 2);
}

/// Checks the digests of all blobs. Returns the number of names.
fn valid_names(place: &Place) -> usize {
    for blob in std::fs::read_dir(place.path("store/blobs/sha256")).unwrap() {
        let path = blob.unwrap().path();
        let found = testkit::digest::sha256(&std::fs::read(&path).unwrap());
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(found, format!("sha256:{name}"));
    }
    let index = place.read("store/index.json");
    index.matches("io.containerd.image.name").count()
}

#[test]
fn a_list_without_images_names_the_others() {
    let (registry, place) = (registry(), Place::new());
    registry.push("a", Some("v1"), &image("a"));
    copy(&place, &registry, "REG/a:v1", "oci:store#quay.io/a:v1").exits(0);
    let place = place.file(
        "images.yaml",
        &format!("oci:store: {}/b\n", registry.host()),
    );
    place
        .run(&["--images", "images.yaml"])
        .exits(1)
        .says(
            "cannot list the images of oci:store at oci:store: the images there have other names: quay.io/a. Write oci:store#quay.io/a",
        );
}

#[test]
fn advice_about_layouts_names_no_registry() {
    let (registry, place) = (registry(), Place::new());
    registry.push("a", Some("v1"), &image("a"));
    copy(
        &place,
        &registry,
        "REG/a:v1",
        "oci:/proc/store#quay.io/a:v1",
    )
    .exits(1)
    .says("hint: check the path: no file or directory can be created there")
    .does_not_say("curl");
    copy(&place, &registry, "oci:none#quay.io/a:v2", "REG/b")
        .exits(1)
        .says("hint: check the path, and the name: image-syncer tags oci:none lists all names");
}
