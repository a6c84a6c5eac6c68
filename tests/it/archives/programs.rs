//! Archives of skopeo, podman and buildah are read, and they read what is written.

use testkit::Image;

use super::{compressed, copy, run, with_storage};
use crate::support::{Place, assert_arrived, image, index, registry};

#[test]
fn archives_of_skopeo_are_sources() {
    testkit::needs!("skopeo");
    let (registry, place) = (registry(), Place::new());
    let (one, multi) = (image("one"), index("multi"));
    registry.push("one", Some("v1"), &one);
    registry.push("multi", Some("v1"), &multi);
    let skopeo = |source: &str, target: &str| {
        let source = format!("docker://{}/{source}", registry.host());
        let options = [
            "copy",
            "--all",
            "--src-tls-verify=false",
            "--insecure-policy",
        ];
        run(
            &place,
            "skopeo",
            &[&options[..], &[&source, target]].concat(),
        );
    };
    skopeo("multi:v1", "oci-archive:multi.tar:quay.io/team/app:v1");
    skopeo("multi:v1", "oci-archive:bare.tar:v2");
    skopeo("one:v1", "oci-archive:nameless.tar");
    for (source, tag, image) in [
        ("oci-archive:multi.tar#quay.io/team/app:v1", "name", &multi),
        ("oci-archive:multi.tar:quay.io/team/app:v1", "colon", &multi),
        ("oci-archive:bare.tar:v2", "bare", &multi),
        ("oci-archive:bare.tar#any/name:v2", "any", &multi),
        (
            &format!("oci-archive:nameless.tar#@{}", one.digest()),
            "digest",
            &one,
        ),
    ] {
        let destination = format!("REG/back:{tag}");
        copy(&place, &registry, &[source, &destination])
            .exits(0)
            .says("1 copied");
        assert_arrived(&registry, "back", tag, image);
    }
    // Layers without compression, and no manifest.
    skopeo("one:v1", "docker-archive:legacy.tar:quay.io/team/app:v1");
    copy(
        &place,
        &registry,
        &["docker-archive:legacy.tar#*", "--to", "REG/legacy/"],
    )
    .exits(0)
    .says("1 copied")
    .says("has no manifests. They are made from manifest.json");
    registry.verify_complete("legacy/team/app", "v1").unwrap();
    copy(
        &place,
        &registry,
        &["docker-archive:legacy.tar#*", "--to", "REG/legacy/"],
    )
    .exits(0)
    .says("1 unchanged");
}

#[test]
fn skopeo_reads_both_forms() {
    testkit::needs!("skopeo", "zstd");
    let (registry, place) = (registry(), Place::new());
    for compression in ["gzip", "zstd", "plain"] {
        registry.push("app", Some(compression), &compressed(&place, compression));
    }
    for form in ["oci-archive", "docker-archive"] {
        let to = format!("{form}:{form}.tar#quay.io/team/app");
        copy(&place, &registry, &["--all-tags", "REG/app", &to])
            .exits(0)
            .says("3 copied");
        for compression in ["gzip", "zstd", "plain"] {
            let source = format!("{form}:{form}.tar:quay.io/team/app:{compression}");
            let target = format!("dir:{form}-{compression}");
            run(
                &place,
                "skopeo",
                &["copy", "--all", "--insecure-policy", &source, &target],
            );
            let manifest = super::bytes(&place, &format!("{form}-{compression}/manifest.json"));
            if form == "oci-archive" {
                let image = compressed(&place, compression);
                assert_eq!(manifest, image.root().bytes, "{compression}");
            }
        }
    }
    // One file is both.
    for compression in ["gzip", "zstd", "plain"] {
        let source = format!("oci-archive:docker-archive.tar:quay.io/team/app:{compression}");
        let raw = run(&place, "skopeo", &["inspect", "--raw", &source]);
        assert_eq!(raw, compressed(&place, compression).root().bytes);
    }
}

/// Stores two images in the storage of podman and buildah in the directory of `place`.
fn store_images(place: &Place) {
    let buildah = |arguments: &[&str]| with_storage(place, "buildah", arguments);
    let container = buildah(&["from", "scratch"]);
    for tag in ["v1", "v2"] {
        std::fs::write(place.path(tag), tag).unwrap();
        let name = format!("quay.io/team/app:{tag}");
        buildah(&["copy", "--quiet", &container, tag, "/"]);
        buildah(&["commit", "--quiet", "--format", "docker", &container, &name]);
    }
}

