//! Thousands of names in one layout.

use std::time::Instant;

use futures_util::{StreamExt, stream};
use testkit::image::Layer;

use super::*;

/// Writes `count` names for `images` images.
async fn push_many(layout: &Arc<Layout>, count: usize, images: &[Image]) {
    let names = (0..count).map(|number| {
        let image = &images[number % images.len()];
        async move {
            let (target, root) = (
                Target::Tag(tag(&format!("v{number}"))),
                manifest(image.root()),
            );
            layout
                .put_manifest("quay.io/a/b", &target, &root)
                .await
                .unwrap();
        }
    });
    stream::iter(names)
        .buffer_unordered(16)
        .collect::<()>()
        .await;
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_names_cost_one_write_of_the_index() {
    let folder = Folder::new();
    let layout = folder.open().await;
    let images: Vec<Image> = (0..4)
        .map(|number| Image::oci().label(number.to_string()).build())
        .collect();
    for image in &images {
        push_parts(&layout, "quay.io/a/b", image).await;
    }
    // The clock stands while threads work, so that no five seconds pass.
    push_many(&layout, 10_000, &images).await;
    layout.finish(false).await.unwrap();
    assert_eq!(layout.index_writes(), 1);
    assert_eq!(folder.roots().len(), 10_000);
    let layout = folder.open().await;
    assert_eq!(
        tags(&layout, "quay.io/a/b", NameScope::FullNames).len(),
        10_000
    );
    push_many(&layout, 10_000, &images).await;
    layout.finish(false).await.unwrap();
    assert_eq!(layout.index_writes(), 0, "nothing changed");
}

/// `cargo test --release -p image-syncer-sync layout::tests::many -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a benchmark: it prints the time for 10,000 images"]
async fn time_for_ten_thousand_images() {
    let folder = Folder(tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap());
    let layout = folder.open().await;
    let shared = Layer::tar("shared", 10_000);
    let images: Vec<Image> = (0..10_000)
        .map(|number| {
            Image::oci()
                .layer(shared.clone())
                .label(number.to_string())
                .build()
        })
        .collect();
    push_parts(&layout, "quay.io/a/b", &images[0]).await;
    let started = Instant::now();
    let layout = &layout;
    let shared = &shared;
    let pushed = images.iter().enumerate().map(|(number, image)| async move {
        for blob in image
            .blobs()
            .iter()
            .filter(|blob| blob.digest() != shared.digest())
        {
            upload(layout, blob.bytes().unwrap(), blob.digest())
                .await
                .unwrap();
        }
        let (target, root) = (
            Target::Tag(tag(&format!("v{number}"))),
            manifest(image.root()),
        );
        layout
            .put_manifest("quay.io/a/b", &target, &root)
            .await
            .unwrap();
    });
    stream::iter(pushed)
        .buffer_unordered(16)
        .collect::<()>()
        .await;
    layout.finish(false).await.unwrap();
    let elapsed = started.elapsed();
    let writes = layout.index_writes();
    let text = format!("10,000 images in {elapsed:?}, index.json written {writes} times\n");
    std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes()).unwrap();
}
