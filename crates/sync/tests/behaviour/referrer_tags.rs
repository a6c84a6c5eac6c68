//! Tags that name what refers to an image, in rules that list a repository, over the real client.

use std::collections::BTreeSet;
use std::sync::Arc;

use registry::Digest;
use sync::config::Settings;
use sync::store::Stores;
use testkit::profile::Referrers;
use testkit::{Image, Layer, Profile, Registry};

use crate::kit::{repository, stores_of};
use crate::run::{copy, settings};

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
async fn a_list_whose_subject_is_nowhere_is_merged_into_what_stands_there() {
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
    let store = stores_of(&[&destination]).store(&repository(&destination, "to/app"));
    let subject = Digest::parse(gone.digest()).unwrap();
    let listed = store.referrers_for_push(&subject).await.unwrap();
    let listed: BTreeSet<String> = listed.iter().map(|one| one.digest.to_string()).collect();
    let both = [ours.digest(), theirs.digest()].map(str::to_owned);
    assert_eq!(listed, BTreeSet::from(both));
    // Again: all of it is there.
    let (summary, _) = copy(&source, &[&destination], "", accompanied()).await;
    assert_eq!((summary.discovered, summary.unchanged), (2, 2));
}
