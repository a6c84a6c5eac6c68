//! Reading of manifests and blobs, damaged ones included.

use image_syncer_registry::{ErrorKind, Presence};
use testkit::image::Layer;

use super::*;

/// A layout with one image and its layer of 600,000 bytes.
async fn world() -> (Folder, Arc<Layout>, Image, Descriptor) {
    let folder = Folder::new();
    let layout = folder.open().await;
    let image = Image::single([Layer::synthetic(600_000, 1)]);
    push(&layout, "docker.io/library/alpine:3.20", &image).await;
    layout.finish(false).await.unwrap();
    let layer = image
        .blobs()
        .iter()
        .find(|blob| blob.size() == 600_000)
        .unwrap();
    let blob = descriptor(layer.digest(), layer.size());
    (folder, layout, image, blob)
}

fn bytes_of(image: &Image, digest: &Digest) -> Bytes {
    let found = image
        .blobs()
        .iter()
        .find(|blob| blob.digest() == digest.as_str());
    found.unwrap().bytes().unwrap()
}

#[tokio::test]
async fn blobs_are_read_from_any_offset() {
    let (_folder, layout, image, blob) = world().await;
    let whole = bytes_of(&image, &blob.digest);
    for offset in [0, 1, 262_144, 599_999, 600_000] {
        let read = read_blob(&layout, &blob, offset).await.unwrap();
        assert!(
            read == whole[usize::try_from(offset).unwrap()..],
            "{offset}"
        );
    }
    let error = read_blob(&layout, &blob, 600_001).await.unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("it has 600000 bytes, and byte 600001 was requested")
    );
    let stream = layout.open_blob(&blob, 9).await.unwrap();
    assert_eq!(stream.size().get(), Some(600_000));
    assert_eq!(layout.read_blob(&blob, 600_000).await.unwrap(), whole);
    let error = layout
        .read_blob(&blob, 599_999)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("it has 600000 bytes, more than the 599999 that are read"),
        "{error}"
    );
}

#[tokio::test]
async fn an_empty_blob_is_read() {
    let folder = Folder::new();
    let layout = folder.open().await;
    let empty = Digest::sha256(b"").to_string();
    upload(&layout, Bytes::new(), &empty).await.unwrap();
    let blob = descriptor(&empty, 0);
    assert_eq!(read_blob(&layout, &blob, 0).await.unwrap(), b"");
    assert_eq!(layout.head_blob(&blob).await.unwrap(), Presence::Present);
    layout.finish(false).await.unwrap();
}

#[tokio::test]
async fn a_damaged_blob_never_completes() {
    let (folder, layout, image, blob) = world().await;
    let mut bytes = bytes_of(&image, &blob.digest).to_vec();
    bytes[0] ^= 1;
    std::fs::write(folder.blob(blob.digest.as_str()), &bytes).unwrap();
    let mut stream = layout.open_blob(&blob, 0).await.unwrap();
    let mut read = 0;
    let error = loop {
        match stream.try_next().await {
            Ok(chunk) => read += chunk.unwrap().len(),
            Err(error) => break error,
        }
    };
    assert!(read < 600_000, "the last chunk is held back");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let found = Digest::sha256(&bytes);
    let why = format!("it is damaged: its 600000 bytes have the digest {found}");
    assert!(error.to_string().ends_with(&why), "{error}");
    // Its length is right, so that only reading finds the damage.
    assert_eq!(layout.head_blob(&blob).await.unwrap(), Presence::Present);
}

#[tokio::test]
async fn a_blob_of_another_length_is_refused_before_it_is_read() {
    let (folder, layout, _, blob) = world().await;
    let file = std::fs::File::options()
        .write(true)
        .open(folder.blob(blob.digest.as_str()));
    file.unwrap().set_len(500_000).unwrap();
    let error = layout.open_blob(&blob, 0).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let why = "it is damaged: the file has 500000 bytes instead of 600000";
    assert!(error.to_string().ends_with(why), "{error}");
    assert_eq!(
        layout.head_blob(&blob).await.unwrap(),
        Presence::WrongSize(500_000)
    );
}

