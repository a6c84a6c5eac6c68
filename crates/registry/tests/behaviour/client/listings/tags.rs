//! Tags with digests, and the plain list after the failure of an API.

use futures_util::future::join_all;
use image_syncer_registry::auth::Credential;
use image_syncer_registry::{ErrorKind, ListedTag, Lister};
use testkit::profile::{ListKind, ListingApi, ListingFault};
use testkit::{Action, Fault, Image, Kind, Profile};

use super::super::kit::Kit;
use super::{harbor_with, kit, put_tags, settings, tags};

async fn harbor(profile: Profile) -> Kit {
    kit(
        profile,
        Credential::Anonymous,
        settings(Lister::Harbor, None),
    )
    .await
}

fn artifacts(path: &str) -> String {
    let (project, name) = path.split_once('/').unwrap();
    format!(
        "GET /api/v2.0/projects/{project}/repositories/{name}/artifacts?page_size=100&with_tag=true&with_accessory=true"
    )
}

fn digests(tags: &[ListedTag]) -> usize {
    tags.iter().filter(|tag| tag.digest.is_some()).count()
}

#[tokio::test]
async fn a_hundred_tags_cost_a_request_and_a_project_one() {
    let kit = harbor(Profile::harbor()).await;
    put_tags(&kit, "team/a", 250);
    put_tags(&kit, "team/b", 100);
    let tags_of_a = tags(&kit.client, &kit.repository("team/a")).await.unwrap();
    assert_eq!((tags_of_a.len(), digests(&tags_of_a)), (250, 250));
    for listed in &tags_of_a {
        let digest = kit.server.state().digest("team/a", listed.tag.as_str());
        assert_eq!(listed.digest.as_ref().map(ToString::to_string), digest);
        assert!(listed.pushed.is_some());
    }
    let first = artifacts("team/a");
    let page = |number| first.replace("&with_tag", &format!("&page={number}&with_tag"));
    assert_eq!(
        kit.lines(),
        [
            "GET /api/v2.0/projects/team".to_owned(),
            first.clone(),
            page(2),
            page(3)
        ]
    );
    let tags_of_b = tags(&kit.client, &kit.repository("team/b")).await.unwrap();
    assert_eq!(digests(&tags_of_b), 100);
    assert_eq!(kit.lines(), [artifacts("team/b")]);
}

#[tokio::test]
async fn a_proxy_cache_has_the_plain_list() {
    let api = ListingApi {
        proxies: vec!["proxy".to_owned()],
        ..ListingApi::harbor()
    };
    let profile = Profile {
        listing_api: Some(api),
        ..Profile::harbor()
    };
    let kit = harbor(profile).await;
    for name in 0..5 {
        put_tags(&kit, &format!("proxy/r{name}"), 2);
    }
    let lists = (0..5).map(|name| {
        let repository = kit.repository(&format!("proxy/r{name}"));
        let client = kit.client.clone();
        async move { tags(&client, &repository).await }
    });
    for listed in join_all(lists).await {
        let listed = listed.unwrap();
        assert_eq!((listed.len(), digests(&listed)), (2, 0));
    }
    assert_eq!(kit.server.count(|it| it.kind == Kind::Listing), 1);
    assert_eq!(kit.heard.warnings(), [""; 0]);
}

#[tokio::test]
async fn tags_of_signatures_come_from_the_plain_list() {
    let kit = harbor(Profile::harbor()).await;
    put_tags(&kit, "team/a", 2);
    let digest = kit.server.state().digest("team/a", "t000").unwrap();
    let (_, subject) = kit.server.state().manifest("team/a", &digest).unwrap();
    let image = Image::oci().label("team/a 0").build();
    assert_eq!(image.root().bytes, subject, "the same image");
    let signature = Image::artifact("application/vnd.example.signature")
        .subject(image.root())
        .build();
    let tag = format!("{}.sig", digest.replace(':', "-"));
    kit.server
        .state()
        .put_image("team/a", Some(&tag), &signature);
    let listed = tags(&kit.client, &kit.repository("team/a")).await.unwrap();
    let names: Vec<&str> = listed.iter().map(|it| it.tag.as_str()).collect();
    assert_eq!((listed.len(), digests(&listed)), (3, 2), "{names:?}");
    assert_eq!(names[2], tag);
    assert_eq!(listed[2].digest, None);
    assert_eq!(
        kit.lines(),
        [
            "GET /api/v2.0/projects/team".to_owned(),
            artifacts("team/a"),
            "GET /v2/team/a/tags/list?n=1000".to_owned()
        ]
    );
}

