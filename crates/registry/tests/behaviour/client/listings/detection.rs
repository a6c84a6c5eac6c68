//! The API that lists a registry.

use image_syncer_registry::auth::{Credential, Keychain};
use image_syncer_registry::transport::{Transport, TransportOptions};
use image_syncer_registry::{
    Cause, ErrorKind, Lister, ListingSettings, Listings, Options, Registries, Registry,
};
use testkit::profile::{ListKind, ListingFault};
use testkit::{Access, Action, Answer, Auth, Fault, Kind, Profile, TokenRules};

use super::super::kit::{Kit, basic};
use super::{harbor_with, kit, listed, put_tags, settings, tags};

const PROBE: &str = "GET /api/v2.0/systeminfo";

async fn with_repositories(profile: Profile, settings: ListingSettings, names: &[&str]) -> Kit {
    let kit = kit(profile, Credential::Anonymous, settings).await;
    for name in names {
        kit.server.state().create_repository(name);
    }
    kit
}

/// A registry whose settings say nothing.
async fn unknown(profile: Profile, names: &[&str]) -> Kit {
    with_repositories(profile, ListingSettings::default(), names).await
}

#[tokio::test]
async fn an_unknown_host_is_probed_once_and_has_a_catalog() {
    let kit = unknown(Profile::distribution(), &["team/a", "team/b", "teams/c"]).await;
    assert_eq!(
        listed(&kit.client, "").await.unwrap(),
        ["team/a", "team/b", "teams/c"]
    );
    assert_eq!(kit.lines(), [PROBE, "GET /v2/_catalog?n=1000"]);
    assert_eq!(
        listed(&kit.client, "team").await.unwrap(),
        ["team/a", "team/b"]
    );
    assert_eq!(kit.lines(), ["GET /v2/_catalog?n=1000"]);
    assert_eq!(kit.heard.warnings(), [""; 0]);
}

#[tokio::test]
async fn lists_at_the_same_time_share_one_probe() {
    let kit = unknown(Profile::distribution(), &["a/b"]).await;
    let (first, second) = tokio::join!(listed(&kit.client, ""), listed(&kit.client, "a"));
    assert_eq!(
        (first.unwrap(), second.unwrap().len()),
        (vec!["a/b".to_owned()], 1)
    );
    let probes = kit.lines().iter().filter(|line| *line == PROBE).count();
    assert_eq!(probes, 1);
}

#[tokio::test]
async fn harbor_is_recognised_and_lists_the_wanted_projects_alone() {
    let names = ["base/x", "team-a/r1", "team-a/r2/deep", "team-b/r3"];
    let kit = unknown(Profile::harbor(), &names).await;
    assert_eq!(listed(&kit.client, "").await.unwrap(), names);
    assert_eq!(
        kit.lines(),
        [
            PROBE,
            "GET /api/v2.0/projects?page_size=100",
            "GET /api/v2.0/projects/base/repositories?page_size=100",
            "GET /api/v2.0/projects/team-a/repositories?page_size=100",
            "GET /api/v2.0/projects/team-b/repositories?page_size=100",
        ]
    );
    let mut pages = kit
        .client
        .list_repositories("")
        .with_namespaces(|project| project.starts_with("team-"));
    let mut totals = Vec::new();
    while let Some(page) = pages.next().await.unwrap() {
        totals.push((page.listed, page.total));
    }
    assert_eq!(totals, [(2, None), (3, Some(3))]);
    assert_eq!(kit.lines().len(), 3);
    assert_eq!(
        listed(&kit.client, "team-a/r2").await.unwrap(),
        ["team-a/r2/deep"]
    );
    assert_eq!(
        kit.lines(),
        ["GET /api/v2.0/projects/team-a/repositories?page_size=100"]
    );
}

#[tokio::test]
async fn a_challenge_says_whether_a_host_is_harbor() {
    let access = Access::new().user("ada", "pw");
    for (rules, profile, is_harbor) in [
        (TokenRules::harbor(), Profile::harbor(), true),
        (TokenRules::default(), Profile::distribution(), false),
    ] {
        let server = testkit::Registry::builder()
            .profile(profile)
            .auth(Auth::Bearer(access.clone(), rules))
            .start()
            .await;
        let kit = super::of(server, basic("ada", "pw"), ListingSettings::default());
        put_tags(&kit, "team/app", 1);
        assert!(
            !kit.client
                .lists_digests(&kit.repository("team/app"), false)
                .await,
            "nothing is known"
        );
        assert!(kit.server.requests().is_empty());
        kit.client.ping().await.unwrap();
        kit.server.clear_requests();
        assert_eq!(
            kit.client
                .lists_digests(&kit.repository("team/app"), true)
                .await,
            is_harbor
        );
        assert!(kit.server.requests().is_empty(), "the challenge was enough");
        let tags = tags(&kit.client, &kit.repository("team/app"))
            .await
            .unwrap();
        assert_eq!(tags[0].digest.is_some(), is_harbor);
        assert_eq!(
            kit.server.count(|request| request.kind == Kind::Listing),
            if is_harbor { 2 } else { 0 }
        );
    }
}

