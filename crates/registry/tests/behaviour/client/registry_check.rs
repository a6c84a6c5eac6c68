//! Hosts that are no registry: one `GET /v2/` tells, and only after a request that failed without any sign of one.

use image_syncer_registry::{Cause, Error, ErrorKind, PushedManifest};
use testkit::{Answer, Blob, Fault, Kind, Profile};

use super::kit::{Kit, basic, by_digest, descriptor, tag};
use super::manifests::{image, manifest};

const PING: (Kind, u16) = (Kind::Ping, 404);

async fn push(kit: &Kit) -> Result<PushedManifest, Error> {
    let repository = kit.repository("a/b");
    let manifest = manifest(&image());
    kit.client
        .put_manifest(&repository, &tag("v1"), &manifest)
        .await
}

/// A web server that answers these statuses to requests that read and that write.
async fn web_server(reads: u16, writes: u16) -> Kit {
    let profile = Profile::distribution();
    Kit::open(Profile {
        web_server: Some((reads, writes)),
        ..profile
    })
    .await
}

fn assert_says(kit: &Kit, error: &Error, answers: &str) {
    let host = kit.server.host();
    assert_eq!(
        (error.kind(), error.cause()),
        (ErrorKind::Protocol, Cause::NotUnderstood)
    );
    assert_eq!(
        error.message(),
        format!("{host} does not answer like a registry: it answered {answers} to `GET /v2/`")
    );
    assert_eq!(error.tries(), 1, "{error}");
}

#[tokio::test]
async fn a_host_that_answers_404_to_everything_is_found_out_by_one_request() {
    let kit = web_server(404, 404).await;
    let repository = kit.repository("a/b");
    let both = "404 Not Found to this request, and 404 Not Found";
    let error = kit
        .client
        .get_manifest(&repository, &tag("v1"))
        .await
        .unwrap_err();
    assert_says(&kit, &error, both);
    assert_eq!(kit.took(), [(Kind::ManifestGet, 404), PING]);
    // All later ones say the same without asking again.
    let error = kit.client.tags(&repository).next().await.unwrap_err();
    assert_says(&kit, &error, both);
    assert_eq!(kit.took(), [(Kind::Tags, 404)]);
    let error = kit
        .client
        .find_manifest(&repository, &tag("v1"))
        .await
        .unwrap_err();
    assert_says(&kit, &error, both);
    let looked = [(Kind::ManifestHead, 404), (Kind::ManifestGet, 404)];
    assert_eq!(kit.took(), looked);
    let blob = descriptor(&Blob::synthetic(100, 1));
    let error = kit
        .client
        .open_blob(&repository, &blob, 0)
        .await
        .err()
        .unwrap();
    assert_says(&kit, &error, both);
    assert_eq!(kit.took(), [(Kind::BlobGet, 404)]);
    let error = kit
        .client
        .open_upload(&repository, &blob, None)
        .await
        .err()
        .unwrap();
    assert_says(&kit, &error, both);
    assert_eq!(kit.took(), [(Kind::Mount, 404), (Kind::UploadPost, 404)]);
    let pushed = push(&kit).await;
    assert_says(&kit, &pushed.unwrap_err(), both);
    assert_eq!(kit.took(), [(Kind::ManifestPut, 404)]);
    // That nothing is there is no error, and asks nothing.
    let head = kit.client.head_manifest(&repository, &tag("v1")).await;
    assert_eq!(head.unwrap(), None);
    assert_eq!(kit.took(), [(Kind::ManifestHead, 404)]);
}

#[tokio::test]
async fn requests_that_start_together_ask_once() {
    let kit = web_server(404, 404).await;
    let repository = kit.repository("a/b");
    let heads = (0..20).map(|index| {
        let (client, repository) = (kit.client.clone(), repository.clone());
        async move {
            client
                .get_manifest(&repository, &tag(&format!("v{index}")))
                .await
        }
    });
    for error in futures_util::future::join_all(heads).await {
        let error = error.unwrap_err();
        assert_says(
            &kit,
            &error,
            "404 Not Found to this request, and 404 Not Found",
        );
    }
    let pings = kit.server.count(|request| request.kind == Kind::Ping);
    assert_eq!((pings, kit.server.requests().len()), (1, 21));
}

