//! Lists over stores in memory, with every request.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::time::{Duration, SystemTime};

use image_syncer_registry::{ErrorKind, Manifest};

use super::*;
use crate::store::memory::{MemoryStores, attestation, entry, error, repository};

const APP: &str = "r.example/team/app";

/// Stores with `latest` and `v1`, one index of two platforms and an attestation, and `v2`, a single image.
fn filled() -> (MemoryStores, Manifest, Manifest) {
    let stores = MemoryStores::new();
    let app = repository(APP);
    let amd64 = stores.image(&app, "amd64", "linux/amd64", &["base", "amd"]);
    let arm64 = stores.image(&app, "arm64", "linux/arm64/v8", &["base", "arm"]);
    let provenance = stores.image(&app, "provenance", "unknown/unknown", &["statement"]);
    let index = stores.index(
        &app,
        "index",
        &[
            entry(&amd64, Some("linux/amd64")),
            entry(&arm64, Some("linux/arm64/v8")),
            attestation(&provenance, &amd64),
        ],
    );
    stores.tag(&app, "latest", &index);
    stores.tag(&app, "v1", &index);
    stores.tag(&app, "v2", &amd64);
    (stores, index, amd64)
}

async fn items(stores: &MemoryStores, text: &str, detail: ImageDetail) -> Vec<ImageListItem> {
    let scope = ImageScope::parse(text).unwrap();
    let parts = list(Arc::new(stores.clone()), &scope, detail);
    parts.collect::<Vec<_>>().await.concat()
}

async fn images(stores: &MemoryStores, text: &str, detail: ImageDetail) -> Vec<ListedImage> {
    let items = items(stores, text, detail).await.into_iter();
    let image = |item| match item {
        ImageListItem::Image(image) => *image,
        other => panic!("no image: {other:?}"),
    };
    items.map(image).collect()
}

/// Returns names with their digests by name.
fn digests(stores: &MemoryStores, images: &[ListedImage]) -> Vec<String> {
    let shown = |image: &ListedImage| {
        let digest = image.digest.as_ref().map(|digest| stores.name(digest));
        format!(
            "{} {}",
            image.name,
            digest.unwrap_or_else(|| "-".to_owned())
        )
    };
    images.iter().map(shown).collect()
}

#[tokio::test]
async fn names_cost_a_request_for_each_page() {
    let (stores, ..) = filled();
    let listed = images(&stores, APP, ImageDetail::Names).await;
    let names = ["latest", "v1", "v2"].map(|tag| format!("{APP}:{tag} -"));
    assert_eq!(digests(&stores, &listed), names);
    assert_eq!(stores.calls(), ["tags r.example/team/app"; 2]);
}

#[tokio::test]
async fn digests_cost_a_head_for_each_tag() {
    let (stores, ..) = filled();
    let listed = images(&stores, APP, ImageDetail::Digests).await;
    let shown = ["latest index", "v1 index", "v2 amd64"].map(|it| format!("{APP}:{it}"));
    assert_eq!(digests(&stores, &listed), shown);
    let heads = ["latest", "v1", "v2"].map(|tag| format!("resolve {APP}:{tag}"));
    let lists = [0; 2].map(|_| format!("tags {APP}"));
    assert_eq!(stores.take_sorted(), [&heads[..], &lists].concat());
}

#[tokio::test]
async fn listed_digests_cost_no_further_request() {
    let (stores, ..) = filled();
    stores.list_digests("r.example");
    let pushed = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    stores.list_time(APP, "v2", pushed);
    let listed = images(&stores, &format!("{APP}:/^v/"), ImageDetail::Digests).await;
    let shown = ["v1 index", "v2 amd64"].map(|it| format!("{APP}:{it}"));
    assert_eq!(digests(&stores, &listed), shown);
    assert_eq!(listed[1].pushed, Some(pushed));
    assert_eq!(stores.count("resolve"), 0);
}

