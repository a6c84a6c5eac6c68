//! Lists of tags with digests and times.

use std::time::{Duration, SystemTime};

use image_syncer_registry::auth::Credential;
use image_syncer_registry::{Digest, ListedTag, Lister, Tag};
use testkit::profile::{ListKind, ListingFault};
use testkit::{Kind, Manifest, Profile};

use super::{Kit, Vendor, apis, catalog, google, tags_of, warnings};

/// Creates `count` tags of `team/app`, each of its own manifest and a second later than the one before. Returns them.
fn fill_tags(kit: &Kit, path: &str, count: u64) -> Vec<ListedTag> {
    let state = kit.server.state();
    let mut is_harbor = false;
    kit.server.change_profile(|profile| {
        let api = profile.listing_api.as_ref();
        is_harbor = api.is_some_and(|api| api.vendor == testkit::profile::Vendor::Harbor);
    });
    (0..count)
        .map(|number| {
            let kind = "application/vnd.oci.image.manifest.v1+json";
            let manifest = Manifest::new(kind, format!("{{\"number\":{number}}}"));
            let tag = format!("v{number:04}");
            let pushed = SystemTime::UNIX_EPOCH + Duration::from_secs(1_714_648_953 + number);
            state.put_manifest(path, Some(&tag), &manifest);
            state.set_pushed(path, &tag, pushed);
            let mut listed = ListedTag::from(Tag::parse(&tag).unwrap());
            listed.digest = Some(Digest::parse(&manifest.digest).unwrap());
            listed.pushed = Some(pushed);
            listed.without_referrers = is_harbor;
            listed
        })
        .collect()
}

fn names_alone(tags: Vec<ListedTag>) -> Vec<ListedTag> {
    tags.into_iter()
        .map(|tag| ListedTag::from(tag.tag))
        .collect()
}

#[tokio::test]
async fn tags_have_digests_and_times() {
    for (vendor, expected) in [
        (
            Vendor::api(Lister::Harbor),
            vec![
                "GET /api/v2.0/projects/team",
                "GET /api/v2.0/projects/team/repositories/app/artifacts?page_size=100&with_tag=true&with_accessory=true",
                "GET /api/v2.0/projects/team/repositories/app/artifacts?page_size=100&page=2&with_tag=true&with_accessory=true",
            ],
        ),
        (
            Vendor::api(Lister::Quay),
            vec![
                "GET /api/v1/repository/team/app/tag/?limit=100&page=1&onlyActiveTags=true",
                "GET /api/v1/repository/team/app/tag/?limit=100&page=2&onlyActiveTags=true",
            ],
        ),
        (
            Vendor::api(Lister::Ghcr),
            vec![
                "GET /orgs/team/packages/container/app/versions?per_page=100",
                "GET /organizations/1/packages/container/app/versions?per_page=100&page=2",
            ],
        ),
        (
            Vendor::api(Lister::Hub),
            vec![
                "GET /v2/namespaces/team/repositories/app/tags?page_size=100",
                "GET /v2/namespaces/team/repositories/app/tags?page_size=100&page=2",
            ],
        ),
        (google(), vec!["GET /v2/team/app/tags/list"]),
    ] {
        let kit = vendor.start().await;
        let tags = fill_tags(&kit, "team/app", 150);
        assert_eq!(
            tags_of(&kit, "team/app").await.unwrap(),
            tags,
            "{}",
            vendor.lister
        );
        assert_eq!(kit.lines(), expected, "{}", vendor.lister);
        assert!(lists_digests(&kit, false).await, "{}", vendor.lister);
        assert_eq!(warnings(&kit), [""; 0]);
    }
}

#[tokio::test]
async fn names_alone_come_from_the_plain_list() {
    for vendor in [Vendor::api(Lister::Gitlab), catalog()] {
        let kit = vendor.start().await;
        let tags = names_alone(fill_tags(&kit, "team/app", 3));
        assert_eq!(tags_of(&kit, "team/app").await.unwrap(), tags);
        assert_eq!(kit.took(), [(Kind::Tags, 200)], "{}", vendor.lister);
        assert!(!lists_digests(&kit, true).await, "{}", vendor.lister);
        assert_eq!(kit.took(), []);
    }
}

#[tokio::test]
async fn repositories_with_several_components() {
    for (vendor, expected) in [
        (
            Vendor::api(Lister::Harbor),
            "GET /api/v2.0/projects/team/repositories/a%252Fb/artifacts?page_size=100&with_tag=true&with_accessory=true",
        ),
        (
            Vendor::api(Lister::Quay),
            "GET /api/v1/repository/team/a/b/tag/?limit=100&page=1&onlyActiveTags=true",
        ),
        (
            Vendor::api(Lister::Ghcr),
            "GET /orgs/team/packages/container/a%2Fb/versions?per_page=100",
        ),
    ] {
        let kit = vendor.start().await;
        let tags = fill_tags(&kit, "team/a/b", 2);
        assert_eq!(tags_of(&kit, "team/a/b").await.unwrap(), tags);
        assert_eq!(kit.lines().last().unwrap(), expected);
    }
}

