//! The layout of the container image, file by file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::elf::Executable;

const AMD64: u16 = 62;
const ARM64: u16 = 183;
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

/// A directory with binaries and a bundle of certificates, in which the task runs.
struct Place(TempDir);

impl Place {
    /// Creates static binaries `amd64` and `arm64`, and the bundle.
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.file("amd64", &Executable::new(AMD64).build());
        place.file("arm64", &Executable::new(ARM64).build());
        place.file("ca.pem", CERTIFICATE.as_bytes());
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.arg("container-image");
        for (flag, value) in [("--ca-certificates", "ca.pem"), ("--revision", COMMIT)] {
            if !arguments.contains(&flag) {
                command.args([flag, value]);
            }
        }
        command
            .args(arguments)
            .current_dir(self.0.path())
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .output()
            .unwrap()
    }

    /// Builds the image. Returns the printed digest.
    #[track_caller]
    fn build(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Runs the task, which fails. Returns its message.
    #[track_caller]
    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn json(&self, digest: &Value) -> Value {
        serde_json::from_slice(&self.blob(digest)).unwrap()
    }

    /// Returns a blob of `image`.
    fn blob(&self, digest: &Value) -> Vec<u8> {
        let file = digest.as_str().unwrap().replace(':', "/");
        fs::read(self.path("image/blobs").join(file)).unwrap()
    }

    /// Returns the manifest of a platform of `image`.
    fn manifest(&self, architecture: &str) -> Value {
        let index: Value =
            serde_json::from_slice(&fs::read(self.path("image/index.json")).unwrap()).unwrap();
        let index = self.json(&index["manifests"][0]["digest"]);
        let manifests = index["manifests"].as_array().unwrap();
        let own = manifests.iter().find(|manifest| {
            manifest["platform"] == json!({"architecture": architecture, "os": "linux"})
        });
        self.json(&own.unwrap()["digest"])
    }

    /// Returns the entries of a layer: path, mode, owner and size.
    fn entries(&self, architecture: &str, layer: usize) -> Vec<String> {
        let manifest = self.manifest(architecture);
        let packed = self.blob(&manifest["layers"][layer]["digest"]);
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&packed[..]));
        let mut lines = Vec::new();
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!(header.mtime().unwrap(), 1_700_000_000);
            lines.push(format!(
                "{} {:o} {}:{}",
                entry.path().unwrap().display(),
                header.mode().unwrap(),
                header.uid().unwrap(),
                header.gid().unwrap(),
            ));
        }
        lines
    }
}

/// Returns every file of a directory with its bytes.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut queue = vec![directory.to_owned()];
    while let Some(path) = queue.pop() {
        if path.is_dir() {
            queue.extend(
                fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else {
            let name = path.strip_prefix(directory).unwrap().to_owned();
            found.insert(name, fs::read(path).unwrap());
        }
    }
    found
}

const BOTH: [&str; 4] = [
    "--output",
    "image",
    "linux/arm64=arm64",
    "linux/amd64=amd64",
];

#[test]
fn the_same_files_give_the_same_image_everywhere() {
    let (first, second) = (Place::new(), Place::new());
    let digest = first.build(&BOTH);
    let before = files(&first.path("image"));
    // Index, two manifests and configurations, the base of both, and two binaries.
    assert_eq!(before.len(), 2 + 8, "{:?}", before.keys());
    // Over the former image, and elsewhere with another order and another place for the output.
    assert_eq!(first.build(&BOTH), digest);
    assert_eq!(files(&first.path("image")), before);
    let elsewhere = [
        "linux/amd64=amd64",
        "linux/arm64=arm64",
        "--output",
        "a/b/image",
    ];
    assert_eq!(second.build(&elsewhere), digest);
    assert_eq!(files(&second.path("a/b/image")), before);
    assert_eq!(files(&second.path("a/b")).len(), before.len());
}

#[test]
fn every_input_changes_the_digest() {
    let place = Place::new();
    let mut digests = vec![
        place.build(&BOTH),
        place.build(&BOTH[..3]),
        place.build(&[&BOTH[..], &["--source-date-epoch", "1"]].concat()),
        place.build(&[&BOTH[..], &["--revision", "abc"]].concat()),
    ];
    place.file("ca.pem", CERTIFICATE.repeat(2).as_bytes());
    digests.push(place.build(&BOTH));
    // The name is no part of the image.
    let renamed = [&BOTH[..], &["--name", "quay.io/team/image-syncer:1"]].concat();
    assert_eq!(place.build(&renamed), digests[4]);
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), 5);
}