#[tokio::test]
async fn an_api_that_refuses_is_left_after_three_repositories_with_one_warning() {
    let kit = harbor(harbor_with(ListKind::Tags, ListingFault::Forbidden)).await;
    for name in 0..5 {
        put_tags(&kit, &format!("team/r{name}"), 2);
    }
    for name in 0..5 {
        let repository = kit.repository(&format!("team/r{name}"));
        assert_eq!(
            kit.client.lists_digests(&repository, false).await,
            name < 3,
            "before repository {name}"
        );
        let listed = tags(&kit.client, &repository).await.unwrap();
        assert_eq!((listed.len(), digests(&listed)), (2, 0));
    }
    // One for the project, and three for artifacts.
    assert_eq!(kit.server.count(|it| it.kind == Kind::Listing), 4);
    let host = kit.server.host();
    assert_eq!(
        kit.heard.warnings(),
        [format!(
            "digests of tags are not read from the list: cannot list the tags of team/r0 at {host}: the Harbor API \
             answered 403 Forbidden; no login is used (the entry {host} in auth.yaml has none): \
             use a user or a robot account that may list projects, repositories and artifacts, or name the \
             repositories. The plain list is used, and each unchanged tag costs a request. To do without the API, set \
             `list: none` or use --listing off"
        )]
    );
}

#[tokio::test]
async fn what_is_no_list_is_replaced_by_the_plain_one() {
    for fault in [
        ListingFault::Nonsense,
        ListingFault::EndsAfter(1),
        ListingFault::Total(7),
    ] {
        let kit = harbor(harbor_with(ListKind::Tags, fault)).await;
        put_tags(&kit, "team/a", 3);
        let mut listed = tags(&kit.client, &kit.repository("team/a")).await.unwrap();
        listed.sort_by(|a, b| a.tag.as_str().cmp(b.tag.as_str()));
        let names: Vec<&str> = listed.iter().map(|it| it.tag.as_str()).collect();
        assert_eq!(names, ["t000", "t001", "t002"], "{fault:?}");
        assert_eq!(kit.heard.warnings().len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_page_that_fails_in_the_middle_loses_no_tag() {
    for (status, times, digests_left, retries) in
        [(503, 1, 250, 1), (503, 9, 100, 2), (404, 9, 100, 0)]
    {
        let kit = harbor(Profile::harbor()).await;
        put_tags(&kit, "team/a", 250);
        let second = Fault::on(Kind::Listing)
            .matching(|request| request.parameter("page").as_deref() == Some("2"))
            .times(times);
        kit.server.fault(second, Action::status(status));
        let listed = tags(&kit.client, &kit.repository("team/a")).await.unwrap();
        assert_eq!(listed.len(), 250, "{status}");
        let names: std::collections::HashSet<&str> =
            listed.iter().map(|it| it.tag.as_str()).collect();
        assert_eq!((names.len(), digests(&listed)), (250, digests_left));
        assert_eq!(kit.heard.retries(), retries, "{status}");
    }
}

#[tokio::test]
async fn an_unknown_repository_is_missing_without_a_warning() {
    let kit = harbor(Profile::harbor()).await;
    kit.server.state().create_namespace("team");
    let error = tags(&kit.client, &kit.repository("team/none")).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(kit.heard.warnings(), [""; 0]);
    assert!(
        kit.client
            .lists_digests(&kit.repository("team/none"), false)
            .await
    );
}

#[tokio::test]
async fn a_destination_asks_for_nothing_but_its_tags() {
    let kit = harbor(Profile::harbor()).await;
    put_tags(&kit, "team/a", 2);
    let mut pages = kit.client.list_tags_for_push(&kit.repository("team/a"));
    let listed = pages.next().await.unwrap().unwrap();
    assert_eq!(digests(&listed), 2);
    assert!(pages.next().await.unwrap().is_none());
    assert_eq!(kit.lines(), [artifacts("team/a")]);
}

#[tokio::test]
async fn new_repositories_of_a_destination_are_no_fault_of_its_api() {
    let kit = harbor(Profile::harbor()).await;
    kit.server.state().create_namespace("team");
    for name in 0..5 {
        let repository = kit.repository(&format!("team/new{name}"));
        let error = kit.client.list_tags_for_push(&repository).next().await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
    }
    assert!(
        kit.client
            .lists_digests(&kit.repository("team/a"), false)
            .await
    );
    put_tags(&kit, "team/a", 1);
    tags(&kit.client, &kit.repository("team/a")).await.unwrap();
    for name in 0..5 {
        let repository = kit.repository(&format!("team/none{name}"));
        let error = tags(&kit.client, &repository).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
    }
    assert!(
        kit.client
            .lists_digests(&kit.repository("team/a"), false)
            .await
    );
    assert_eq!(kit.heard.warnings(), [""; 0]);
}

#[tokio::test]
async fn an_api_that_is_none_is_left_after_three_repositories() {
    let profile = Profile {
        listing_api: None,
        ..Profile::harbor()
    };
    let kit = harbor(profile).await;
    for name in 0..5 {
        let path = format!("team/r{name}");
        put_tags(&kit, &path, 1);
        let listed = tags(&kit.client, &kit.repository(&path)).await.unwrap();
        assert_eq!((listed.len(), digests(&listed)), (1, 0));
    }
    // The project is unknown, so that no list is requested.
    assert_eq!(kit.server.count(|it| it.kind == Kind::Listing), 1);
    assert_eq!(kit.heard.warnings(), [""; 0]);
}
