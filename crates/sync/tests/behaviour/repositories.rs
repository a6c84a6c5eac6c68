//! Lists of the repositories of a registry, and of tags with digests, through the stores.

use image_syncer_registry::ErrorKind;
use image_syncer_sync::store::{RegistryStores, RepositoryScope, StoreError, Stores, TagDetail};
use testkit::profile::{ListKind, ListingApi, ListingFault};
use testkit::{Kind, Profile};

use super::kit;

/// Returns the paths of the listed repositories, and the last total.
async fn listed(
    stores: &RegistryStores,
    server: &testkit::Registry,
    prefix: &str,
) -> Result<(Vec<String>, Option<u64>), StoreError> {
    let any = kit::repository(server, "any");
    let mut pages = stores
        .repositories(any.endpoint(), &RepositoryScope::below(prefix))
        .await?;
    let (mut paths, mut total) = (Vec::new(), None);
    while let Some(page) = pages.next().await? {
        paths.extend(page.repositories.iter().map(|it| it.path().to_owned()));
        total = page.total;
    }
    Ok((paths, total))
}

async fn harbor(profile: Profile) -> testkit::Registry {
    let names = ["base/x", "team-a/r1", "team-a/r2/deep", "team-b/r3"];
    let server = testkit::Registry::builder().profile(profile);
    server.repositories(names).start().await
}

#[tokio::test]
async fn repositories_come_from_the_api_of_the_registry() {
    let server = harbor(Profile::harbor()).await;
    let stores = kit::stores_of(&[&server]);
    let (paths, total) = listed(&stores, &server, "team-a").await.unwrap();
    assert_eq!(paths, ["team-a/r1", "team-a/r2/deep"]);
    assert_eq!(total, Some(2));
    let (paths, _) = listed(&stores, &server, "").await.unwrap();
    assert_eq!(paths, server.state().repositories());
    server.clear_requests();
    let teams = RepositoryScope::default().with_namespaces(|first| first.starts_with("team-"));
    let any = kit::repository(&server, "any");
    let pages = stores.repositories(any.endpoint(), &teams).await;
    let mut pages = pages.unwrap();
    let mut count = 0;
    while let Some(page) = pages.next().await.unwrap() {
        count += page.repositories.len();
    }
    assert_eq!(
        (count, server.requests().len()),
        (3, 3),
        "base is not listed"
    );
    kit::assert_good(&[&server]);
}

#[tokio::test]
async fn a_list_that_is_not_complete_is_an_error_of_the_source() {
    let api = ListingApi::harbor().fault(ListKind::Repositories, ListingFault::EndsAfter(1));
    let server = harbor(Profile {
        listing_api: Some(api),
        ..Profile::harbor()
    })
    .await;
    let stores = kit::stores_of(&[&server]);
    let error = listed(&stores, &server, "team-a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert_eq!(
        error.error().message(),
        "the list ends early: the Harbor API states 2 entries and listed 1"
    );
}

#[tokio::test]
async fn tags_have_digests_where_they_are_wanted_and_listed() {
    let server = harbor(Profile::harbor()).await;
    let image = kit::image(1);
    server.push("team-a/r1", Some("v1"), &image);
    let stores = kit::stores_of(&[&server]);
    let source = kit::source(&stores, &server, "team-a/r1");
    assert!(!source.lists_digests(false).await, "nothing is known yet");
    assert!(source.lists_digests(true).await);
    for (detail, digest, requests) in [
        (TagDetail::Digests, Some(image.digest()), 2),
        (TagDetail::Names, None, 0),
    ] {
        server.clear_requests();
        let mut tags = source.tags(detail);
        let page = tags.next().await.unwrap().unwrap();
        assert_eq!(page.len(), 1);
        assert_eq!(
            page[0].digest.as_ref().map(ToString::to_string).as_deref(),
            digest
        );
        assert_eq!(page[0].pushed.is_some(), digest.is_some());
        assert!(tags.next().await.unwrap().is_none());
        assert_eq!(server.count(|it| it.kind == Kind::Listing), requests);
    }
}
