//! The program of a release is installed.

use std::path::Path;
use std::process::Command;

use super::super::release::packed;
use super::{Job, run_with_path};
use crate::support::{Outcome, Place};

/// Returns a directory with a release of this version, whose program is the one of this build.
fn with_release(place: &Place) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let directory = place.path(&format!("releases/download/v{version}"));
    std::fs::create_dir_all(&directory).unwrap();
    let archive = packed(place, "x86_64-unknown-linux-musl", &directory);
    let sums = format!(
        "cd '{}' && sha256sum *.tar.gz > SHA256SUMS",
        directory.display()
    );
    run_with_path(place.shell(&format!(
        "{sums} && mkdir -p ../../latest && ln -s '{}' ../../latest/download",
        directory.display()
    )))
    .exits(0);
    assert!(archive.exists());
    format!("file://{}", place.path("releases").display())
}

#[test]
fn the_version_of_the_action_is_installed() {
    testkit::needs!("curl", "tar");
    let place = Place::new();
    let releases = with_release(&place);
    let job = Job::with_path(place, "/nowhere");
    let version = env!("CARGO_PKG_VERSION");
    for wanted in ["", version, &format!("v{version}"), "latest"] {
        let outcome = job
            .run("Install", &[("releases", &releases), ("version", wanted)])
            .exits(0);
        assert_eq!(
            outcome.stdout,
            format!("image-syncer {version}\n"),
            "{wanted}"
        );
    }
    let paths = job.place.read("paths");
    let directory = paths.lines().next().unwrap();
    assert!(directory.ends_with("/temp/image-syncer/image-syncer-x86_64-unknown-linux-musl"));
    // The next step finds the program, its completions and pages.
    assert!(
        Path::new(directory)
            .join("man/man1/image-syncer.1")
            .exists()
    );
    let next = Outcome::of(
        Command::new(format!("{directory}/image-syncer"))
            .arg("-V")
            .output()
            .unwrap(),
    );
    assert_eq!(next.exits(0).stdout, format!("image-syncer {version}\n"));
}

#[test]
fn an_archive_with_another_checksum_is_never_unpacked() {
    testkit::needs!("curl", "tar");
    let place = Place::new();
    let releases = with_release(&place);
    let job = Job::with_path(place, "/nowhere");
    let zeros = "0".repeat(64);
    let refused = |inputs: &[(&str, &str)], message: &str| {
        let inputs = [&[("releases", releases.as_str())], inputs].concat();
        let outcome = job.run("Install", &inputs).exits(1);
        assert!(outcome.stdout.contains(message), "{}", outcome.stdout);
        assert!(
            !job.place
                .path("temp/image-syncer/image-syncer-x86_64-unknown-linux-musl")
                .exists()
        );
        assert!(!job.place.path("paths").exists());
    };
    refused(&[("checksum", &zeros)], &format!("instead of {zeros}"));
    refused(
        &[("version", "v1.5.5")],
        "/download/v1.5.5/image-syncer-x86_64-unknown-linux-musl.tar.gz: see",
    );
    let version = env!("CARGO_PKG_VERSION");
    let sums = job
        .place
        .path(&format!("releases/download/v{version}/SHA256SUMS"));
    std::fs::write(
        &sums,
        format!("{zeros}  image-syncer-x86_64-unknown-linux-musl.tar.gz\n"),
    )
    .unwrap();
    refused(&[], &format!("instead of {zeros}"));
    std::fs::write(&sums, "").unwrap();
    refused(&[], "instead of one in SHA256SUMS");
}

#[test]
fn other_machines_get_a_message() {
    let job = Job::with_path(Place::new(), "/nowhere");
    let mut step = job.step("Install", &[]);
    let outcome = Outcome::of(step.env("RUNNER_OS", "Windows").output().unwrap()).exits(1);
    let message = "no release for Windows on X64: use a runner with Linux or macOS on x64 or arm64";
    assert_eq!(
        outcome.stdout,
        format!("::error title=image-syncer::{message}\n")
    );
}