#[test]
fn archives_of_podman_and_buildah_are_sources() {
    testkit::needs!("podman", "buildah");
    let (registry, place) = (registry(), Place::new());
    store_images(&place);
    let podman = |arguments: &[&str]| with_storage(&place, "podman", arguments);
    let all = [
        "save",
        "--quiet",
        "--multi-image-archive",
        "--output",
        "all.tar",
        "quay.io/team/app:v1",
        "quay.io/team/app:v2",
    ];
    podman(&all);
    let one = [
        "save",
        "--quiet",
        "--format",
        "oci-archive",
        "--output",
        "one.tar",
        "quay.io/team/app:v1",
    ];
    podman(&one);
    let buildah = |arguments: &[&str]| with_storage(&place, "buildah", arguments);
    for form in ["oci-archive", "docker-archive"] {
        let target = format!("{form}:{form}.tar:quay.io/team/app:v2");
        buildah(&["push", "--quiet", "quay.io/team/app:v2", &target]);
    }
    for (source, to, tags) in [
        ("docker-archive:all.tar#*", "all", &["v1", "v2"][..]),
        ("oci-archive:one.tar#*", "one", &["v1"]),
        ("oci-archive:oci-archive.tar#*", "oci", &["v2"]),
        ("docker-archive:docker-archive.tar#*", "docker", &["v2"]),
    ] {
        let destination = format!("REG/{to}/");
        copy(&place, &registry, &[source, "--to", &destination]).exits(0);
        let repository = format!("{to}/team/app");
        assert_eq!(registry.state().tags(&repository), tags, "{source}");
        for tag in tags {
            registry.verify_complete(&repository, tag).unwrap();
        }
    }
}

#[test]
fn podman_and_buildah_read_both_forms() {
    testkit::needs!("podman", "buildah", "zstd");
    let (registry, place) = (registry(), Place::new());
    for compression in ["gzip", "zstd", "plain"] {
        registry.push("app", Some(compression), &compressed(&place, compression));
    }
    for form in ["oci-archive", "docker-archive"] {
        let to = format!("{form}:{form}.tar#quay.io/team/app");
        copy(&place, &registry, &["--all-tags", "REG/app", &to]).exits(0);
    }
    let podman = |arguments: &[&str]| with_storage(&place, "podman", arguments);
    let loaded = podman(&["load", "--quiet", "--input", "docker-archive.tar"]);
    for compression in ["gzip", "zstd", "plain"] {
        let name = format!("quay.io/team/app:{compression}");
        assert!(loaded.contains(&name), "{loaded}");
        let id = podman(&["inspect", "--format", "{{.Id}}", &name]);
        let config = compressed(&place, compression);
        let config = config.root().bytes.to_vec();
        assert!(String::from_utf8(config).unwrap().contains(&id), "{name}");
        podman(&["rmi", "--force", &name]);
        let source = format!("oci-archive:oci-archive.tar:{name}");
        let pulled = podman(&["pull", "--quiet", &source]);
        assert_eq!(pulled, id, "{name}");
        podman(&["rmi", "--force", &pulled]);
        let buildah = |arguments: &[&str]| with_storage(&place, "buildah", arguments);
        for form in ["oci-archive", "docker-archive"] {
            buildah(&["from", &format!("{form}:{form}.tar:{name}")]);
        }
    }
}

#[test]
fn umoci_reads_an_unpacked_archive_and_its_packed_layout_is_read() {
    testkit::needs!("umoci");
    let (registry, place) = (registry(), Place::new());
    let multi = Image::index([image("one")]);
    registry.push("app", Some("v1"), &multi);
    copy(
        &place,
        &registry,
        &["REG/app:v1", "docker-archive:ours.tar#quay.io/team/app:v1"],
    )
    .exits(0);
    std::fs::create_dir(place.path("ours")).unwrap();
    run(&place, "tar", &["-xf", "ours.tar", "-C", "ours"]);
    let listed = run(&place, "umoci", &["ls", "--layout", "ours"]);
    assert_eq!(listed, b"quay.io/team/app:v1\n");
    run(&place, "umoci", &["init", "--layout", "theirs"]);
    run(&place, "umoci", &["new", "--image", "theirs:v1"]);
    run(&place, "tar", &["-cf", "theirs.tar", "-C", "theirs", "."]);
    copy(
        &place,
        &registry,
        &["oci-archive:theirs.tar:v1", "REG/theirs:v1"],
    )
    .exits(0)
    .says("1 copied");
    registry.verify_complete("theirs", "v1").unwrap();
}
