//! Links and other files in a layout.

use std::os::unix::fs::symlink;

use image_syncer_registry::ErrorKind;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use testkit::image::Layer;

use super::*;

const OUTSIDE: &str = "a symbolic link leads out of the layout, and is not followed";

/// A layout with an image.
async fn world() -> (Folder, Arc<Layout>, Image) {
    let folder = Folder::new();
    let layout = folder.open().await;
    let image = Image::single([Layer::tar("layer", 1000)]);
    push(&layout, "docker.io/library/alpine:3.20", &image).await;
    layout.finish(false).await.unwrap();
    (folder, layout, image)
}

#[tokio::test]
async fn links_out_of_the_layout_are_not_followed() {
    let (folder, layout, image) = world().await;
    let blob = &image.blobs()[0];
    let described = descriptor(blob.digest(), blob.size());
    let (file, outside) = (folder.blob(blob.digest()), folder.0.path().join("outside"));
    std::fs::rename(&file, &outside).unwrap();
    for target in [outside.clone(), PathBuf::from("../../../outside")] {
        symlink(&target, &file).unwrap();
        let error = read_blob(&layout, &described, 0).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().ends_with(OUTSIDE), "{error}");
        assert!(layout.head_blob(&described).await.is_err());
        std::fs::remove_file(&file).unwrap();
    }
    // A link within the layout is followed.
    std::fs::rename(&outside, folder.layout().join("inside")).unwrap();
    symlink("../../inside", &file).unwrap();
    let read = read_blob(&layout, &described, 0).await.unwrap();
    assert_eq!(read, blob.bytes().unwrap());
}

#[tokio::test]
async fn an_index_or_a_directory_outside_of_the_layout_is_not_read() {
    for name in ["index.json", "oci-layout", "blobs"] {
        let (folder, layout, image) = world().await;
        let (inside, outside) = (folder.layout().join(name), folder.0.path().join("outside"));
        std::fs::rename(&inside, &outside).unwrap();
        symlink(&outside, &inside).unwrap();
        if name == "blobs" {
            let target = Target::Digest(digest(image.digest()));
            let read = layout.manifest(ALPINE, &target, NameScope::FullNames).await;
            let error = read.err().unwrap().to_string();
            assert!(error.ends_with(OUTSIDE), "{error}");
            let error = upload(&layout, Bytes::from("x"), Digest::sha256(b"x").as_str()).await;
            assert!(error.is_err());
            assert_eq!(
                std::fs::read_dir(outside.join("sha256")).unwrap().count(),
                3
            );
        } else {
            let error = open_layout(&folder.layout())
                .await
                .err()
                .unwrap()
                .to_string();
            assert!(error.ends_with(OUTSIDE), "{name}: {error}");
        }
    }
}

#[tokio::test]
async fn a_written_index_replaces_a_link_and_not_its_target() {
    let (folder, layout, image) = world().await;
    let (index, copy) = (
        folder.layout().join("index.json"),
        folder.layout().join("copy.json"),
    );
    std::fs::rename(&index, &copy).unwrap();
    symlink("copy.json", &index).unwrap();
    push(&layout, "docker.io/library/alpine:3.21", &image).await;
    layout.finish(false).await.unwrap();
    assert!(index.symlink_metadata().unwrap().is_file());
    assert_eq!(folder.roots().len(), 2);
    let copied: Value = serde_json::from_slice(&std::fs::read(copy).unwrap()).unwrap();
    assert_eq!(copied["manifests"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn pipes_and_directories_are_no_blobs() {
    let (folder, layout, image) = world().await;
    let blob = &image.blobs()[0];
    let described = descriptor(blob.digest(), blob.size());
    let file = folder.blob(blob.digest());
    std::fs::remove_file(&file).unwrap();
    mknodat(CWD, &file, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let error = read_blob(&layout, &described, 0).await.unwrap_err();
    assert!(
        error.to_string().ends_with("it is not a regular file"),
        "{error}"
    );
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert!(read_blob(&layout, &described, 0).await.is_err());
}

#[tokio::test]
async fn systems_without_confined_lookups_follow_no_link() {
    let (folder, _layout, image) = world().await;
    let endpoint = Endpoint::in_file(FileKind::Layout, &folder.layout());
    let directory =
        super::super::directory::LayoutDirectory::open(&folder.layout(), &endpoint).unwrap();
    let path = blob_path::path(&digest(image.digest()));
    let flags = rustix::fs::OFlags::RDONLY;
    assert!(directory.open_without_links(&path, flags).is_ok());
    let blobs = folder.layout().join("blobs");
    std::fs::rename(&blobs, folder.layout().join("real")).unwrap();
    symlink("real", &blobs).unwrap();
    assert!(directory.open_without_links(&path, flags).is_err());
    assert!(directory.open_file(&path).is_ok());
}
