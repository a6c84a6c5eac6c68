//! Writing of archives.

use std::sync::Arc;

use testkit::image::{Image, Layer};

use super::*;
use crate::store::layout::testing;

const ALPINE: &str = "docker.io/library/alpine";

async fn create(path: &Path, format: ArchiveFormat) -> Arc<Layout> {
    let endpoint = Endpoint::in_file(FileKind::Archive(format), path);
    let layout = Layout::open(&endpoint, End::Destination, &Archives::default()).await;
    layout.unwrap()
}

/// Returns the names of the entries of an archive.
fn entries(path: &Path) -> Vec<String> {
    let mut archive = tar::Archive::new(std::fs::File::open(path).unwrap());
    let entries = archive.entries().unwrap();
    entries
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn images() -> [Image; 3] {
    ["one", "two", "three"].map(|seed| Image::single([Layer::tar(seed, 20_000)]))
}

#[tokio::test]
async fn the_bytes_depend_on_the_images_and_not_on_the_order_of_their_arrival() {
    let folder = tempfile::tempdir().unwrap();
    let images = images();
    let orders = [[0, 1, 2], [2, 0, 1], [1, 2, 0]];
    let mut written = Vec::new();
    for order in orders {
        let path = folder.path().join("images.tar");
        let _ = std::fs::remove_file(&path);
        let layout = create(&path, ArchiveFormat::Oci).await;
        for number in order {
            let name = format!("{ALPINE}:v{number}");
            testing::push(&layout, &name, &images[number]).await;
        }
        assert!(!path.exists(), "nothing has its name before the end");
        layout.finish(false).await.unwrap();
        drop(layout);
        written.push(std::fs::read(&path).unwrap());
        assert_eq!(names(folder.path()), ["images.tar"]);
    }
    assert!(written.windows(2).all(|two| two[0] == two[1]));
    let names = entries(&folder.path().join("images.tar"));
    assert_eq!(names[..3], ["oci-layout", "blobs/", "blobs/sha256/"]);
    let first = digest_of(&images[0]);
    assert_eq!(names[3], format!("blobs/sha256/{}", first.encoded()));
    assert_eq!(names.last().unwrap(), "index.json");
    assert_eq!(names.len(), 3 + 9 + 1);
}

fn digest_of(image: &Image) -> Digest {
    Digest::parse(image.digest()).unwrap()
}

#[tokio::test]
async fn a_file_that_exists_keeps_its_images_and_loses_what_no_name_needs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images.tar");
    let [one, two, three] = images();
    for (name, image) in [("v1", &one), ("v2", &two), ("v1", &three)] {
        let layout = create(&path, ArchiveFormat::Oci).await;
        testing::push(&layout, &format!("{ALPINE}:{name}"), image).await;
        layout.finish(false).await.unwrap();
    }
    let layout = open(&path).await.unwrap();
    for (name, image) in [("v1", &three), ("v2", &two)] {
        let manifest = read(&layout, ALPINE, name);
        assert_eq!(*manifest.await.unwrap().digest(), digest_of(image));
    }
    assert_eq!(entries(&path).len(), 3 + 6 + 1);
    // Nothing changes: the file is not written again.
    let before = std::fs::metadata(&path).unwrap().modified().unwrap();
    let layout = create(&path, ArchiveFormat::Oci).await;
    layout.finish(false).await.unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().modified().unwrap(),
        before
    );
}

#[tokio::test]
async fn a_run_that_was_stopped_leaves_the_file_and_the_next_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images.tar");
    let [one, two, _] = images();
    let layout = create(&path, ArchiveFormat::Oci).await;
    testing::push(&layout, &format!("{ALPINE}:v1"), &one).await;
    let error = image_syncer_registry::Error::from(layout.finish(true).await.unwrap_err());
    assert_eq!(
        error.to_string(),
        format!(
            "cannot write images at oci-archive:{}: the run was stopped before. Run the command again: it goes on with what is \
             in {}; it lacks 1 name: {ALPINE}:v1",
            path.display(),
            folder.path().join(".images.tar.blobs").display()
        )
    );
    drop(layout);
    assert_eq!(names(folder.path()), [".images.tar.blobs"]);
    let layout = create(&path, ArchiveFormat::Oci).await;
    // The first write takes over what is there.
    testing::push(&layout, &format!("{ALPINE}:v2"), &two).await;
    let layer = one.blobs().first().unwrap().digest().to_owned();
    let layer = Digest::parse(&layer).unwrap();
    assert!(layout.blob_length(&layer).await.unwrap().is_some());
    layout.finish(false).await.unwrap();
    drop(layout);
    assert_eq!(names(folder.path()), ["images.tar"]);
    // What no name needs is not in the archive.
    assert_eq!(entries(&path).len(), 3 + 3 + 1);
}

