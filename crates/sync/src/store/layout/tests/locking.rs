//! The lock of a layout.

use std::time::Duration;

use image_syncer_registry::ErrorKind;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_second_writer_waits_five_seconds_and_names_the_first() {
    let folder = Folder::new();
    let first = folder.open().await;
    let image = Image::single([]);
    push(&first, "quay.io/a/b:v1", &image).await;
    let second = folder.open().await;
    let bytes = image.blobs()[0].bytes().unwrap();
    let started = tokio::time::Instant::now();
    let error = upload(&second, bytes, image.blobs()[0].digest())
        .await
        .unwrap_err();
    let waited = started.elapsed();
    assert!(
        waited >= Duration::from_secs(5) && waited < Duration::from_secs(6),
        "{waited:?}"
    );
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot lock the layout at oci:{}: process {} has been writing to it for 5 seconds. Wait for its end, or name \
             another path",
            folder.layout().display(),
            std::process::id()
        )
    );
    // A reader needs no lock.
    second.require().unwrap();
    let target = Target::Digest(digest(image.digest()));
    second
        .manifest("quay.io/a/b", &target, NameScope::FullNames)
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_writer_goes_on_with_the_names_of_the_one_before() {
    let folder = Folder::new();
    let (first, second) = (folder.open().await, folder.open().await);
    let image = Image::single([]);
    push(&first, "quay.io/a/b:v1", &image).await;
    let finish = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        first.finish(false).await.unwrap();
    };
    tokio::join!(finish, push(&second, "quay.io/a/b:v2", &image));
    second.finish(false).await.unwrap();
    // The first takes the lock again.
    push(&first, "quay.io/a/b:v3", &image).await;
    first.finish(false).await.unwrap();
    let names: Vec<String> = folder.roots().into_iter().map(|root| root.0).collect();
    assert_eq!(
        names,
        ["quay.io/a/b:v1", "quay.io/a/b:v2", "quay.io/a/b:v3"]
    );
    assert_eq!(folder.files().len(), 4);
}

#[tokio::test]
async fn the_files_of_a_killed_writer_are_removed_and_others_stay() {
    let folder = Folder::new();
    let layout = folder.open().await;
    push(&layout, "quay.io/a/b:v1", &Image::single([])).await;
    layout.finish(false).await.unwrap();
    let write = |name: &str| std::fs::write(folder.layout().join(name), "1").unwrap();
    for name in [
        ".image-syncer-partial-0",
        ".image-syncer-partial-99",
        ".image-syncer-lock",
    ] {
        write(name);
    }
    write("notes.txt");
    let layout = folder.open().await;
    assert_eq!(folder.files().len(), 8, "a reader removes nothing");
    push(&layout, "quay.io/a/b:v2", &Image::single([])).await;
    layout.finish(false).await.unwrap();
    let files = folder.files();
    assert_eq!(
        files[2..],
        ["index.json", "notes.txt", "oci-layout"],
        "{files:?}"
    );
}

#[tokio::test]
async fn a_layout_that_a_killed_writer_began_is_completed() {
    for files in [
        &[".image-syncer-lock"][..],
        &[".image-syncer-partial-0", ".image-syncer-lock"],
        &[".image-syncer-partial-1", "oci-layout"],
    ] {
        let folder = Folder::new();
        std::fs::create_dir(folder.layout()).unwrap();
        for name in files {
            let text = r#"{"imageLayoutVersion":"1.0.0"}"#;
            std::fs::write(folder.layout().join(name), text).unwrap();
        }
        let layout = folder.open().await;
        assert!(layout.require().is_err());
        push(&layout, "quay.io/a/b:v1", &Image::single([])).await;
        layout.finish(false).await.unwrap();
        assert_eq!(folder.roots().len(), 1);
        assert_eq!(folder.files().len(), 4);
    }
}