#[tokio::test]
async fn a_list_that_fails_is_replaced_by_the_plain_one_with_one_warning() {
    for vendor in apis()
        .into_iter()
        .filter(|vendor| vendor.lister != Lister::Gitlab)
    {
        for fault in [
            ListingFault::Forbidden,
            ListingFault::Nonsense,
            ListingFault::RepeatsPage,
        ] {
            let vendor = vendor.clone().with_fault(ListKind::Tags, fault);
            let kit = vendor.start().await;
            for path in ["team/a", "team/b", "team/c", "team/d", "team/e"] {
                let tags: Vec<Tag> = fill_tags(&kit, path, 150)
                    .into_iter()
                    .map(|it| it.tag)
                    .collect();
                let found = tags_of(&kit, path).await.unwrap();
                let found: Vec<Tag> = found.into_iter().map(|it| it.tag).collect();
                assert_eq!(found, tags, "{} {fault:?}", vendor.lister);
            }
            let warnings = warnings(&kit);
            assert_eq!(
                warnings.len(),
                1,
                "{} {fault:?}: {warnings:?}",
                vendor.lister
            );
            assert!(
                warnings[0].starts_with("digests of tags are not read from the list: "),
                "{warnings:?}"
            );
            assert!(!lists_digests(&kit, true).await);
            // The API is given up after three repositories.
            kit.server.clear_requests();
            tags_of(&kit, "team/a").await.unwrap();
            assert_eq!(kit.server.count(|request| request.kind == Kind::Listing), 0);
        }
    }
}

#[tokio::test]
async fn github_is_not_queried_for_tags_without_a_token() {
    let vendor = Vendor::api(Lister::Ghcr);
    let kit = vendor.start_as(Credential::Anonymous).await;
    let tags = names_alone(fill_tags(&kit, "team/app", 3));
    assert!(!lists_digests(&kit, true).await);
    assert_eq!(tags_of(&kit, "team/app").await.unwrap(), tags);
    assert_eq!(kit.took(), [(Kind::Tags, 200)]);
    assert_eq!(warnings(&kit), [""; 0]);
}

#[tokio::test]
async fn versions_without_tags_are_not_followed_at_github() {
    let kit = Vendor::api(Lister::Ghcr).start().await;
    let state = kit.server.state();
    let mut tags = fill_tags(&kit, "team/app", 130);
    // The newest 30 keep their tags. Of the others, one has a tag again, on the third page.
    for tag in &tags[..100] {
        state.untag("team/app", tag.tag.as_str());
    }
    for number in 0..200 {
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let manifest = Manifest::new(kind, format!("{{\"untagged\":{number}}}"));
        state.put_manifest("team/app", None, &manifest);
    }
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    let digest = tags[0].digest.as_ref().unwrap().to_string();
    state.tag("team/app", "old", &digest);
    state.set_pushed("team/app", "old", old);
    let mut expected = vec![ListedTag::from(Tag::parse("old").unwrap())];
    expected.extend(tags.drain(100..));
    assert_eq!(tags_of(&kit, "team/app").await.unwrap(), expected);
    assert_eq!(
        kit.lines(),
        [
            "GET /orgs/team/packages/container/app/versions?per_page=100",
            "GET /organizations/1/packages/container/app/versions?per_page=100&page=2",
            "GET /v2/team/app/tags/list?n=1000",
        ]
    );
    assert_eq!(warnings(&kit), [""; 0]);
}

#[tokio::test]
async fn tags_of_an_unknown_host_cause_no_probe() {
    let vendor = Vendor {
        lister: Lister::Auto,
        profile: Profile::harbor(),
        kind: Kind::Listing,
    };
    let kit = vendor.start().await;
    let tags = fill_tags(&kit, "team/app", 3);
    assert_eq!(
        tags_of(&kit, "team/app").await.unwrap(),
        names_alone(tags.clone())
    );
    assert_eq!(kit.took(), [(Kind::Tags, 200)]);
    assert!(lists_digests(&kit, true).await);
    assert_eq!(kit.lines(), ["GET /api/v2.0/systeminfo"]);
    assert_eq!(tags_of(&kit, "team/app").await.unwrap(), tags);
}

async fn lists_digests(kit: &Kit, may_probe: bool) -> bool {
    let repository = kit.repository("team/app");
    kit.client.lists_digests(&repository, may_probe).await
}
