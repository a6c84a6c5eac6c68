//! Lists that lie: each is survived or named.

use image_syncer_registry::Lister;
use testkit::profile::{ListKind, ListingFault};
use testkit::{Action, Answer, Fault, Kind};

use super::{Vendor, apis, google, listed, refused, warnings};

/// Returns a vendor whose lists of repositories are wrong, with 250 repositories.
async fn wrong(lister: Lister, fault: ListingFault) -> super::Kit {
    let vendor = Vendor::api(lister).with_fault(ListKind::Repositories, fault);
    vendor.with_repositories(250).await
}

#[tokio::test]
async fn a_list_that_ends_before_its_total_is_an_error() {
    for (lister, fault, listed, requests) in [
        (Lister::Harbor, ListingFault::EndsAfter(120), 120, 3),
        (Lister::Gitlab, ListingFault::EndsAfter(120), 120, 2),
        (Lister::Hub, ListingFault::EndsAfter(120), 120, 2),
        (Lister::Harbor, ListingFault::EndsAfter(200), 200, 3),
        (Lister::Gitlab, ListingFault::EndsAfter(0), 0, 1),
    ] {
        let kit = wrong(lister, fault).await;
        let api = match lister {
            Lister::Harbor => "Harbor",
            Lister::Hub => "Docker Hub",
            _ => "GitLab",
        };
        assert_eq!(
            refused(&kit, "team").await,
            format!(
                "cannot list the repositories of HOST/team at HOST: the list ends early: the {api} API states 250 entries and listed {listed}"
            )
        );
        assert_eq!(kit.took().len(), requests, "{lister}");
    }
    for (lister, requests) in [(Lister::Harbor, 4), (Lister::Gitlab, 3), (Lister::Hub, 3)] {
        let kit = wrong(lister, ListingFault::Total(5)).await;
        let error = refused(&kit, "team").await;
        assert!(
            error.ends_with("states 255 entries and listed 250"),
            "{error}"
        );
        assert_eq!(kit.took().len(), requests, "{lister}");
    }
}

#[tokio::test]
async fn a_total_that_is_too_low_hides_nothing() {
    for lister in [Lister::Harbor, Lister::Gitlab, Lister::Hub] {
        for less in [-5, -120, -250] {
            let kit = wrong(lister, ListingFault::Total(less)).await;
            let (paths, _) = listed(&kit, "team").await.unwrap();
            assert_eq!(paths, kit.server.state().repositories(), "{lister} {less}");
            assert_eq!(kit.took().len(), 3, "{lister} {less}");
        }
    }
}

#[tokio::test]
async fn a_page_that_repeats_is_an_error() {
    let repeats = "the list repeats a page that was read before";
    let stale = "the list goes on without bringing anything new";
    for (lister, fault, why, requests) in [
        (Lister::Hub, ListingFault::RepeatsPage, repeats, 2),
        (Lister::Harbor, ListingFault::RepeatsPage, repeats, 2),
        (Lister::Quay, ListingFault::RepeatsPage, repeats, 2),
        (Lister::Ghcr, ListingFault::RepeatsPage, repeats, 2),
        (Lister::Gitlab, ListingFault::RepeatsPage, repeats, 2),
        // The next page has the next number, even if the link says otherwise.
        (Lister::Hub, ListingFault::RepeatsCursor, stale, 14),
        (Lister::Quay, ListingFault::RepeatsCursor, repeats, 2),
        (Lister::Ghcr, ListingFault::RepeatsCursor, repeats, 2),
        (Lister::Gitlab, ListingFault::RepeatsCursor, repeats, 2),
    ] {
        let kit = wrong(lister, fault).await;
        let expected = format!("cannot list the repositories of HOST/team at HOST: {why}");
        assert_eq!(refused(&kit, "team").await, expected, "{lister} {fault:?}");
        assert_eq!(kit.took().len(), requests, "{lister} {fault:?}");
    }
    let kit = wrong(Lister::Harbor, ListingFault::RepeatsCursor).await;
    let (paths, _) = listed(&kit, "team").await.unwrap();
    assert_eq!(paths, kit.server.state().repositories());
    assert_eq!(kit.took().len(), 4);
}

