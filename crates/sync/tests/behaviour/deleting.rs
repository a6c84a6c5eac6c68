//! Deletion at destinations.

use std::sync::Arc;

use image_syncer_registry::{Digest, ErrorKind, ManifestPresence, Tag, Target};
use image_syncer_sync::store::Destination;
use testkit::{Image, Layer, Profile};

use crate::kit;

/// Deletes the tag `v1` and then the manifest of `image`, which has the tags `v1` and `v2`.
async fn delete_tag_and_manifest(destination: Arc<dyn Destination>, image: &Image) {
    let tag = |tag| Target::Tag(Tag::parse(tag).unwrap());
    let digest = Target::Digest(Digest::parse(image.digest()).unwrap());
    let is_there = async |target: &Target| {
        let found = destination.resolve(target).await.unwrap();
        matches!(found, ManifestPresence::Present(_))
    };
    assert!(is_there(&tag("v1")).await);
    destination.delete(&tag("v1")).await.unwrap();
    assert!(!is_there(&tag("v1")).await);
    assert!(is_there(&tag("v2")).await);
    destination.delete(&digest).await.unwrap();
    assert!(!is_there(&tag("v2")).await);
    for target in [tag("v1"), digest] {
        let error = destination.delete(&target).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
}

#[tokio::test]
async fn a_registry_deletes_tags_and_manifests() {
    let server = testkit::Registry::start(Profile::zot()).await;
    let image = Image::single([Layer::synthetic(1000, 1)]);
    for tag in ["v1", "v2"] {
        server.push("a", Some(tag), &image);
    }
    let stores = kit::stores_of(&[&server]);
    delete_tag_and_manifest(kit::destination(&stores, &server, "a"), &image).await;
}
