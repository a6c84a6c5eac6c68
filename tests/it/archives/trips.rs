//! Trips of images from a registry into an archive, and from there into another registry.

use std::fmt::Write as _;

use testkit::real::DockerRegistry;
use testkit::{Image, Layer, Profile, Registry};

use super::{SBOM, bytes, compressed, copy, copy_at, entries, left_over, push, run};
use crate::support::{Outcome, Place, assert_arrived, image, index, insecure, registry};

/// Images of one platform, which both forms of archives hold.
fn single_images(place: &Place) -> Vec<(&'static str, Image)> {
    let docker = Image::docker()
        .layer(Layer::tar("docker", 4_000))
        .pretty()
        .build();
    vec![
        ("gzip", compressed(place, "gzip")),
        ("plain", compressed(place, "plain")),
        ("zstd", compressed(place, "zstd")),
        ("docker", docker),
        ("around-one", Image::index([image("one")])),
    ]
}

/// Images that a `docker-archive` has no place for.
fn other_images() -> Vec<(&'static str, Image)> {
    let list = Image::list([
        Image::docker().layer(Layer::tar("list", 2_000)).build(),
        Image::docker()
            .platform(testkit::Platform::linux("arm64"))
            .layer(Layer::tar("other", 2_000))
            .build(),
    ]);
    vec![
        ("index", index("multi")),
        ("list", list),
        ("nested", Image::index([index("inner"), image("beside")])),
        ("chart", Image::helm_chart("app", "1.0.0")),
    ]
}

/// Copies `images` of Debian's registry into `archive`, the file into another directory, and from there into another
/// registry. All digests are equal.
fn travel(archive: &str, images: &[(&str, Image)]) {
    let (inside, outside) = (start(), start());
    let place = Place::new();
    let mut rules = String::new();
    for (name, image) in images {
        push(&outside, name, "v1", image);
        let host = outside.host();
        writeln!(rules, "{host}/{name}:v1: {archive}:images.tar").unwrap();
    }
    let login = format!("{}: {{insecure: true}}\n", outside.host());
    let place = place.file("images.yaml", &rules).file("auth.yaml", &login);
    let files = ["--images", "images.yaml", "--auth", "auth.yaml"];
    let count = images.len();
    let copied = format!("{count} images: {count} copied, 0 unchanged, 0 skipped, 0 failed");
    let first: Outcome = place.run(&files).exits(0).says(&copied);
    assert!(!first.stderr.contains("warning"), "{}", first.stderr);
    assert_eq!(left_over(&place), [""; 0]);
    let other = Place::new();
    std::fs::rename(place.path("images.tar"), other.path("carried.tar")).unwrap();
    for (name, image) in images {
        let source = format!("{archive}:carried.tar:{}/{name}:v1", outside.host());
        // skopeo makes a manifest of its own from what Docker reads, and finds no manifest of Docker in an OCI archive.
        if archive == "oci-archive" && !image.root().media_type.contains("docker") {
            let raw = run(&other, "skopeo", &["inspect", "--raw", &source]);
            assert_eq!(raw, image.root().bytes, "{name}");
        } else if archive == "docker-archive" {
            run(&other, "skopeo", &["inspect", &source]);
        }
    }
    let source = format!("{archive}:carried.tar#*");
    copy_at(&other, &inside.host(), &[&source, "--to", "REG/in/"])
        .exits(0)
        .says(&copied);
    for (name, image) in images {
        let arrived = format!("docker://{}/in/{name}:v1", inside.host());
        let options = ["inspect", "--raw", "--tls-verify=false", &arrived];
        let raw = run(&other, "skopeo", &options);
        assert_eq!(raw, image.root().bytes, "{name}");
    }
}

fn start() -> DockerRegistry {
    DockerRegistry::builder().start().unwrap()
}

#[test]
fn images_of_all_forms_travel_in_an_oci_archive() {
    testkit::needs!("docker-registry", "skopeo", "zstd");
    let place = Place::new();
    let images = [single_images(&place), other_images()].concat();
    travel("oci-archive", &images);
}

#[test]
fn images_of_one_platform_travel_in_a_docker_archive() {
    testkit::needs!("docker-registry", "skopeo", "zstd");
    travel("docker-archive", &single_images(&Place::new()));
}

#[test]
fn a_docker_archive_refuses_what_docker_cannot_load() {
    let (registry, place) = (registry(), Place::new());
    for (name, image) in other_images() {
        registry.push(name, Some("v1"), &image);
    }
    for (name, why) in [
        (
            "index",
            "docker-archive holds images of one platform, and this one has 3: linux/amd64, linux/arm64, linux/s390x. \
             Write oci-archive:d.tar, or choose one with --os linux --arch amd64",
        ),
        (
            "chart",
            "it is no image but an artifact, which docker-archive cannot name. Write oci-archive:d.tar",
        ),
    ] {
        let source = format!("REG/{name}:v1");
        copy(&place, &registry, &[&source, "docker-archive:d.tar"])
            .exits(1)
            .says(why);
        assert!(!place.path("d.tar").exists());
    }
    let one = [
        "REG/index:v1",
        "docker-archive:d.tar#quay.io/team/app:v1",
        "--arch",
        "arm64",
    ];
    copy(&place, &registry, &one).exits(0).says("1 copied");
    copy(
        &place,
        &registry,
        &["docker-archive:d.tar#quay.io/team/app:v1", "REG/back"],
    )
    .exits(0);
    registry.verify_complete("back", "v1").unwrap();
}

