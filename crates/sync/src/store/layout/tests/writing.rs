//! Writing of blobs, manifests and the index.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use image_syncer_registry::ErrorKind;
use testkit::image::Layer;
use tokio::sync::Notify;

use super::*;

/// A source whose first bytes come at once, and the others when it is released.
struct Held {
    bytes: Bytes,
    opened: Notify,
    release: Arc<Notify>,
}

impl BlobSource for Held {
    fn open(&self, _offset: u64) -> BoxFuture<'_, Result<BlobStream, Error>> {
        let (first, rest) = (self.bytes.slice(..1), self.bytes.slice(1..));
        let release = Arc::clone(&self.release);
        self.opened.notify_one();
        let rest = stream::once(async move {
            release.notified().await;
            Ok(rest)
        });
        let bytes = stream::iter([Ok(first)]).chain(rest);
        std::future::ready(Ok(BlobStream::new(bytes.boxed()))).boxed()
    }
}

/// A source that breaks after some bytes.
struct Broken;

impl BlobSource for Broken {
    fn open(&self, _offset: u64) -> BoxFuture<'_, Result<BlobStream, Error>> {
        let error = Error::new(ErrorKind::Broken, "fetch blob", "r.example", "it broke");
        let bytes = stream::iter([Ok(Bytes::from(vec![7; 300_000])), Err(error)]);
        std::future::ready(Ok(BlobStream::new(bytes))).boxed()
    }
}

/// A source that never ends.
struct Endless;

impl BlobSource for Endless {
    fn open(&self, _offset: u64) -> BoxFuture<'_, Result<BlobStream, Error>> {
        let bytes = stream::repeat_with(|| Ok(Bytes::from(vec![7; 300_000])));
        let size = image_syncer_registry::BlobSize::known(700_000);
        let bytes = BlobStream::new(bytes).with_size(&size);
        std::future::ready(Ok(bytes)).boxed()
    }
}

/// A source that is not to be read.
struct Unread;

impl BlobSource for Unread {
    fn open(&self, _offset: u64) -> BoxFuture<'_, Result<BlobStream, Error>> {
        panic!("the blob is written already")
    }
}

#[tokio::test]
async fn wrong_bytes_and_broken_sources_leave_no_file() {
    let folder = Folder::new();
    let layout = folder.open().await;
    let wrong = Digest::sha256(b"other").to_string();
    let error = upload(&layout, Bytes::from("bytes"), &wrong)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let found = Digest::sha256(b"bytes");
    let why = format!("the 5 bytes that came have the digest {found}");
    assert!(error.to_string().ends_with(&why), "{error}");
    let broken = LayoutUpload::open(&layout, &descriptor(&wrong, 400_000));
    let error = broken.send(&Broken).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot fetch blob at r.example: it broke"
    );
    let unknown = format!("blake3:{}", found.encoded());
    let error = upload(&layout, Bytes::from("bytes"), &unknown)
        .await
        .unwrap_err();
    assert!(
        error.to_string().ends_with("only sha256 and sha512 can"),
        "{error}"
    );
    assert_eq!(
        folder.files(),
        [".image-syncer-lock", "index.json", "oci-layout"]
    );
    layout.finish(false).await.unwrap();
    assert_eq!(folder.files(), ["index.json", "oci-layout"]);
}

#[tokio::test]
async fn a_source_with_more_bytes_than_it_states_is_cut_off() {
    let folder = Folder::new();
    let layout = folder.open().await;
    let blob = descriptor(Digest::sha256(b"x").as_str(), 700_000);
    let error = LayoutUpload::open(&layout, &blob)
        .send(&Endless)
        .await
        .unwrap_err();
    assert!(
        error.to_string().ends_with("more than 700000 bytes came"),
        "{error}"
    );
}

#[tokio::test]
async fn a_second_upload_of_a_blob_waits_for_the_first_and_reads_nothing() {
    let folder = Folder::new();
    let layout = folder.open().await;
    let bytes = Bytes::from(vec![5; 2_000_000]);
    let blob = descriptor(Digest::sha256(&bytes).as_str(), 2_000_000);
    let release = Arc::new(Notify::new());
    let held = Held {
        bytes: bytes.clone(),
        opened: Notify::new(),
        release: Arc::clone(&release),
    };
    let first = LayoutUpload::open(&layout, &blob).send(&held);
    let second = async {
        held.opened.notified().await;
        let mut second = LayoutUpload::open(&layout, &blob);
        {
            let mut reserved = std::pin::pin!(second.reserve());
            assert!(reserved.as_mut().now_or_never().is_none());
            release.notify_one();
            reserved.await.unwrap();
        }
        second.send(&Unread).await
    };
    let (first, second) = tokio::join!(first, second);
    first.unwrap();
    second.unwrap();
    assert_eq!(layout.blobs.len(), 0);
    assert_eq!(read_blob(&layout, &blob, 0).await.unwrap(), bytes);
    // A later upload is believed to know better: the blob may be damaged.
    std::fs::write(folder.blob(blob.digest.as_str()), vec![6; 2_000_000]).unwrap();
    upload(&layout, bytes.clone(), blob.digest.as_str())
        .await
        .unwrap();
    assert_eq!(read_blob(&layout, &blob, 0).await.unwrap(), bytes);
}

