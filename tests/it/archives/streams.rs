//! Archives on standard input and standard output.

use testkit::{Image, Registry};

use super::{copy, entries, left_over, run};
use crate::support::{Outcome, Place, assert_arrived, image, index, registry};

/// Runs a shell in which `image-syncer` is the program and `$REG` a registry without a certificate.
fn shell(place: &Place, registry: &Registry, script: &str) -> Outcome {
    let program = env!("CARGO_BIN_EXE_image-syncer");
    let script = format!("image_syncer() {{ {program} \"$@\" --insecure \"$REG\"; }}\n{script}");
    let mut shell = place.shell(&script);
    shell
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("REG", registry.host());
    Outcome::of(shell.output().unwrap())
}

/// Returns a registry with the image and the index that it has as `team/app:one` and `team/app:multi`.
fn world() -> (Registry, Place, Image, Image) {
    let (registry, place) = (registry(), Place::new());
    let (one, multi) = (image("one"), index("multi"));
    registry.push("team/app", Some("one"), &one);
    registry.push("team/app", Some("multi"), &multi);
    (registry, place, one, multi)
}

#[test]
fn an_archive_on_standard_input_is_read_with_any_compression() {
    testkit::needs!("zstd");
    let (registry, place, one, multi) = world();
    copy(
        &place,
        &registry,
        &["REG/team/app:one,multi", "--to", "oci-archive:x.tar"],
    )
    .exits(0);
    for (command, target) in [
        ("cat", "plain"),
        ("gzip --stdout", "gzip"),
        ("zstd --stdout", "zstd"),
    ] {
        let script =
            format!("{command} x.tar | image_syncer copy 'oci-archive:-#*' --to $REG/{target}/");
        shell(&place, &registry, &script)
            .exits(0)
            .says("unpacking oci-archive:-")
            .says("2 copied");
        assert_arrived(&registry, &format!("{target}/team/app"), "one", &one);
        assert_arrived(&registry, &format!("{target}/team/app"), "multi", &multi);
    }
    // A file is no pipe, and can be read at offsets as well.
    shell(
        &place,
        &registry,
        "image_syncer copy 'oci-archive:-#*' --to $REG/file/ < x.tar",
    )
    .exits(0)
    .says("2 copied");
}

#[test]
fn all_images_of_standard_input_need_no_name() {
    let (registry, place, one, _) = world();
    copy(
        &place,
        &registry,
        &[
            "REG/team/app:one",
            "docker-archive:x.tar#quay.io/team/app:one",
        ],
    )
    .exits(0);
    shell(
        &place,
        &registry,
        "cat x.tar | image_syncer copy docker-archive:- --to $REG/piped/",
    )
    .exits(0)
    .says("1 copied");
    assert_arrived(&registry, "piped/team/app", "one", &one);
}

#[test]
fn an_archive_goes_to_standard_output_alone() {
    let (registry, place, _, multi) = world();
    let listed = shell(
        &place,
        &registry,
        "image_syncer copy $REG/team/app:multi --to oci-archive:- | tar t",
    )
    .exits(0)
    .says("1 copied");
    let names: Vec<&str> = listed.stdout.lines().collect();
    assert_eq!(names[..3], ["oci-layout", "blobs/", "blobs/sha256/"]);
    let root = format!("blobs/{}", multi.digest().replace(':', "/"));
    assert_eq!((names[3], names[names.len() - 1]), (&*root, "index.json"));
    // The same bytes as in a file.
    shell(
        &place,
        &registry,
        "image_syncer copy $REG/team/app:multi --to oci-archive:- > out.tar\n\
         image_syncer copy $REG/team/app:multi --to oci-archive:file.tar\n\
         cmp out.tar file.tar",
    )
    .exits(0);
    assert_eq!(entries(&place, "out.tar"), names);
    assert_eq!(left_over(&place), [""; 0]);
}

#[test]
fn a_pipe_leads_from_one_registry_to_another() {
    let (registry, place, one, _) = world();
    shell(
        &place,
        &registry,
        "image_syncer copy $REG/team/app:one --to docker-archive:- -q | \
         image_syncer copy 'docker-archive:-#*' --to $REG/piped/",
    )
    .exits(0)
    .says("1 copied");
    assert_arrived(&registry, "piped/team/app", "one", &one);
}

#[test]
fn the_temporary_directory_is_used_and_left_empty() {
    let (registry, place, one, _) = world();
    let folder = place.path("temporary");
    std::fs::create_dir(&folder).unwrap();
    let script = "image_syncer copy $REG/team/app:one --to oci-archive:- --temp temporary | gzip > x.tar.gz\n\
                  image_syncer copy 'oci-archive:x.tar.gz#*' --to $REG/back/ --temp temporary";
    shell(&place, &registry, script).exits(0);
    assert_arrived(&registry, "back/team/app", "one", &one);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    std::fs::remove_dir(&folder).unwrap();
    copy(
        &place,
        &registry,
        &[
            "oci-archive:x.tar.gz#*",
            "--to",
            "REG/back/",
            "--temp",
            "temporary",
        ],
    )
    .exits(2)
    .says("The directory is temporary; --temp names another");
}

#[test]
fn complete_images_of_a_truncated_archive_are_read_if_they_may_be() {
    let (registry, place, one, _) = world();
    let archive = "docker-archive:x.tar#quay.io/team/app:one";
    copy(&place, &registry, &["REG/team/app:one", archive]).exits(0);
    run(&place, "truncate", &["--size=-1536", "x.tar"]);
    copy(
        &place,
        &registry,
        &["docker-archive:x.tar#*", "--to", "REG/back/"],
    )
    .exits(2)
    .says("Add --partial to read the images that are complete");
    let by_digest = format!("docker-archive:x.tar#@{}", one.digest());
    copy(&place, &registry, &[&by_digest, "REG/back:v1", "--partial"])
        .exits(0)
        .says("Images that are complete are read");
    assert_arrived(&registry, "back", "v1", &one);
}