#[test]
fn an_archive_of_docker_stays_one() {
    let (registry, place) = (registry(), Place::new());
    for tag in ["v1", "v2"] {
        registry.push("a", Some(tag), &image(tag));
    }
    registry.push("a", Some("multi"), &index("multi"));
    let copy = |tag: &str, archive: &str| {
        copy(
            &place,
            &registry,
            &[
                &format!("REG/a:{tag}"),
                &format!("{archive}#quay.io/a:{tag}"),
            ],
        )
    };
    copy("v1", "docker-archive:d.tar").exits(0);
    copy("v2", "oci-archive:d.tar").exits(0);
    copy("multi", "oci-archive:d.tar").exits(0);
    let manifest = run(&place, "tar", &["-xOf", "d.tar", "manifest.json"]);
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let names: Vec<&str> = manifest
        .as_array()
        .unwrap()
        .iter()
        .map(|image| image["RepoTags"][0].as_str().unwrap())
        .collect();
    assert_eq!(names, ["quay.io/a:v1", "quay.io/a:v2"]);
    // The other way round, Docker would not find what is there already.
    copy("v1", "oci-archive:o.tar").exits(0);
    let before = bytes(&place, "o.tar");
    copy("v2", "docker-archive:o.tar").exits(1).says(
        "the file has no manifest.json, so that Docker could not find its present images. Write oci-archive:o.tar, or \
         name another file",
    );
    assert_eq!(bytes(&place, "o.tar"), before);
    copy("v1", "oci-archive:o.tar.gz")
        .exits(1)
        .says("archives are written without compression, since layers are compressed already. Name it o.tar");
    assert!(!place.path("o.tar.gz").exists());
}

#[test]
fn a_link_stays_one_and_a_pipe_is_no_destination() {
    testkit::needs!("mkfifo");
    let (registry, place) = (registry(), Place::new());
    registry.push("a", Some("v1"), &image("a"));
    registry.push("a", Some("v2"), &index("a"));
    std::fs::create_dir(place.path("real")).unwrap();
    copy(
        &place,
        &registry,
        &["REG/a:v1", "oci-archive:real/x.tar#b/c"],
    )
    .exits(0);
    std::os::unix::fs::symlink("real/x.tar", place.path("link.tar")).unwrap();
    copy(&place, &registry, &["REG/a:v2", "oci-archive:link.tar#b/c"]).exits(0);
    let link = place.path("link.tar").symlink_metadata().unwrap();
    assert!(link.is_symlink());
    assert_eq!(left_over(&place), [""; 0]);
    let listed = place.run(&["tags", "oci-archive:real/x.tar"]).exits(0);
    assert_eq!(listed.stdout.lines().count(), 2);
    run(&place, "mkfifo", &["pipe"]);
    copy(&place, &registry, &["REG/a:v1", "docker-archive:pipe#b/c"])
        .exits(1)
        .says("it is no regular file. Write docker-archive:- for standard output, or name another file");
}

#[test]
fn referrers_travel_with_their_images() {
    let start = || {
        Registry::builder()
            .profile(Profile::strict())
            .start_on_thread()
    };
    let (outside, inside, place) = (start(), start(), Place::new());
    let multi = index("multi");
    let (sbom, signature) = (
        Image::referrer_of(&multi, SBOM, "sbom"),
        Image::cosign_signature_of(&multi),
    );
    outside.push("app", Some("v1"), &multi);
    outside.push("app", None, &sbom);
    outside.push("app", Some(&multi.cosign_tag("sig")), &signature);
    copy(
        &place,
        &outside,
        &["REG/app:v1", "oci-archive:a.tar#quay.io/team/app:v1"],
    )
    .exits(0);
    copy(
        &place,
        &inside,
        &["oci-archive:a.tar#quay.io/team/app:v1", "REG/app"],
    )
    .exits(0);
    assert_arrived(&inside, "app", "v1", &multi);
    assert_arrived(&inside, "app", &multi.cosign_tag("sig"), &signature);
    assert!(inside.state().manifest("app", sbom.digest()).is_some());
}

/// Copies 200 images into one archive and back.
fn two_hundred(archive: &str) {
    const COUNT: usize = 200;
    let (registry, place) = (registry(), Place::new());
    let images: Vec<Image> = (0..COUNT).map(|n| image(&format!("image-{n}"))).collect();
    for (n, image) in images.iter().enumerate() {
        registry.push("many", Some(&format!("v{n}")), image);
    }
    let place = place
        .file(
            "images.yaml",
            &format!("{}/many: {archive}:many.tar\n", registry.host()),
        )
        .file("auth.yaml", &insecure(&[&registry]));
    let files = ["--images", "images.yaml", "--auth", "auth.yaml"];
    place.run(&files).exits(0).says("200 copied");
    let written = bytes(&place, "many.tar");
    // Two directories, the file that marks a layout, index.json, the shared layer; manifest, config and layer of each.
    let expected = 5 + 3 * COUNT + usize::from(archive == "docker-archive");
    assert_eq!(entries(&place, "many.tar").len(), expected);
    place.run(&files).exits(0).says("0 copied, 200 unchanged");
    assert_eq!(bytes(&place, "many.tar"), written);
    let source = format!("{archive}:many.tar#*");
    copy(&place, &registry, &[&source, "--to", "REG/back/"])
        .exits(0)
        .says("200 copied");
    for (n, image) in images.iter().enumerate() {
        assert_arrived(&registry, "back/many", &format!("v{n}"), image);
    }
}

#[test]
fn two_hundred_images_are_one_oci_archive() {
    two_hundred("oci-archive");
}

#[test]
fn two_hundred_images_are_one_docker_archive() {
    two_hundred("docker-archive");
}
