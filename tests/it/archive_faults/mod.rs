//! Archives that are written and loaded while something fails: kills, signals, full disks, and names that are no files.

mod kills;
mod places;

use std::path::Path;

use testkit::{Image, Layer, Registry};

use crate::support::{Place, insecure, registry};

const FILE: &str = "images.tar";
const BLOBS: &str = ".images.tar.blobs";
const PARTIAL: &str = ".images.tar.partial";

/// Arguments that copy all tags of the source into the archive.
const WRITE: [&str; 4] = ["--images", "images.yaml", "--auth", "auth.yaml"];

/// Returns image `number`: a layer of its own, and a common one.
fn numbered(number: u64) -> Image {
    Image::single([Layer::synthetic(400_000, number), Layer::tar("base", 9_000)])
}

/// Starts a source with the tags `v0` and so on.
fn source(count: u64) -> Registry {
    let source = registry();
    for number in 0..count {
        source.push("app", Some(&format!("v{number}")), &numbered(number));
    }
    source
}

/// Returns a directory with the rule that writes all tags of `source` into the archive.
fn place(source: &Registry) -> Place {
    let rules = format!("{}/app: oci-archive:{FILE}\n", source.host());
    Place::new()
        .file("images.yaml", &rules)
        .file("auth.yaml", &insecure(&[source]))
}

/// Asserts that nothing but the archive is left.
#[track_caller]
fn is_clean(place: &Place) {
    for name in [BLOBS, PARTIAL] {
        assert!(!place.path(name).exists(), "{name} is left");
    }
    assert!(place.path(FILE).exists());
}

/// Returns the encoded digests of the blobs in a directory of gathered ones.
fn gathered(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder.join("blobs/sha256"));
    let names = files.into_iter().flatten().map(|file| {
        let name = file.unwrap().file_name();
        name.into_string().unwrap()
    });
    names.filter(|name| name.len() == 64).collect()
}
