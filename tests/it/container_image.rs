//! The program's own container image: pushed by the program, and executed as a container is.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use testkit::elf::Executable;
use testkit::raw::push_over_http;
use testkit::real::DockerRegistry;
use testkit::{Image, Layer, Tls};
use xtask::container_image::{CA_CERTIFICATES, ContainerImage};

use crate::support::{Outcome, Place};

const NAME: &str = "ghcr.io/image-syncer/image-syncer:1.2.3";

/// Writes the image to `dist/image` in a directory. Returns its digest.
fn write_image(place: &Place, binaries: &[(&str, PathBuf)], ca_certificates: &Path) -> String {
    let binaries = binaries.iter();
    let binaries: BTreeMap<_, _> = binaries
        .map(|(platform, path)| (platform.parse().unwrap(), path.clone()))
        .collect();
    let image = ContainerImage {
        name: NAME.to_owned(),
        binaries,
        sysroots: BTreeMap::new(),
        ca_certificates: ca_certificates.to_owned(),
        revision: None,
        time: 1_700_000_000,
        output: place.path("dist/image"),
    };
    image.write().unwrap()
}

#[track_caller]
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_program_pushes_its_image_of_two_platforms() {
    testkit::needs!("docker-registry", "skopeo", "umoci");
    let registry = DockerRegistry::builder().start().unwrap();
    let place = Place::new();
    let binaries = [("linux/amd64", 62), ("linux/arm64", 183)].map(|(platform, machine)| {
        let path = place.path(&format!("program-{machine}"));
        fs::write(&path, Executable::new(machine).build()).unwrap();
        (platform, path)
    });
    let digest = write_image(&place, &binaries, Path::new(CA_CERTIFICATES));

    let source = format!("oci:dist/image#{NAME}");
    let destination = format!("{}/image-syncer/image-syncer:1.2.3", registry.host());
    let copy = [
        "copy",
        &source,
        &destination,
        "--insecure",
        &registry.host(),
    ];
    let outcome = place.run(&copy).exits(0);
    assert!(outcome.stderr.contains("1 copied"), "{}", outcome.stderr);

    let pushed = format!("docker://{destination}");
    let inspect = ["inspect", "--tls-verify=false"];
    let raw = output(
        Command::new("skopeo")
            .args(inspect)
            .args(["--raw", &pushed]),
    );
    let index: Value = serde_json::from_str(&raw).unwrap();
    let platforms: Vec<&str> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|manifest| manifest["platform"]["architecture"].as_str().unwrap())
        .collect();
    assert_eq!(platforms, ["amd64", "arm64"]);
    assert_eq!(testkit::digest::sha256(raw.as_bytes()), digest);
    for architecture in platforms {
        let choice = ["--override-os=linux", "--override-arch", architecture];
        let skopeo = |layout: &str| {
            let mut command = Command::new("skopeo");
            command
                .args(choice)
                .args(inspect)
                .args(["--config", layout]);
            output(&mut command)
        };
        let config: Value = serde_json::from_str(&skopeo(&pushed)).unwrap();
        assert_eq!(config["config"]["User"], "65532");
        let layout = format!("oci:{}:{NAME}", place.path("dist/image").display());
        let local: Value = serde_json::from_str(&skopeo(&layout)).unwrap();
        assert_eq!(local, config);
    }
}

/// Returns a copy of the program without its symbols, which are most of a debug build.
fn stripped_program(place: &Place) -> PathBuf {
    let path = place.path("image-syncer");
    let program = env!("CARGO_BIN_EXE_image-syncer");
    output(Command::new("strip").arg("-o").arg(&path).arg(program));
    path
}

#[test]
fn the_image_runs_as_nonroot_and_copies_over_tls() {
    testkit::needs!("docker-registry", "umoci", "chroot", "strip");
    // Only root may change the root of a process.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let tls = Tls::new();
    let start = || DockerRegistry::builder().tls(tls.clone()).start().unwrap();
    let (source, destination) = (start(), start());
    let image = Image::single([Layer::tar("app", 100_000)]);
    let client = source.client().unwrap();
    let push = push_over_http(&client, "team/app", Some("v1"), &image);
    tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(push)
        .map_err(drop)
        .unwrap();

    let place = Place::new().file("ca.pem", &tls.ca_pem());
    let platform = format!("linux/{}", architecture());
    let binaries = [(platform.as_str(), stripped_program(&place))];
    write_image(&place, &binaries, &place.path("ca.pem"));
    let image = format!("{}:{NAME}", place.path("dist/image").display());
    let bundle = place.path("bundle");
    output(
        Command::new("umoci")
            .args(["unpack", "--image", &image])
            .arg(&bundle),
    );
    let root = bundle.join("rootfs");
    // The runtime of a container supplies this file.
    fs::write(root.join("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
    let mode = fs::metadata(root.join("tmp")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o1777);

    let config = fs::read_to_string(bundle.join("config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    let process = &config["process"];
    assert_eq!(process["user"]["uid"], 65_532);
    assert_eq!(process["user"]["gid"], 65_532);
    assert_eq!(process["cwd"], "/home/nonroot");
    let run = |arguments: &[&str]| {
        // The path of the image does not lead to it.
        let mut command = Command::new("/usr/sbin/chroot");
        command
            .args(["--userspec=65532:65532", "--groups="])
            .arg(&root);
        command.args(
            process["args"]
                .as_array()
                .unwrap()
                .iter()
                .map(|word| word.as_str().unwrap()),
        );
        command.args(arguments).env_clear();
        for variable in process["env"].as_array().unwrap() {
            let (name, value) = variable.as_str().unwrap().split_once('=').unwrap();
            command.env(name, value);
        }
        Outcome::of(command.output().unwrap())
    };
    let version = run(&["--version"]).exits(0);
    assert_eq!(
        version.stdout,
        concat!("image-syncer ", env!("CARGO_PKG_VERSION"), "\n")
    );
    let port = |host: String| host.rsplit_once(':').unwrap().1.to_owned();
    let from = format!("localhost:{}/team/app:v1", port(source.host()));
    let to = format!("localhost:{}/mirror/app:v1", port(destination.host()));
    run(&["copy", &from, &to]).exits(0).says("1 copied");
    // The records are in the home directory.
    let records = root.join("home/nonroot/.local/state/image-syncer/records.sqlite3");
    assert!(records.is_file());
}

/// Returns OCI's name of this machine's architecture.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