#[tokio::test]
async fn contents_are_fetched_once_for_all_tags() {
    let (stores, index, amd64) = filled();
    let listed = images(&stores, APP, ImageDetail::Contents).await;
    // One GET for each tag instead of HEAD and GET, and one for each part that is new.
    let expected = [
        "manifest r.example/team/app:latest",
        "manifest r.example/team/app:v1",
        "manifest r.example/team/app:v2",
        "manifest r.example/team/app@amd64",
        "manifest r.example/team/app@arm64",
        "manifest r.example/team/app@provenance",
        "read-blob r.example/team/app@amd64.config",
        "tags r.example/team/app",
        "tags r.example/team/app",
    ];
    let calls = stores.take_sorted();
    // The tag `v2` may bring the manifest that the index names as well.
    let calls: Vec<&String> = calls
        .iter()
        .filter(|call| !call.ends_with("@amd64"))
        .collect();
    let expected: Vec<&str> = expected
        .into_iter()
        .filter(|it| !it.ends_with("@amd64"))
        .collect();
    assert_eq!(calls, expected);
    let [latest, v1, v2] = &listed[..] else {
        panic!("{listed:?}")
    };
    assert_eq!(latest.digest.as_ref(), Some(index.digest()));
    assert_eq!(latest.summary, v1.summary);
    let summary = latest.summary.as_ref().unwrap();
    assert_eq!(summary.kind, ImageKind::Index);
    let platforms: Vec<_> = summary
        .platforms
        .iter()
        .map(|it| it.platform.to_string())
        .collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64/v8"]);
    let [one, other] = [0, 1].map(|number| summary.platforms[number].size.unwrap());
    // The layer that both platforms have counts once; the attestation belongs to the image.
    let attestation = summary.size.unwrap() + 4 - index.size() - one - other;
    assert!(attestation > 0, "{summary:?}");
    let single = v2.summary.as_ref().unwrap();
    assert_eq!(single.kind, ImageKind::Image);
    assert_eq!(single.size, Some(one));
    assert_eq!(single.platforms[0].digest, *amd64.digest());
    assert_eq!(single.platforms[0].platform.to_string(), "linux/amd64");
    assert!(
        listed
            .iter()
            .all(|it| it.failure.is_none() && it.referrers.is_none())
    );
}

#[tokio::test]
async fn named_images_are_looked_up_and_no_list_is_read() {
    let (stores, index, _) = filled();
    for (detail, verb) in [
        (ImageDetail::Names, "resolve"),
        (ImageDetail::Digests, "resolve"),
        (ImageDetail::Contents, "manifest"),
    ] {
        let listed = images(&stores, &format!("{APP}:v2,v9"), detail).await;
        let shown = ["v2 amd64", "v9 -"].map(|it| format!("{APP}:{it}"));
        assert_eq!(digests(&stores, &listed), shown);
        let failure = listed[1].failure.as_ref().unwrap();
        assert_eq!(failure.kind, Some(ErrorKind::NotFound));
        assert!(
            failure.reason.starts_with("cannot find team/app:v9"),
            "{failure}"
        );
        let mut calls = stores.take_sorted();
        calls.retain(|call| !call.starts_with("read-blob"));
        assert_eq!(calls, ["v2", "v9"].map(|tag| format!("{verb} {APP}:{tag}")));
    }
    let by_digest = format!("{APP}@{}", index.digest());
    let listed = images(&stores, &by_digest, ImageDetail::Digests).await;
    assert_eq!(digests(&stores, &listed), [format!("{by_digest} index")]);
    assert_eq!(stores.take_sorted(), [format!("resolve {APP}@index")]);
}

#[tokio::test]
async fn a_tag_that_moved_after_it_was_listed_is_resolved_again() {
    let (stores, index, amd64) = filled();
    stores.list_digests("r.example");
    let app = repository(APP);
    let gone = stores.image(&app, "gone", "linux/amd64", &["old"]);
    stores.list_digest(APP, "v2", Some(gone.digest()));
    stores.list_digest(APP, "v1", Some(gone.digest()));
    stores.remove_manifest(&app, gone.digest());
    stores.untag(&app, "v1");
    let listed = images(
        &stores,
        &format!("{APP}:/^v2|^latest/"),
        ImageDetail::Contents,
    )
    .await;
    assert_eq!(listed[0].digest.as_ref(), Some(index.digest()));
    assert_eq!(listed[1].digest.as_ref(), Some(amd64.digest()));
    assert!(listed[1].failure.is_none() && listed[1].summary.is_some());
    assert_eq!(stores.count("resolve"), 1);
}

#[tokio::test]
async fn an_image_without_a_part_is_listed_with_what_is_there() {
    let (stores, index, amd64) = filled();
    stores.remove_manifest(&repository(APP), amd64.digest());
    let listed = images(&stores, &format!("{APP}:latest"), ImageDetail::Contents).await;
    let image = &listed[0];
    assert_eq!(image.digest.as_ref(), Some(index.digest()));
    let summary = image.summary.as_ref().unwrap();
    assert_eq!(summary.size, None);
    assert_eq!(summary.platforms.len(), 2);
    assert_eq!(summary.platforms[0].size, None);
    let failure = image.failure.as_ref().unwrap();
    assert!(
        failure
            .reason
            .ends_with("an index of the image lists it for linux/amd64"),
        "{failure}"
    );
}