#[tokio::test]
async fn a_login_that_is_known_costs_no_second_one() {
    let profile = Profile {
        web_server: Some((404, 404)),
        ..Profile::distribution()
    };
    let kit = Kit::of(testkit::Registry::start(profile).await, basic("ada", "pw"));
    let repository = kit.repository("a/b");
    let error = kit
        .client
        .get_manifest(&repository, &tag("v1"))
        .await
        .unwrap_err();
    assert_says(
        &kit,
        &error,
        "404 Not Found to this request, and 404 Not Found",
    );
    let get = (Kind::ManifestGet, 404);
    assert_eq!(kit.took(), [get, PING, get]);
    kit.client
        .get_manifest(&repository, &tag("v2"))
        .await
        .unwrap_err();
    assert_eq!(kit.took(), [get]);
}

#[tokio::test]
async fn a_web_server_as_destination_is_no_registry_in_read_only_mode() {
    let kit = web_server(404, 405).await;
    let repository = kit.repository("a/b");
    let blob = descriptor(&Blob::synthetic(100, 1));
    let both = "405 Method Not Allowed to this request, and 404 Not Found";
    let error = kit
        .client
        .open_upload(&repository, &blob, None)
        .await
        .err()
        .unwrap();
    assert_says(&kit, &error, both);
    assert_eq!(
        kit.took(),
        [(Kind::Mount, 405), (Kind::UploadPost, 405), PING]
    );
    let pushed = push(&kit).await;
    assert_says(&kit, &pushed.unwrap_err(), both);
    assert_eq!(kit.took(), [(Kind::ManifestPut, 405)]);
}

#[tokio::test]
async fn a_page_in_place_of_a_document_is_found_out() {
    let kit = web_server(200, 200).await;
    let repository = kit.repository("a/b");
    let error = kit.client.tags(&repository).next().await.unwrap_err();
    assert_says(&kit, &error, "200 OK");
    assert_eq!(kit.took(), [(Kind::Tags, 200), (Kind::Ping, 200)]);
    let blob = descriptor(&Blob::synthetic(100, 1));
    let error = kit
        .client
        .open_upload(&repository, &blob, None)
        .await
        .err()
        .unwrap();
    assert_says(&kit, &error, "200 OK");
    assert_eq!(kit.took(), [(Kind::Mount, 200), (Kind::UploadPost, 200)]);
}

#[tokio::test]
async fn a_registry_that_answers_with_a_page_is_still_one() {
    let kit = web_server(404, 404).await;
    let pong = Answer::new(200).body("application/json", "{}");
    kit.server.fault(Fault::on(Kind::Ping), pong);
    let repository = kit.repository("a/b");
    let get = (Kind::ManifestGet, 404);
    for expected in [vec![get, (Kind::Ping, 200)], vec![get]] {
        let error = kit
            .client
            .get_manifest(&repository, &tag("v1"))
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.cause()),
            (ErrorKind::NotFound, Cause::NotFound)
        );
        assert!(error.message().contains("404 Not Found"), "{error}");
        assert_eq!(kit.took(), expected);
    }
}

#[tokio::test]
async fn answers_of_registries_ask_nothing() {
    // An error document, and the header of distribution in read-only mode.
    for answer in [
        Answer::new(404).error("MANIFEST_UNKNOWN", "manifest unknown"),
        Answer::new(405).header("docker-distribution-api-version", "registry/2.0"),
        Answer::new(403).error("DENIED", "no"),
        Answer::new(502).body("text/html", "<html>Bad Gateway</html>"),
    ] {
        let kit = Kit::open(Profile::distribution()).await;
        kit.server.fault(Fault::on_any(), answer);
        let repository = kit.repository("a/b");
        let missing = by_digest(image().digest());
        kit.client
            .get_manifest(&repository, &missing)
            .await
            .unwrap_err();
        let pushed = push(&kit).await;
        pushed.unwrap_err();
        let pings = kit.server.count(|request| request.kind == Kind::Ping);
        assert_eq!(pings, 0);
    }
}

#[tokio::test]
async fn a_host_that_has_served_something_is_a_registry_without_a_question() {
    let kit = Kit::open(Profile::distribution()).await;
    let repository = kit.repository("a/b");
    kit.server.push("a/b", Some("v1"), &image());
    let tag = tag("v1");
    let get = || kit.client.get_manifest(&repository, &tag);
    get().await.unwrap();
    kit.server
        .change_profile(|profile| profile.web_server = Some((404, 404)));
    assert_eq!(get().await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(
        kit.took(),
        [(Kind::ManifestGet, 200), (Kind::ManifestGet, 404)]
    );
}