#[tokio::test]
async fn a_second_upload_goes_on_where_the_first_was_cancelled() {
    let folder = Folder::new();
    let layout = folder.open().await;
    let bytes = Bytes::from("some bytes");
    let blob = descriptor(Digest::sha256(&bytes).as_str(), 10);
    let held = Held {
        bytes: bytes.clone(),
        opened: Notify::new(),
        release: Arc::default(),
    };
    let mut first = Box::pin(LayoutUpload::open(&layout, &blob).send(&held));
    tokio::select! {
        _ = &mut first => panic!("it is held"),
        () = held.opened.notified() => {}
    }
    let second = LayoutUpload::open(&layout, &blob);
    let source = Memory(bytes.clone());
    let mut second = std::pin::pin!(second.send(&source));
    assert!(second.as_mut().now_or_never().is_none());
    drop(first);
    second.await.unwrap();
    assert_eq!(read_blob(&layout, &blob, 0).await.unwrap(), bytes);
    layout.finish(false).await.unwrap();
    assert_eq!(folder.files().len(), 3);
}

#[tokio::test]
async fn an_image_without_its_blobs_is_not_named() {
    let folder = Folder::new();
    let layout = folder.open().await;
    let layers = [Layer::tar("a", 100), Layer::tar("b", 100)];
    let image = Image::single(
        layers
            .clone()
            .into_iter()
            .chain([Layer::nondistributable("c", 9)]),
    );
    let config = image
        .blobs()
        .iter()
        .find(|blob| layers.iter().all(|layer| layer.digest() != blob.digest()));
    let config = config.unwrap();
    upload(&layout, config.bytes().unwrap(), config.digest())
        .await
        .unwrap();
    let (target, root) = (Target::Tag(tag("v1")), manifest(image.root()));
    let put = layout.put_manifest("quay.io/a/b", &target, &root).await;
    let error = Error::from(put.unwrap_err());
    assert_eq!(error.kind(), ErrorKind::MissingContent);
    let missing: Vec<&str> = error.missing().iter().map(Digest::as_str).collect();
    assert_eq!(missing, [layers[0].digest(), layers[1].digest()]);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot write manifest quay.io/a/b:v1 at oci:{}: it lacks {}, {}",
            folder.layout().display(),
            layers[0].digest(),
            layers[1].digest()
        )
    );
    layout.finish(false).await.unwrap();
    assert_eq!(folder.roots(), []);
}

#[tokio::test]
async fn schema_1_is_refused() {
    let folder = Folder::new();
    let layout = folder.open().await;
    let image = Image::schema1("a/b", "v1", [Layer::tar("a", 100)]);
    let (target, root) = (Target::Tag(tag("v1")), manifest(image.root()));
    let error = layout
        .put_manifest("quay.io/a/b", &target, &root)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.to_string().contains("it has schema 1"), "{error}");
    assert!(!folder.layout().exists());
}

#[tokio::test(start_paused = true)]
async fn the_index_is_written_every_five_seconds_while_it_lacks_names() {
    let folder = Folder::new();
    let layout = folder.open().await;
    let image = Image::single([]);
    push(&layout, "quay.io/a/b:v1", &image).await;
    push(&layout, "quay.io/a/b:v2", &image).await;
    assert_eq!((folder.roots().len(), layout.index_writes()), (0, 0));
    while layout.index_writes() == 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(folder.roots().len(), 2);
    // The same names again are no change.
    push(&layout, "quay.io/a/b:v2", &image).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(layout.index_writes(), 1);
    push(&layout, "quay.io/a/b:v3", &image).await;
    layout.finish(false).await.unwrap();
    assert_eq!((folder.roots().len(), layout.index_writes()), (3, 2));
    layout.finish(false).await.unwrap();
    assert_eq!(layout.index_writes(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failed_write_of_the_index_names_its_images_and_is_tried_again() {
    let folder = Folder::new();
    let layout = folder.open().await;
    let image = Image::single([]);
    push(&layout, "quay.io/a/b:v1", &image).await;
    layout.finish(false).await.unwrap();
    let index = folder.layout().join("index.json");
    push(&layout, "quay.io/a/b:v2", &image).await;
    push(&layout, "quay.io/a/b:v3", &image).await;
    std::fs::remove_file(&index).unwrap();
    std::fs::create_dir(&index).unwrap();
    while !crate::lock::lock(&layout.state).has_failed {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The images that follow fail as long as the index cannot be written.
    let (target, root) = (Target::Tag(tag("v4")), manifest(image.root()));
    let failed = layout.put_manifest("quay.io/a/b", &target, &root).await;
    assert!(
        failed
            .unwrap_err()
            .to_string()
            .contains("cannot write index.json")
    );
    let unwritten = layout.finish(false).await.unwrap_err();
    assert_eq!(
        unwritten.names,
        ["quay.io/a/b:v2", "quay.io/a/b:v3", "quay.io/a/b:v4"]
    );
    let shown = folder.layout().display().to_string();
    assert_eq!(
        unwritten.to_string(),
        format!("cannot write index.json in oci:{shown}: it is a directory")
    );
    std::fs::remove_dir(&index).unwrap();
    layout.finish(false).await.unwrap();
    assert_eq!(folder.roots().len(), 4);
    let files = folder.files();
    assert!(
        !files.iter().any(|name| name.contains("image-syncer")),
        "{files:?}"
    );
}

#[tokio::test]
async fn a_layout_that_is_dropped_writes_its_names() {
    let folder = Folder::new();
    let layout = folder.open().await;
    push(&layout, "quay.io/a/b:v1", &Image::single([])).await;
    assert_eq!(folder.roots(), []);
    drop(layout);
    assert_eq!(folder.roots().len(), 1);
    assert_eq!(folder.files().len(), 4);
}