#[tokio::test]
async fn repositories_are_listed_and_a_pattern_with_tags_lists_images() {
    let (stores, ..) = filled();
    for name in [
        "r.example/team/web/api",
        "r.example/team/web",
        "r.example/other/app",
    ] {
        let image = stores.image(&repository(name), name, "linux/amd64", &["base"]);
        stores.tag(&repository(name), "v1", &image);
    }
    let repositories = async |text: &str| -> Vec<String> {
        let items = items(&stores, text, ImageDetail::Digests).await.into_iter();
        let name = |item| match item {
            ImageListItem::Repository(repository) => repository.to_string(),
            other => panic!("no repository: {other:?}"),
        };
        items.map(name).collect()
    };
    let all = ["other/app", "team/app", "team/web", "team/web/api"];
    let all = all.map(|path| format!("r.example/{path}"));
    assert_eq!(repositories("r.example").await, all);
    assert_eq!(repositories("r.example/team/*").await, all[1..3]);
    stores.take_sorted();
    let listed = images(&stores, "r.example/team/*:/^v1/", ImageDetail::Names).await;
    let names: Vec<&str> = listed.iter().map(|image| image.name.as_str()).collect();
    assert_eq!(names, ["r.example/team/app:v1", "r.example/team/web:v1"]);
    let tags = |name: &str| [0; 2].map(|_| format!("tags r.example/team/{name}"));
    let mut calls = stores.take_sorted();
    calls.retain(|call| call.starts_with("tags"));
    assert_eq!(calls, [tags("app"), tags("web")].concat());
}

#[tokio::test]
async fn a_list_that_fails_is_an_entry_and_the_others_are_read() {
    let (stores, ..) = filled();
    let web = repository("r.example/team/web");
    let image = stores.image(&web, "web", "linux/amd64", &["base"]);
    stores.tag(&web, "v1", &image);
    stores.fail("tags r.example/team/app", 9, || {
        error(ErrorKind::Denied, "r.example")
    });
    let items = items(&stores, "r.example/team/*:/./", ImageDetail::Names).await;
    let [
        ImageListItem::Failed { place, failure },
        ImageListItem::Image(image),
    ] = &items[..]
    else {
        panic!("{items:?}")
    };
    assert_eq!(place, APP);
    assert_eq!(failure.kind, Some(ErrorKind::Denied));
    assert_eq!(image.name, "r.example/team/web:v1");
}

#[tokio::test]
async fn many_images_come_in_parts_and_few_requests_are_in_flight() {
    let stores = MemoryStores::new();
    let app = repository(APP);
    let image = stores.image(&app, "image", "linux/amd64", &["base"]);
    for number in 0..250 {
        stores.tag(&app, &format!("v{number:03}"), &image);
    }
    let gate = stores.block_calls("resolve");
    let scope = ImageScope::parse(APP).unwrap();
    let parts = list(Arc::new(stores.clone()), &scope, ImageDetail::Digests);
    let reading = tokio::spawn(parts.map(|part| part.len()).collect::<Vec<_>>());
    gate.reached(CONCURRENT).await;
    tokio::task::yield_now().await;
    assert_eq!(gate.count(), CONCURRENT);
    gate.open();
    assert_eq!(reading.await.unwrap(), [100, 100, 50]);
}

#[test]
fn scopes() {
    let directory = tempfile::tempdir().unwrap();
    let file = format!("oci:{}", directory.path().display());
    for (text, repositories, local) in [
        (APP, false, false),
        ("r.example", true, false),
        ("localhost:5000", true, false),
        ("nginx", false, false),
        ("r.example/team/**", true, false),
        ("r.example/{a,b}", false, false),
        ("r.example/team/*:v1", false, false),
        (file.as_str(), false, true),
        (&format!("{file}#*"), false, true),
        (&format!("{file}#quay.io/a/b:v1"), false, true),
    ] {
        let scope = ImageScope::parse(text).unwrap();
        assert_eq!(scope.has_repositories(), repositories, "{text}");
        assert_eq!(scope.is_local(), local, "{text}");
        assert_eq!(scope.to_string(), text);
    }
    for (text, why) in [
        ("", "the source is empty"),
        ("r.example/app:/v/x", "the expression has no closing slash"),
        (
            "r.example/{a,b/*}",
            "stands for the repository r.example/a and the pattern r.example/b/*. List them one after the other.",
        ),
        ("oci:", "oci:"),
        (&format!("{file}#[a"), "unclosed character class"),
    ] {
        let error = ImageScope::parse(text).unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}
