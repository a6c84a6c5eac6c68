//! Images from and to archives, with skopeo, podman, buildah and umoci as other programs that read and write them.

mod exercise;
mod legacy;
mod programs;
mod rules;
mod streams;
mod trips;

use std::path::Path;
use std::process::{Command, Output};

use testkit::real::DockerRegistry;
use testkit::{Image, Layer, Registry};

use crate::support::{Outcome, Place};

const SBOM: &str = "application/spdx+json";

/// Runs a program in the directory of `place`, which has to succeed. Returns its standard output.
#[track_caller]
fn run(place: &Place, program: &str, arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::new(program);
    command.current_dir(place.path("")).args(arguments);
    succeeded(command.output().unwrap(), program, arguments)
}

#[track_caller]
fn succeeded(output: Output, program: &str, arguments: &[&str]) -> Vec<u8> {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {errors}{}",
        String::from_utf8_lossy(&output.stdout)
    );
    output.stdout
}

/// Runs podman or buildah on images that are stored in the directory of `place`. Returns what it prints.
#[track_caller]
fn with_storage(place: &Place, program: &str, arguments: &[&str]) -> String {
    let storage = place.path("storage").display().to_string();
    let state = place.path("state").display().to_string();
    let options = [
        "--root",
        &storage,
        "--runroot",
        &state,
        "--storage-driver",
        "vfs",
    ];
    let output = run(place, program, &[&options, arguments].concat());
    String::from_utf8(output).unwrap().trim().to_owned()
}

/// Copies to or from `registry`.
fn copy(place: &Place, registry: &Registry, arguments: &[&str]) -> Outcome {
    copy_at(place, &registry.host(), arguments)
}

/// Copies to or from the registry `host`, which stands for `REG`.
fn copy_at(place: &Place, host: &str, arguments: &[&str]) -> Outcome {
    let arguments: Vec<String> = arguments
        .iter()
        .map(|argument| argument.replace("REG", host))
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    place.run(&[&["copy", "--insecure", host], &arguments[..]].concat())
}

/// Returns the names of the entries of an archive, in their order.
fn entries(place: &Place, file: &str) -> Vec<String> {
    let listed = run(place, "tar", &["--list", "--file", file]);
    let listed = String::from_utf8(listed).unwrap();
    listed.lines().map(str::to_owned).collect()
}

/// Returns the bytes of a file.
fn bytes(place: &Place, file: &str) -> Vec<u8> {
    std::fs::read(place.path(file)).unwrap()
}

/// Returns the files and directories that a run keeps for an archive that it has not written yet.
fn left_over(place: &Place) -> Vec<String> {
    let files = std::fs::read_dir(place.path("")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let partial = |name: &String| {
        let suffix = Path::new(name).extension();
        suffix.is_some_and(|suffix| suffix == "partial" || suffix == "blobs")
    };
    names.filter(partial).collect()
}

/// Returns an image whose only layer has a compression of its own: `gzip`, `zstd` or none.
fn compressed(place: &Place, compression: &str) -> Image {
    let tar = Layer::tar_of(compression, compression.as_bytes());
    std::fs::write(place.path("layer.gz"), tar.blob().bytes().unwrap()).unwrap();
    let plain = run(place, "gzip", &["--decompress", "--stdout", "layer.gz"]);
    std::fs::write(place.path("layer.tar"), &plain).unwrap();
    let layer = match compression {
        "gzip" => tar,
        "zstd" => {
            let packed = run(place, "zstd", &["--quiet", "--stdout", "layer.tar"]);
            Layer::packed(
                "application/vnd.oci.image.layer.v1.tar+zstd",
                packed,
                &plain,
            )
        }
        _ => Layer::bytes("application/vnd.oci.image.layer.v1.tar", plain),
    };
    Image::single([layer])
}

/// Pushes an image to Debian's registry.
fn push(registry: &DockerRegistry, repository: &str, tag: &str, image: &Image) {
    let client = registry.client().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime
        .block_on(testkit::raw::push_over_http(
            &client,
            repository,
            Some(tag),
            image,
        ))
        .unwrap();
}
