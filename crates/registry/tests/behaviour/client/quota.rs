//! Docker Hub's pull quota.

use futures_util::future::join_all;
use image_syncer_registry::auth::Credential;
use image_syncer_registry::{ErrorKind, Repository};
use testkit::{Image, Kind, Layer, Profile};

use crate::client::kit::{Kit, client_of, tag};

#[tokio::test]
async fn the_quota_is_used_and_the_rest_fails_without_a_request() {
    let kit = Kit::open(Profile {
        pull_limit: Some(3),
        ..Profile::docker_hub()
    })
    .await;
    let image = Image::single([Layer::tar("a", 100)]);
    for name in ["v1", "v2", "v3", "v4", "v5"] {
        kit.server.push("library/a", Some(name), &image);
    }
    let repository = kit.repository("library/a");
    let (one, target) = (tag("v1"), |number| tag(&format!("v{number}")));
    assert!(
        kit.client
            .head_manifest(&repository, &one)
            .await
            .unwrap()
            .is_some()
    );
    let pulls = (1..=5).map(|number| {
        let (client, repository, target) = (&kit.client, &repository, target(number));
        async move { client.get_manifest(repository, &target).await }
    });
    let results = join_all(pulls).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 3);
    for error in results.into_iter().filter_map(Result::err) {
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert_eq!(
            error.message(),
            "its pull quota is used up: none of 3 pulls in 6 h are left for anonymous pulls from 203.0.113.5, and \
             this run no longer waits for more; a login has a higher quota (docker login, or --auth)"
        );
    }
    assert_eq!(kit.server.count(|r| r.kind == Kind::ManifestGet), 3);
    assert_eq!(kit.heard.retries(), 0);
    assert_eq!(
        kit.heard.warnings(),
        [
            "none of 3 pulls in 6 h are left for anonymous pulls from 203.0.113.5; a login has a higher quota \
             (docker login, or --auth)"
        ]
    );
    // HEADs are free, and tell when there are pulls again.
    assert!(
        kit.client
            .head_manifest(&repository, &one)
            .await
            .unwrap()
            .is_some()
    );
    assert!(kit.client.get_manifest(&repository, &one).await.is_err());
    kit.server
        .change_profile(|profile| profile.pull_limit = Some(4));
    assert!(
        kit.client
            .head_manifest(&repository, &one)
            .await
            .unwrap()
            .is_some()
    );
    kit.client.get_manifest(&repository, &one).await.unwrap();
    assert_eq!(kit.server.count(|r| r.kind == Kind::ManifestGet), 4);
    // Nothing is limited without a stated quota.
    kit.server
        .change_profile(|profile| profile.pull_limit = None);
    assert!(
        kit.client
            .head_manifest(&repository, &one)
            .await
            .unwrap()
            .is_some()
    );
    for number in 1..=5 {
        kit.client
            .get_manifest(&repository, &target(number))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_registry_that_limits_requests_refuses_few() {
    let server = testkit::Registry::builder()
        .requests_per_second(20)
        .start()
        .await;
    let image = Image::single([Layer::tar("a", 100)]);
    server.push("library/a", Some("v1"), &image);
    let (client, heard) = client_of(&server.host(), Credential::Anonymous);
    let repository = Repository::new(client.registry().clone(), "library/a").unwrap();
    let one = tag("v1");
    let heads = (0..100).map(|_| client.head_manifest(&repository, &one));
    for found in join_all(heads).await {
        assert!(found.unwrap().is_some());
    }
    let totals = server.totals();
    let refused = totals.too_many_requests;
    assert_eq!(totals.requests - refused, 100);
    assert_eq!(heard.retries() as u64, refused);
    // A window of 64 is refused but for the first 20, and then a few.
    assert!(refused <= 60, "{refused}");
}
