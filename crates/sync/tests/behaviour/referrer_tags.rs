//! Tags that name referrers, in rules that list a repository, over the real client.

use std::collections::BTreeSet;
use std::sync::Arc;

use image_syncer_registry::Digest;
use testkit::image::Platform;
use testkit::profile::Referrers;
use testkit::{Action, Fault, Image, Kind, Layer, Profile, Registry};

use crate::kit::{self, stores_of};
use crate::run::{copy, settings};
use crate::settings::Settings;

fn accompanied() -> Settings {
    Settings {
        referrers: Some(Arc::default()),
        ..settings(&[])
    }
}

async fn registry(referrers: Referrers) -> Registry {
    Registry::start(Profile {
        referrers,
        ..Profile::distribution()
    })
    .await
}

fn image(seed: u64) -> Image {
    Image::single([Layer::synthetic(1_000, seed)])
}

#[tokio::test]
async fn images_that_are_tagged_by_their_own_digests_are_images() {
    for referrers in [Referrers::Absent, Referrers::Api] {
        let (source, destination) = (registry(referrers).await, registry(referrers).await);
        let images = [image(1), Image::index([image(2), image(3)])];
        let mut tags = Vec::new();
        for (number, image) in images.iter().enumerate() {
            for tag in [format!("v{number}"), image.cosign_tag("")] {
                source.push("from/app", Some(&tag), image);
                tags.push((tag, image.digest().to_owned()));
            }
        }
        let (summary, _) = copy(&source, &[&destination], "", accompanied()).await;
        assert_eq!((summary.copied, summary.failed), (4, 0), "{referrers:?}");
        assert_eq!(summary.warnings, Vec::<String>::new());
        for (tag, digest) in &tags {
            let there = destination.state().digest("to/app", tag);
            assert_eq!(there.as_ref(), Some(digest), "{referrers:?}");
        }
    }
}

#[tokio::test]
async fn a_list_with_a_missing_subject_is_merged_into_the_existing_one() {
    let (source, destination) = (
        registry(Referrers::Absent).await,
        registry(Referrers::Absent).await,
    );
    let gone = image(1);
    let [ours, theirs] = ["ours", "theirs"]
        .map(|name| Image::referrer_of(&gone, "application/vnd.example.sbom", name));
    let tag = gone.cosign_tag("");
    for (server, path, referrer) in [
        (&source, "from/app", &ours),
        (&destination, "to/app", &theirs),
    ] {
        server.push(path, None, referrer);
        server.push(path, Some(&tag), &Image::fallback_index([referrer]));
    }
    source.push("from/app", Some("v1"), &image(2));
    let (summary, copied) = copy(&source, &[&destination], "", accompanied()).await;
    assert_eq!((summary.discovered, summary.copied), (2, 2));
    let came_along: Vec<u64> = copied.iter().map(|copied| copied.referrers).collect();
    assert_eq!(came_along, [0, 1]);
    let stores = stores_of(&[&destination]);
    let store = kit::destination(&stores, &destination, "to/app");
    let subject = Digest::parse(gone.digest()).unwrap();
    let listed = store.referrers(&subject).await.unwrap();
    let listed: BTreeSet<String> = listed.iter().map(|one| one.digest.to_string()).collect();
    let both = [ours.digest(), theirs.digest()].map(str::to_owned);
    assert_eq!(listed, BTreeSet::from(both));
    // The second run finds everything present.
    let (summary, _) = copy(&source, &[&destination], "", accompanied()).await;
    assert_eq!((summary.discovered, summary.unchanged), (2, 2));
}

/// Creates a repository with an index of two platforms. The index and each platform have a cosign signature tag and
/// referrers in a fallback tag.
fn signed_index(source: &Registry) -> Image {
    let index = Image::index([image(1), image(2)]);
    source.push("from/app", Some("v1"), &index);
    for manifest in index.manifests().iter().chain([index.root()]) {
        let tag = manifest.digest.replace(':', "-");
        let signature = Image::oci().label(&manifest.digest).build();
        source.push("from/app", Some(&format!("{tag}.sig")), &signature);
        let referrer = Image::artifact("application/x").subject(manifest).build();
        source.push("from/app", None, &referrer);
        source.push("from/app", Some(&tag), &Image::fallback_index([&referrer]));
    }
    index
}

#[tokio::test]
async fn referrers_of_children_are_not_counted() {
    for referrers in [Referrers::Absent, Referrers::Api] {
        let (source, destination) = (registry(referrers).await, registry(referrers).await);
        let index = signed_index(&source);
        let (summary, _) = copy(&source, &[&destination], "", accompanied()).await;
        assert_eq!(
            (summary.discovered, summary.copied),
            (1, 1),
            "{referrers:?}"
        );
        for _ in 0..2 {
            let (summary, _) = copy(&source, &[&destination], "", accompanied()).await;
            let ended = (summary.discovered, summary.unchanged, summary.failed);
            assert_eq!(ended, (1, 1, 0), "{referrers:?}");
        }
        // A later signature of a platform is copied with the image as well.
        let platform = &index.manifests()[0].digest;
        let late = format!("{}.att", platform.replace(':', "-"));
        source.push("from/app", Some(&late), &image(9));
        let (summary, copied) = copy(&source, &[&destination], "", accompanied()).await;
        assert_eq!(
            (summary.discovered, summary.copied),
            (1, 1),
            "{referrers:?}"
        );
        assert_eq!(copied[0].referrers, 1);
        let there = destination.state().digest("to/app", &late);
        assert_eq!(there.as_deref(), Some(image(9).digest()));
    }
}

#[tokio::test]
async fn referrers_of_skipped_and_failed_images_are_not_counted() {
    for skipped in [true, false] {
        let (source, destination) = (
            registry(Referrers::Absent).await,
            registry(Referrers::Absent).await,
        );
        signed_index(&source);
        let arch: &[&str] = if skipped { &["s390x"] } else { &[] };
        if !skipped {
            let push = Fault::on([Kind::UploadPost, Kind::Mount, Kind::ManifestPut]);
            destination.fault(push, Action::status(403));
        }
        let settings = || Settings {
            referrers: Some(Arc::default()),
            ..settings(arch)
        };
        for _ in 0..2 {
            let (summary, _) = copy(&source, &[&destination], "", settings()).await;
            let ended = (summary.discovered, summary.skipped, summary.failed);
            let expected = (1, u64::from(skipped), u64::from(!skipped));
            assert_eq!(ended, expected);
        }
    }
}

#[tokio::test]
async fn referrers_of_kept_platforms_are_not_counted() {
    let (source, destination) = (
        registry(Referrers::Absent).await,
        registry(Referrers::Absent).await,
    );
    let platforms = ["amd64", "arm64"].map(|arch| {
        Image::oci()
            .platform(Platform::new("linux", arch))
            .label(arch)
            .build()
    });
    let index = Image::index(platforms);
    source.push("from/app", Some("v1"), &index);
    for platform in index.manifests() {
        let signature = Image::oci().label(&platform.digest).build();
        let tag = format!("{}.sig", platform.digest.replace(':', "-"));
        source.push("from/app", Some(&tag), &signature);
    }
    for run in 0..3 {
        let settings = Settings {
            referrers: Some(Arc::default()),
            ..settings(&["amd64"])
        };
        let (summary, _) = copy(&source, &[&destination], "", settings).await;
        assert_eq!((summary.discovered, summary.failed), (1, 0), "{run}");
        assert_eq!(summary.unchanged, u64::from(run > 0), "{run}");
    }
    assert_eq!(destination.state().tags("to/app").len(), 2);
}