#[tokio::test]
async fn a_wrong_size_in_a_descriptor_is_no_damage() {
    let (_folder, layout, image, mut blob) = world().await;
    let whole = bytes_of(&image, &blob.digest);
    for size in [Some(599_999), Some(0), None] {
        blob.size = size;
        assert!(
            read_blob(&layout, &blob, 0).await.unwrap() == whole,
            "{size:?}"
        );
        assert!(
            read_blob(&layout, &blob, 500).await.unwrap() == whole[500..],
            "{size:?}"
        );
    }
}

#[tokio::test]
async fn missing_blobs_and_manifests_are_named() {
    let (folder, layout, image, blob) = world().await;
    std::fs::remove_file(folder.blob(blob.digest.as_str())).unwrap();
    let error = layout.open_blob(&blob, 0).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot read blob {} in oci:{}: there is no such file or directory",
            blob.digest,
            folder.layout().display()
        )
    );
    assert_eq!(layout.head_blob(&blob).await.unwrap(), Presence::Absent);

    std::fs::remove_file(folder.blob(image.digest())).unwrap();
    let by_tag = Target::Tag(tag("3.20"));
    let error = layout
        .manifest(ALPINE, &by_tag, NameScope::FullNames)
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    // A source states what the index says. A destination needs the manifest.
    let scope = NameScope::FullNames;
    assert!(layout.head(ALPINE, &by_tag, scope).await.unwrap().is_some());
    assert!(
        layout
            .verified_head(ALPINE, &by_tag)
            .await
            .unwrap()
            .is_none()
    );
    let by_digest = Target::Digest(digest(image.digest()));
    assert!(
        layout
            .head(ALPINE, &by_digest, scope)
            .await
            .unwrap()
            .is_none()
    );
    let unknown = Target::Tag(tag("3.21"));
    let error = layout
        .manifest(ALPINE, &unknown, scope)
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(error.ends_with("index.json has no such name"), "{error}");
}

#[tokio::test]
async fn manifests_are_verified() {
    let (folder, layout, image, _) = world().await;
    let by_tag = Target::Tag(tag("3.20"));
    let by_digest = Target::Digest(digest(image.digest()));
    let scope = NameScope::FullNames;
    for target in [&by_tag, &by_digest] {
        let read = layout.manifest(ALPINE, target, scope).await.unwrap();
        assert_eq!(read.bytes(), &image.root().bytes);
        assert_eq!(read.media_type(), image.root().media_type);
        let head = layout.head(ALPINE, target, scope).await.unwrap().unwrap();
        assert_eq!(head.digest.as_str(), image.digest());
        assert_eq!(head.media_type.as_deref(), Some(&*image.root().media_type));
        assert_eq!(head.size, Some(image.root().bytes.len() as u64));
    }
    let file = folder.blob(image.digest());
    let text = String::from_utf8(std::fs::read(&file).unwrap()).unwrap();
    std::fs::write(&file, text.replacen("config", "c0nfig", 1)).unwrap();
    let error = layout.manifest(ALPINE, &by_tag, scope).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(layout.head(ALPINE, &by_digest, scope).await.is_err());
    assert!(
        layout
            .verified_head(ALPINE, &by_digest)
            .await
            .unwrap()
            .is_none()
    );
    // The damaged one is written again.
    push(&layout, "docker.io/library/alpine:3.20", &image).await;
    layout.manifest(ALPINE, &by_tag, scope).await.unwrap();
    // A manifest above the limit is not read.
    let long = std::fs::File::options().write(true).open(&file).unwrap();
    long.set_len(8 * 1024 * 1024 + 1).unwrap();
    let error = layout
        .manifest(ALPINE, &by_tag, scope)
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.ends_with("it has 8388609 bytes, more than the 8388608 that are read"),
        "{error}"
    );
    layout.finish(false).await.unwrap();
}