#[tokio::test]
async fn pages_without_anything_do_not_go_on_for_ever() {
    let kit = Vendor::api(Lister::Quay).with_repositories(0).await;
    let page = r#"{"repositories":[],"next_page":"x"}"#;
    let empty = Answer::new(200).body("application/json", page);
    kit.server
        .fault(Fault::on(Kind::Listing).always(), Action::Answer(empty));
    assert_eq!(
        refused(&kit, "team").await,
        "cannot list the repositories of HOST/team at HOST: the list goes on without bringing anything new"
    );
    assert_eq!(kit.took().len(), 12);
}

#[tokio::test]
async fn a_next_page_at_another_host_is_an_error() {
    for (lister, api) in [
        (Lister::Harbor, "Harbor"),
        (Lister::Ghcr, "GitHub"),
        (Lister::Hub, "Docker Hub"),
    ] {
        let kit = wrong(lister, ListingFault::NextElsewhere).await;
        assert_eq!(
            refused(&kit, "team").await,
            format!(
                "cannot list the repositories of HOST/team at HOST: the next page is at ELSEWHERE, and a list is not followed to another host; set `api` to the address by which the {api} API is reached"
            )
        );
        assert_eq!(kit.took().len(), 1);
        assert_eq!(kit.server.storage_requests().len(), 0);
    }
    // GitLab's pages have numbers, Quay's have tokens, both at the same host.
    for lister in [Lister::Gitlab, Lister::Quay] {
        let kit = wrong(lister, ListingFault::NextElsewhere).await;
        assert_eq!(listed(&kit, "team").await.unwrap().0.len(), 250);
        assert_eq!(kit.server.storage_requests().len(), 0);
    }
}

#[tokio::test]
async fn another_document_is_an_error() {
    let list = "invalid type: map, expected a list at line 1 column 0";
    for (lister, why) in [
        (Lister::Harbor, list),
        (Lister::Gitlab, list),
        (Lister::Ghcr, list),
        (Lister::Hub, "missing field `results` at line 1 column 21"),
        (
            Lister::Quay,
            "missing field `repositories` at line 1 column 21",
        ),
    ] {
        let kit = wrong(lister, ListingFault::Nonsense).await;
        let expected = format!(
            "cannot list the repositories of HOST/team at HOST: the answer is not understood: {why}"
        );
        assert_eq!(refused(&kit, "team").await, expected, "{lister}");
        assert_eq!(kit.took().len(), 1);
    }
    let kit = google().with_repositories(3).await;
    kit.server
        .fault(Fault::on(Kind::Tags).always(), Action::Html);
    let error = refused(&kit, "team").await;
    assert!(error.contains("not understood"), "{error}");
}

#[tokio::test]
async fn a_list_that_is_forbidden_says_what_is_needed() {
    let mut messages = Vec::new();
    for vendor in apis() {
        let kit = wrong(vendor.lister, ListingFault::Forbidden).await;
        messages.push(refused(&kit, "team").await);
        assert_eq!(kit.took().len(), 1);
        assert_eq!(warnings(&kit), [""; 0]);
    }
    assert_eq!(
        messages,
        [
            "cannot list the repositories of HOST/team at HOST: the Docker Hub API answered 403 Forbidden; no login is used (the entry HOST in the test has none): use a user name with an access token that may read the namespace, or name the repositories",
            "cannot list the repositories of HOST/team at HOST: the Harbor API answered 403 Forbidden; no login is used (the entry HOST in the test has none): use a user or a robot account that may list projects, repositories and artifacts, or name the repositories",
            "cannot list the repositories of HOST/team at HOST: the Quay API answered 403 Forbidden (quay: Forbidden); no login is used: set `api-login` to an OAuth token with the scope `repo:read`, or name the repositories",
            "cannot list the repositories of HOST/team at HOST: the GitHub API answered 403 Forbidden (You need at least read:packages scope to list packages.); the login of user \"octocat\" (from the test) lacks a right: lists of packages need a personal access token (classic) with the scope `read:packages`, as the password of the registry or as `api-login`; or name the repositories",
            "cannot list the repositories of HOST/team at HOST: the GitLab API answered 403 Forbidden; no login is used: set `api-login` to an access token with the scope `read_api`, or name the repositories",
        ]
    );
}
