//! Lists of repositories.

use image_syncer_registry::Lister;
use testkit::profile::ListingApi;
use testkit::{Action, Answer, Fault, Kind, Profile};

use super::{Vendor, apis, catalog, fill, google, listed, refused, warnings};

/// Every vendor with the number of requests for 2,503 repositories of one namespace, and the total that it states.
fn costs() -> Vec<(Vendor, usize, Option<u64>)> {
    let all = Some(2503);
    let mut costs = vec![
        // Pages of a thousand.
        (catalog(), 3, None),
        // One answer for the parent, and one for each repository.
        (google(), 2504, None),
    ];
    for vendor in apis() {
        let total = match vendor.lister {
            Lister::Hub | Lister::Harbor | Lister::Gitlab => all,
            _ => None,
        };
        costs.push((vendor, 26, total));
    }
    costs
}

#[tokio::test]
async fn all_of_2503_repositories_are_found_with_the_fewest_requests() {
    for (vendor, requests, total) in costs() {
        let kit = vendor.with_repositories(2503).await;
        let lister = vendor.lister;
        let found = listed(&kit, "team").await.unwrap();
        assert_eq!(
            found,
            (kit.server.state().repositories(), total),
            "{lister}"
        );
        assert_eq!(kit.took(), vec![(vendor.kind, 200); requests], "{lister}");
        assert_eq!(warnings(&kit), [""; 0], "{lister}");
    }
}

#[tokio::test]
async fn first_and_last_requests() {
    for (lister, first, last) in [
        (
            Lister::Harbor,
            "GET /api/v2.0/projects/team/repositories?page_size=100",
            "GET /api/v2.0/projects/team/repositories?page_size=100&page=3",
        ),
        (
            Lister::Hub,
            "GET /v2/namespaces/team/repositories?page_size=100",
            "GET /v2/namespaces/team/repositories?page_size=100&page=3",
        ),
        (
            Lister::Quay,
            "GET /api/v1/repository?namespace=team&public=true",
            "GET /api/v1/repository?namespace=team&public=true&next_page=gAAAA-3",
        ),
        (
            Lister::Ghcr,
            "GET /orgs/team/packages?package_type=container&per_page=100",
            "GET /organizations/1/packages?package_type=container&per_page=100&page=3",
        ),
        (
            Lister::Gitlab,
            "GET /api/v4/groups/team/registry/repositories?per_page=100",
            "GET /api/v4/groups/team/registry/repositories?per_page=100&page=3",
        ),
    ] {
        let kit = Vendor::api(lister).with_repositories(201).await;
        listed(&kit, "team").await.unwrap();
        let lines = kit.lines();
        assert_eq!(
            (&*lines[0], &*lines[2], lines.len()),
            (first, last, 3),
            "{lister}"
        );
    }
}

#[tokio::test]
async fn a_page_that_fails_once_is_requested_again() {
    for mut vendor in apis() {
        vendor.profile.listing_api.as_mut().unwrap().page_size = 100;
        let kit = vendor.with_repositories(250).await;
        let busy = Answer::new(503).retry_after(0);
        kit.server
            .fault(Fault::on(vendor.kind).nth(2), Action::Answer(busy));
        let (paths, _) = listed(&kit, "team").await.unwrap();
        let statuses: Vec<u16> = kit.took().into_iter().map(|(_, status)| status).collect();
        assert_eq!(paths.len(), 250, "{}", vendor.lister);
        assert_eq!(statuses, [200, 503, 200, 200], "{}", vendor.lister);
    }
    for (vendor, count, statuses) in [
        (catalog(), 1501, vec![200, 503, 200]),
        (google(), 2, vec![200, 503, 200, 200]),
    ] {
        let kit = vendor.with_repositories(count).await;
        let busy = Answer::new(503).retry_after(0);
        kit.server
            .fault(Fault::on(vendor.kind).nth(2), Action::Answer(busy));
        let (paths, _) = listed(&kit, "team").await.unwrap();
        let found: Vec<u16> = kit.took().into_iter().map(|(_, status)| status).collect();
        assert_eq!((paths.len(), found), (count, statuses), "{}", vendor.lister);
    }
}

#[tokio::test]
async fn a_whole_registry() {
    for (lister, requests, total) in [
        // One page of projects, and one for each project.
        (Lister::Harbor, 3, Some(4)),
        (Lister::Quay, 1, None),
    ] {
        let kit = Vendor::api(lister).with_repositories(3).await;
        kit.server.state().create_repository("other/app");
        let found = listed(&kit, "").await.unwrap();
        let mut paths = found.0;
        paths.sort();
        assert_eq!((paths, found.1), (kit.server.state().repositories(), total));
        assert_eq!(kit.took(), vec![(Kind::Listing, 200); requests], "{lister}");
    }
    for (vendor, message) in [
        (
            Vendor::api(Lister::Hub),
            "cannot list the repositories of HOST at HOST: Docker Hub does not list its namespaces: name one, such as docker.io/library/**",
        ),
        (
            Vendor::api(Lister::Ghcr),
            "cannot list the repositories of HOST at HOST: GitHub lists the packages of one owner at a time; name the owner before the wildcard, as in `ghcr.io/OWNER/**`",
        ),
        (
            Vendor::api(Lister::Gitlab),
            "cannot list the repositories of HOST at HOST: GitLab lists the repositories of one group at a time; name the group before the wildcard, as in `registry.gitlab.com/GROUP/**`",
        ),
        (
            google(),
            "cannot list the repositories of HOST at HOST: Google lists the repositories of one project at a time; name the project before the wildcard, as in `HOST/PROJECT/**`",
        ),
    ] {
        let kit = vendor.with_repositories(3).await;
        assert_eq!(refused(&kit, "").await, message);
        assert_eq!(kit.took(), []);
    }
}