#[tokio::test]
async fn other_answers_to_the_probe_are_no_harbor() {
    for answer in [
        Answer::new(200).body("text/html", "<html>"),
        Answer::new(200).body("application/json", "{\"version\": 1}"),
        Answer::new(401),
        Answer::new(403),
        Answer::new(500),
    ] {
        let kit = unknown(Profile::distribution(), &["a/b"]).await;
        let handle = kit
            .server
            .fault(Fault::on(Kind::Listing).always(), Action::Answer(answer));
        assert_eq!(listed(&kit.client, "").await.unwrap(), ["a/b"]);
        assert_eq!(handle.hits(), 1);
    }
    let kit = unknown(Profile::distribution(), &["a/b"]).await;
    let down = Fault::on(Kind::Listing).always();
    let handle = kit.server.fault(down, Action::status(503));
    assert_eq!(listed(&kit.client, "").await.unwrap(), ["a/b"]);
    assert_eq!(handle.hits(), 4, "an unavailable host is tried again");
    assert_eq!(listed(&kit.client, "").await.unwrap(), ["a/b"]);
    assert_eq!(handle.hits(), 4, "and that is remembered");
}

#[tokio::test]
async fn lists_can_be_switched_off() {
    let none = settings(Lister::None, None);
    let kit = with_repositories(Profile::harbor(), none, &["a/b"]).await;
    let error = listed(&kit.client, "a").await.unwrap_err();
    let host = kit.server.host();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot list the repositories of {host}/a at {host}: lists are switched off for this registry (`list: \
             none`); name the repositories, or set `list`"
        )
    );
    assert!(!kit.client.lists_digests(&kit.repository("a/b"), true).await);
    assert_eq!(kit.lines(), [""; 0]);
}

#[tokio::test]
async fn docker_hub_needs_a_namespace() {
    let transport = Transport::new(TransportOptions::default()).unwrap();
    let options = Options::new(transport.into(), Keychain::default().into());
    let registries = Registries::new(options.with_listings(Listings::default()));
    let client = registries.client(&Registry::docker_hub());
    let error = listed(&client, "").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.cause()),
        (ErrorKind::Refused, Cause::Rejected)
    );
    assert_eq!(
        error.to_string(),
        "cannot list the repositories of docker.io at docker.io: Docker Hub does not list its namespaces: name one, \
         such as docker.io/library/**"
    );
}

#[tokio::test]
async fn a_registry_without_any_list_says_what_to_do() {
    let kit = unknown(Profile::distribution(), &["a/b"]).await;
    kit.server
        .fault(Fault::on(Kind::Catalog).always(), Action::status(404));
    let error = listed(&kit.client, "").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        error.message().ends_with(
            "the registry does not list its repositories (`GET /v2/_catalog`): name them instead"
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_list_that_ends_early_is_an_error() {
    let profile = harbor_with(ListKind::Repositories, ListingFault::Total(1));
    let kit = unknown(profile, &["team/a", "team/b"]).await;
    let error = listed(&kit.client, "team").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert_eq!(
        error.message(),
        "the list ends early: the Harbor API states 3 entries and listed 2"
    );
    assert_eq!(error.host(), kit.server.host());
    let mut pages = kit.client.list_repositories("team");
    assert_eq!(pages.next().await.unwrap().unwrap().total, Some(3));
    for _ in 0..3 {
        assert!(pages.next().await.is_err(), "it never looks complete");
    }
}

#[tokio::test]
async fn names_that_are_none_are_left_out_with_a_warning() {
    let names = ["team/a", "team/UPPER", "team/b"];
    let kit = unknown(Profile::harbor(), &names).await;
    assert_eq!(
        listed(&kit.client, "team").await.unwrap(),
        ["team/a", "team/b"]
    );
    let warnings = kit.heard.warnings();
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].starts_with(&format!(
            "a repository of {} is left out: ",
            kit.server.host()
        )),
        "{warnings:?}"
    );
}
