//! SIGKILL while a layout is written.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use testkit::image::Layer;

use super::*;

const NAME: &str = "store::layout::tests::killing::a_killed_writer_leaves_a_valid_layout";
const CHILD: &str = "LAYOUT_OF_KILLED_WRITER";

fn image(number: u64) -> Image {
    let layers = [
        Layer::synthetic(3_000_000, number),
        Layer::tar("shared", 10_000),
    ];
    Image::index([Image::oci()
        .layers(layers)
        .label(number.to_string())
        .build()])
}

/// Writes images until it is killed, and a line after each.
async fn write_images(path: PathBuf) {
    let layout = open_layout(&path).await.unwrap();
    for number in 0.. {
        push(&layout, &format!("quay.io/a/b:v{number}"), &image(number)).await;
        if number % 2 == 1 {
            layout.finish(false).await.unwrap();
        }
        writeln!(std::io::stdout(), "image {number}").unwrap();
    }
}

/// Checks that all blobs are complete, and all roots are there with everything below them. Returns the names.
async fn check(folder: &Folder) -> Vec<String> {
    for name in folder.files() {
        if let Some(encoded) = name.strip_prefix("blobs/sha256/") {
            assert_eq!(Digest::sha256(&folder.read(&name)).encoded(), encoded);
        }
    }
    let layout = folder.open().await;
    for tag in tags(&layout, "quay.io/a/b", NameScope::FullNames) {
        let number = tag.as_str().trim_start_matches('v').parse().unwrap();
        let image = image(number);
        let root = layout
            .manifest("quay.io/a/b", &Target::Tag(tag), NameScope::FullNames)
            .await;
        assert_eq!(root.unwrap().digest().as_str(), image.digest());
        for child in image.manifests() {
            let target = Target::Digest(digest(&child.digest));
            layout
                .manifest("quay.io/a/b", &target, NameScope::FullNames)
                .await
                .unwrap();
        }
        for blob in image.blobs() {
            assert!(folder.blob(blob.digest()).exists());
        }
    }
    folder.roots().into_iter().map(|root| root.0).collect()
}

#[tokio::test]
async fn a_killed_writer_leaves_a_valid_layout() {
    if let Some(path) = std::env::var_os(CHILD) {
        return write_images(path.into()).await;
    }
    let folder = Folder::new();
    for kill in 0..4 {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child
            .args(["--exact", NAME, "--nocapture", "--test-threads=1"])
            .env(CHILD, folder.layout())
            .stdout(Stdio::piped());
        let mut child = child.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let images = lines
            .map(|line| line.unwrap())
            .filter(|line| line.contains("image "));
        assert_eq!(images.take(1 + 2 * kill).count(), 1 + 2 * kill);
        child.kill().unwrap();
        child.wait().unwrap();
        let names = check(&folder).await;
        assert!(names.len() >= 2 * kill, "{names:?}");
    }
    // The next writer goes on, and nothing of the killed ones is left.
    let layout = folder.open().await;
    push(&layout, "quay.io/a/b:v1000", &image(1000)).await;
    layout.finish(false).await.unwrap();
    check(&folder).await;
    let files = folder.files();
    assert!(
        !files.iter().any(|name| name.contains(".image-syncer")),
        "{files:?}"
    );
}