#[tokio::test]
async fn whole_namespaces_are_left_out_by_their_name() {
    for (vendor, prefix, requests) in [
        (Vendor::api(Lister::Harbor), "", 2),
        (Vendor::api(Lister::Quay), "", 1),
        // Names with several components are not compared.
        (google(), "team", 4),
    ] {
        let kit = vendor.with_repositories(3).await;
        kit.server.state().tag("other/app", "v1", "sha256:0");
        let mut pages = kit.client.list_repositories(prefix);
        pages = pages.with_namespaces(|name| name == "team");
        let mut paths = Vec::new();
        while let Some(page) = pages.next().await.unwrap() {
            paths.extend(page.repositories.iter().map(|it| it.path().to_owned()));
        }
        paths.retain(|path| path.starts_with("team/"));
        assert_eq!(paths.len(), 3, "{}", vendor.lister);
        assert_eq!(kit.took().len(), requests, "{}", vendor.lister);
    }
}

#[tokio::test]
async fn names_that_are_no_repositories_are_left_out_with_a_warning() {
    for vendor in apis().into_iter().chain([catalog(), google()]) {
        let kit = vendor.with_repositories(3).await;
        for name in ["team/UPPER", "team/a b", "team/-x", "team/..", "team/y-"] {
            kit.server.state().tag(name, "v1", "sha256:0");
        }
        let (paths, _) = listed(&kit, "team").await.unwrap();
        assert_eq!(
            paths,
            ["team/app-0000", "team/app-0001", "team/app-0002"],
            "{}",
            vendor.lister
        );
        let warnings = warnings(&kit);
        assert!(warnings.len() >= 4, "{}: {warnings:?}", vendor.lister);
        assert!(
            warnings.iter().all(|text| text.contains("left out")),
            "{warnings:?}"
        );
    }
}

#[tokio::test]
async fn github_has_users_beside_organisations() {
    let mut vendor = Vendor::api(Lister::Ghcr);
    vendor.profile.listing_api = Some(ListingApi {
        users: vec!["team".to_owned()],
        ..ListingApi::github()
    });
    let kit = vendor.with_repositories(101).await;
    listed(&kit, "team").await.unwrap();
    assert_eq!(
        kit.lines(),
        [
            "GET /orgs/team/packages?package_type=container&per_page=100",
            "GET /users/team/packages?package_type=container&per_page=100",
            "GET /user/1/packages?package_type=container&per_page=100&page=2",
        ]
    );
    // That is remembered, for tags as well.
    super::tags_of(&kit, "team/app-0007").await.unwrap();
    let versions = "GET /users/team/packages/container/app-0007/versions?per_page=100";
    assert_eq!(kit.lines()[0], versions);
    assert_eq!(
        refused(&kit, "nobody").await,
        "cannot list the repositories of HOST/nobody at HOST: the GitHub API answered 404 Not Found; no such owner or package exists, or the token may not see it"
    );
    assert_eq!(kit.lines().len(), 2);
}

#[tokio::test]
async fn gitlab_has_projects_beside_groups() {
    let vendor = Vendor::api(Lister::Gitlab);
    let kit = vendor.with_repositories(2).await;
    kit.server.state().create_repository("team/app-0000/image");
    kit.server.state().create_namespace("team/sub");
    kit.server.state().create_repository("team/sub/app");
    for (prefix, found, requests) in [
        (
            "team/app-0000",
            vec!["team/app-0000", "team/app-0000/image"],
            2,
        ),
        ("team/sub", vec!["team/sub/app"], 1),
        ("team/app-0000/image", vec!["team/app-0000/image"], 2),
    ] {
        assert_eq!(listed(&kit, prefix).await.unwrap().0, found, "{prefix}");
        assert_eq!(kit.took().len(), requests, "{prefix}");
    }
    assert_eq!(
        refused(&kit, "nobody/app").await,
        "cannot list the repositories of HOST/nobody/app at HOST: the GitLab API answered 404 Not Found (404 Project Not Found); no such group or project exists, or only a login may see it (`api-login`), or GitLab has another address than its registry (`api`)"
    );
    assert_eq!(kit.took().len(), 2);
    assert_eq!(kit.server.problems(), [""; 0]);
}

#[tokio::test]
async fn an_unknown_host_is_probed_for_harbor_once() {
    let auto = |profile| Vendor {
        lister: Lister::Auto,
        profile,
        kind: Kind::Listing,
    };
    let kit = auto(Profile::harbor()).start().await;
    fill(&kit, 3);
    for _ in 0..2 {
        assert_eq!(listed(&kit, "team").await.unwrap().0.len(), 3);
    }
    let list = "GET /api/v2.0/projects/team/repositories?page_size=100";
    let probe = "GET /api/v2.0/systeminfo";
    assert_eq!(kit.lines(), [probe, list, list]);

    let kit = auto(Profile::distribution()).start().await;
    fill(&kit, 3);
    for _ in 0..2 {
        assert_eq!(listed(&kit, "team").await.unwrap().0.len(), 3);
    }
    let list = "GET /v2/_catalog?n=1000";
    assert_eq!(kit.lines(), [probe, list, list]);
}

#[tokio::test]
async fn no_lister_is_an_error_without_a_request() {
    let vendor = Vendor {
        lister: Lister::None,
        ..catalog()
    };
    let kit = vendor.with_repositories(3).await;
    assert_eq!(
        refused(&kit, "team").await,
        "cannot list the repositories of HOST/team at HOST: lists are switched off for this registry (`list: none`); name the repositories, or set `list`"
    );
    assert_eq!(kit.took(), []);
}