#[tokio::test]
async fn two_runs_of_one_process_may_write_one_after_the_other_before_both_have_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images.tar");
    let [one, two, _] = images();
    let layout = create(&path, ArchiveFormat::Oci).await;
    testing::push(&layout, &format!("{ALPINE}:v1"), &one).await;
    // The other run holds the writer.
    let other = layout.writer().await.unwrap();
    layout.finish(false).await.unwrap();
    let first = std::fs::read(&path).unwrap();
    testing::push(&layout, &format!("{ALPINE}:v2"), &two).await;
    assert_eq!(std::fs::read(&path).unwrap(), first);
    drop(other);
    layout.finish(false).await.unwrap();
    assert_eq!(entries(&path).len(), 3 + 6 + 1);
    assert_eq!(names(folder.path()), ["images.tar"]);
}

#[tokio::test]
async fn a_blob_that_was_damaged_meanwhile_is_found_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images.tar");
    let [one, _, _] = images();
    let layout = create(&path, ArchiveFormat::Oci).await;
    testing::push(&layout, &format!("{ALPINE}:v1"), &one).await;
    let layer = one.blobs().last().unwrap();
    let digest = Digest::parse(layer.digest()).unwrap();
    let blob = folder
        .path()
        .join(".images.tar.blobs/blobs/sha256")
        .join(digest.encoded());
    let mut bytes = std::fs::read(&blob).unwrap();
    bytes[7] ^= 1;
    std::fs::write(&blob, &bytes).unwrap();
    let error = layout.finish(false).await.unwrap_err().to_string();
    assert!(
        error.contains(&format!("cannot write blob {digest}")),
        "{error}"
    );
    assert!(
        error.contains("it is damaged. Run the command again"),
        "{error}"
    );
    assert!(!blob.exists() && !path.exists());
}

#[tokio::test]
async fn docker_gets_a_list_of_images_of_one_platform() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images.tar");
    let [one, two, _] = images();
    let around = Image::index([two.clone()]);
    let layout = create(&path, ArchiveFormat::Docker).await;
    for (name, image) in [("b", &one), ("a", &one), ("index", &around)] {
        testing::push(&layout, &format!("{ALPINE}:{name}"), image).await;
    }
    layout.finish(false).await.unwrap();
    let layout = open(&path).await.unwrap();
    let list = layout.read_file("manifest.json");
    let list: serde_json::Value = serde_json::from_slice(&list).unwrap();
    let names: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|image| &image["RepoTags"])
        .collect();
    assert_eq!(
        names[0],
        &json!([format!("{ALPINE}:a"), format!("{ALPINE}:b")])
    );
    assert_eq!(names[1], &json!([format!("{ALPINE}:index")]));
    for image in list.as_array().unwrap() {
        let layers = image["Layers"].as_array().unwrap().iter();
        for blob in layers.chain([&image["Config"]]) {
            let digest = crate::store::layout_format::blob_path::digest_at(blob.as_str().unwrap());
            assert!(
                layout
                    .blob_length(&digest.unwrap())
                    .await
                    .unwrap()
                    .is_some()
            );
        }
    }
    // It stays readable for Docker when another run adds an image.
    let layout = create(&path, ArchiveFormat::Oci).await;
    testing::push(&layout, &format!("{ALPINE}:c"), &two).await;
    layout.finish(false).await.unwrap();
    assert_eq!(entries(&path).last().unwrap(), "manifest.json");
}

#[tokio::test]
async fn several_platforms_and_artifacts_are_refused_for_docker_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images.tar");
    let [one, two, _] = images();
    let layout = create(&path, ArchiveFormat::Docker).await;
    let index = testing::manifest(Image::index([one.clone(), two]).root());
    let error = layout.check_image(&index).unwrap_err().to_string();
    let written = path.display();
    let why = format!(". Write oci-archive:{written}, or choose one with --os linux --arch amd64");
    assert!(
        error.contains("docker-archive holds images of one platform, and this one has 2: "),
        "{error}"
    );
    assert!(error.ends_with(&why), "{error}");
    let artifact = Image::referrer_of(&one, "application/spdx+json", "sbom");
    let error = layout
        .check_image(&testing::manifest(artifact.root()))
        .unwrap_err()
        .to_string();
    let why = format!(
        "it is no image but an artifact, which docker-archive cannot name. Write oci-archive:{written}"
    );
    assert!(error.ends_with(&why), "{error}");
    assert!(layout.check_image(&testing::manifest(one.root())).is_ok());
}

#[tokio::test]
async fn files_that_could_not_keep_their_form_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(b"layer");
    let whole = files.archive("quay.io/a/b:v1").bytes();
    let check = async |name: &str, format| {
        let path = folder.path().join(name);
        let layout = create(&path, format).await;
        layout.check_destination().unwrap_err().to_string()
    };
    let error = check("new.tar.gz", ArchiveFormat::Oci).await;
    let plain = folder.path().join("new.tar");
    assert!(
        error.ends_with(&format!("Name it {}", plain.display())),
        "{error}"
    );
    std::fs::write(
        folder.path().join("zipped.tar"),
        super::compressed::gzip(&whole),
    )
    .unwrap();
    let error = check("zipped.tar", ArchiveFormat::Oci).await;
    assert!(error.contains("the file is compressed"), "{error}");
    std::fs::write(folder.path().join("oci.tar"), &whole).unwrap();
    let error = check("oci.tar", ArchiveFormat::Docker).await;
    assert!(error.contains("the file has no manifest.json"), "{error}");
}