#[test]
fn an_image_has_its_user_labels_and_files() {
    let place = Place::new();
    let digest = place.build(&BOTH);
    let index: Value =
        serde_json::from_slice(&fs::read(place.path("image/index.json")).unwrap()).unwrap();
    let name = format!(
        "ghcr.io/image-syncer/image-syncer:{}",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(index["manifests"][0]["digest"], digest);
    assert_eq!(
        index["manifests"][0]["annotations"],
        json!({"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name})
    );
    let labels = json!({
        "org.opencontainers.image.created": "2023-11-14T22:13:20Z",
        "org.opencontainers.image.description": "Copies container images and OCI artifacts between registries",
        "org.opencontainers.image.documentation": "https://github.com/image-syncer/image-syncer/tree/main/docs",
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.revision": COMMIT,
        "org.opencontainers.image.source": "https://github.com/image-syncer/image-syncer",
        "org.opencontainers.image.title": "image-syncer",
        "org.opencontainers.image.url": "https://github.com/image-syncer/image-syncer",
        "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
    });
    assert_eq!(place.json(&Value::from(digest))["annotations"], labels);
    for architecture in ["amd64", "arm64"] {
        let manifest = place.manifest(architecture);
        assert_eq!(manifest["annotations"], labels);
        let config = place.json(&manifest["config"]["digest"]);
        assert_eq!(config["architecture"], architecture);
        assert_eq!(config["created"], "2023-11-14T22:13:20Z");
        assert_eq!(
            config["config"],
            json!({
                "User": "65532",
                "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/home/nonroot"],
                "Entrypoint": ["/usr/local/bin/image-syncer"],
                "WorkingDir": "/home/nonroot",
                "Labels": labels,
            })
        );
        assert_eq!(
            place.entries(architecture, 1),
            [
                "usr/ 755 0:0",
                "usr/local/ 755 0:0",
                "usr/local/bin/ 755 0:0",
                "usr/local/bin/image-syncer 755 0:0",
            ]
        );
        let mut base = place.entries(architecture, 0);
        base.retain(|line| !line.starts_with("usr/"));
        assert_eq!(
            base,
            [
                "etc/ 755 0:0",
                "etc/group 644 0:0",
                "etc/nsswitch.conf 644 0:0",
                "etc/passwd 644 0:0",
                "etc/ssl/ 755 0:0",
                "etc/ssl/certs/ 755 0:0",
                "etc/ssl/certs/ca-certificates.crt 644 0:0",
                "home/ 755 0:0",
                "home/nonroot/ 770 65532:0",
                "root/ 700 0:0",
                "tmp/ 1777 0:0",
            ]
        );
    }
}

/// Adds a system for arm64: a library that needs another one, and the licence of its package.
fn arm64_system(place: &Place) {
    let library = Executable::new(ARM64).needs("libc.so.6").build();
    place.file("root/usr/lib/aarch64-linux-gnu/libgcc_s.so.1", &library);
    let libc = Executable::new(ARM64)
        .needs("ld-linux-aarch64.so.1")
        .build();
    place.file("root/lib/aarch64-linux-gnu/libc.so.6", &libc);
    for linker in [
        "root/lib/ld-linux-aarch64.so.1",
        "root/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1",
    ] {
        place.file(linker, &Executable::new(ARM64).build());
    }
    place.file(
        "root/var/lib/dpkg/info/libgcc-s1:arm64.list",
        b"/.\n/lib/aarch64-linux-gnu/libgcc_s.so.1\n",
    );
    place.file("root/var/lib/dpkg/info/other.list", b"/bin/other\n");
    for package in ["libgcc-s1", "other"] {
        place.file(&format!("root/usr/share/doc/{package}/copyright"), b"GPL");
    }
    let program = Executable::new(ARM64)
        .interpreter("/lib/ld-linux-aarch64.so.1")
        .needs("libgcc_s.so.1")
        .build();
    place.file("dynamic", &program);
}

#[test]
fn a_dynamic_binary_gets_its_libraries_from_the_system_of_its_platform() {
    let place = Place::new();
    arm64_system(&place);
    place.build(&[
        "--output",
        "image",
        "--sysroot",
        "linux/arm64=root",
        "linux/amd64=amd64",
        "linux/arm64=dynamic",
    ]);
    let mut libraries = place.entries("arm64", 0);
    libraries.retain(|line| line.contains("lib/") || line.contains("share/"));
    assert_eq!(
        libraries,
        [
            "lib/ 755 0:0",
            "lib/aarch64-linux-gnu/ 755 0:0",
            "lib/aarch64-linux-gnu/ld-linux-aarch64.so.1 755 0:0",
            "lib/aarch64-linux-gnu/libc.so.6 755 0:0",
            "lib/ld-linux-aarch64.so.1 755 0:0",
            "usr/lib/ 755 0:0",
            "usr/lib/aarch64-linux-gnu/ 755 0:0",
            "usr/lib/aarch64-linux-gnu/libgcc_s.so.1 755 0:0",
            "usr/share/ 755 0:0",
            "usr/share/doc/ 755 0:0",
            "usr/share/doc/libgcc-s1/ 755 0:0",
            "usr/share/doc/libgcc-s1/copyright 644 0:0",
        ]
    );
    let amd64 = place.entries("amd64", 0);
    assert!(
        !amd64.iter().any(|line| line.starts_with("lib")),
        "{amd64:?}"
    );
}

#[test]
fn errors_say_what_is_missing() {
    let place = Place::new();
    arm64_system(&place);
    place.file("script", b"#!/bin/sh\n");
    place.file("empty.pem", b"\n");
    place.file("full/notes.txt", b"mine");
    let image = ["--output", "image"];
    for (arguments, message) in [
        (&["linux/amd64=absent"][..], "cannot read absent"),
        (&["linux/amd64=script"], "not an ELF file"),
        (
            &["linux/amd64=arm64"],
            "arm64 is built for linux/arm64, not for linux/amd64",
        ),
        (
            &["linux/amd64=amd64", "linux/amd64=arm64"],
            "linux/amd64 is given twice",
        ),
        (
            &["linux/s390x=amd64"],
            "unknown platform \"linux/s390x\": use one of linux/amd64, linux/arm64,",
        ),
        (&["linux/amd64"], "write it as PLATFORM=PATH"),
        (
            &["linux/amd64=amd64", "--ca-certificates", "absent.pem"],
            "name a file with --ca-certificates",
        ),
        (
            &["linux/amd64=amd64", "--ca-certificates", "empty.pem"],
            "empty.pem has no certificate",
        ),
        (
            &["linux/arm64=dynamic", "--sysroot", "linux/arm64=full"],
            "dynamic needs /lib/ld-linux-aarch64.so.1, which full does not have in /lib/aarch64-linux-gnu,",
        ),
    ] {
        let said = place.fails(&[&image, arguments].concat());
        assert!(said.contains(message), "{arguments:?}: {said}");
    }
    assert!(!place.path("image").exists());

    fs::remove_file(place.path("root/lib/aarch64-linux-gnu/libc.so.6")).unwrap();
    let dynamic = ["linux/arm64=dynamic", "--sysroot", "linux/arm64=root"];
    let said = place.fails(&[&image, &dynamic[..]].concat());
    let message =
        "usr/lib/aarch64-linux-gnu/libgcc_s.so.1 needs libc.so.6, which root does not have in";
    assert!(said.contains(message), "{said}");
    // A library of another platform.
    place.file("root/lib/libc.so.6", &Executable::new(AMD64).build());
    let said = place.fails(&[&image, &dynamic[..]].concat());
    assert!(
        said.contains("root/lib/libc.so.6 is built for linux/amd64, not for linux/arm64"),
        "{said}"
    );
    assert!(said.contains("--sysroot linux/arm64=DIRECTORY"), "{said}");

    let said = place.fails(&["--output", "full", "linux/amd64=amd64"]);
    assert!(
        said.contains("full has other contents than an OCI layout"),
        "{said}"
    );
    assert_eq!(fs::read(place.path("full/notes.txt")).unwrap(), b"mine");
    // Nothing is left of what was begun.
    let names = fs::read_dir(place.0.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    assert!(
        !names
            .into_iter()
            .any(|name| name.to_string_lossy().starts_with('.'))
    );
}
