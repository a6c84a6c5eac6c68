//! Documents that are built to cost much memory.

use std::io::{BufRead as _, BufReader};

use testkit::image::media;
use testkit::{Action, Fault, Kind, Manifest, Registry};

use crate::memory::held;
use crate::support::{between, image};

/// Returns `count` descriptors, each as short as possible.
fn entries(count: usize) -> String {
    let entry = |number| format!(r#"{{"digest":"sha256:{number:064x}","size":1}}"#);
    (0..count).map(entry).collect::<Vec<_>>().join(",")
}

fn document(media_type: &str, field: &str, entries: &str) -> Manifest {
    let text = format!(r#"{{"schemaVersion":2,"{field}":[{entries}]}}"#);
    Manifest::new(media_type, text)
}

/// Maximum memory of the program with four such documents at the same time, in KiB. Up to 8 MiB of each are read, and
/// its descriptors take several times as much for a moment.
const BUDGET: u64 = 160 * 1024;

#[test]
fn several_bombs_at_once_fail_alone_in_little_memory() {
    let (source, destination) = (
        Registry::builder().start_on_thread(),
        Registry::builder().start_on_thread(),
    );
    let bombs = [
        document(media::OCI_INDEX, "manifests", &entries(80_000)),
        document(media::OCI_INDEX, "manifests", &entries(100_000)),
        document(media::OCI_MANIFEST, "layers", &entries(80_000)),
        document(media::OCI_MANIFEST, "layers", &entries(1_000_000)),
    ];
    for (number, bomb) in bombs.iter().enumerate() {
        source.put_manifest("bombs", Some(&format!("v{number}")), bomb);
    }
    source.push("good", Some("v1"), &image("good"));
    // The program runs until this request is answered. `-v` prints each failure, also those of one kind.
    destination.fault(Fault::on(Kind::ManifestPut), Action::StallBeforeAnswer);
    let place = between(
        &source,
        &destination,
        "SRC/bombs: DST/bombs\nSRC/good:v1: DST/good\n",
    );
    let mut child = place
        .command(&["-v", "--images", "images.yaml", "--auth", "auth.yaml"])
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let failed = lines
        .map(Result::unwrap)
        .filter(|line| line.contains("/bombs:v") && line.contains("failed"))
        .take(bombs.len());
    assert_eq!(failed.count(), bombs.len());
    let peak = held(&child);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(peak <= BUDGET, "{peak} KiB");
}
