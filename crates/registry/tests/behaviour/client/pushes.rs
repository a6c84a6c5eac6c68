//! PUT of manifests: one request, and detection of registries that only seem to accept it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use image_syncer_registry::transport::RequestGuard;
use image_syncer_registry::{Digest, ErrorKind, Repository};
use testkit::profile::Immutable;
use testkit::{Action, Answer, Cut, Fault, Image, Kind, Layer, Profile};

use super::kit::{Kit, by_digest, tag};
use super::manifests::{image, manifest, with_blobs};

#[tokio::test]
async fn a_push_is_one_request() {
    let kit = Kit::open(Profile::distribution()).await;
    let image = image();
    with_blobs(&kit, &image);
    let repository = kit.repository("a/b");
    kit.client
        .put_manifest(&repository, &tag("v1"), &manifest(&image))
        .await
        .unwrap();
    assert_eq!(kit.took(), [(Kind::ManifestPut, 201)]);
    kit.client
        .put_manifest(&repository, &by_digest(image.digest()), &manifest(&image))
        .await
        .unwrap();
    let (media_type, bytes) = kit.server.state().manifest("a/b", "v1").unwrap();
    assert_eq!(
        (media_type, &bytes),
        (image.root().media_type.clone(), &image.root().bytes)
    );
    assert_eq!(kit.server.problems(), [""; 0]);
}

#[tokio::test]
async fn missing_content_of_a_manifest_is_named() {
    let kit = Kit::open(Profile::distribution()).await;
    let image = image();
    let repository = kit.repository("a/b");
    let error = kit
        .client
        .put_manifest(&repository, &tag("v1"), &manifest(&image))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MissingContent, "{error}");
    let mut missing: Vec<&str> = error.missing().iter().map(Digest::as_str).collect();
    let mut blobs: Vec<&str> = image.blobs().iter().map(testkit::Blob::digest).collect();
    missing.sort_unstable();
    blobs.sort_unstable();
    assert_eq!(missing, blobs);
    assert_eq!(kit.took().len(), 1);
}

/// The answer of distribution while another client writes a link to `blob`.
fn half_written(blob: &str) -> Action {
    let body = serde_json::json!({"errors": [
        {"code": "DIGEST_INVALID", "message": "provided digest did not match uploaded content"},
        {"code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown to registry", "detail": {"digest": blob}},
    ]});
    Answer::new(400)
        .body("application/json", body.to_string())
        .into()
}

#[tokio::test]
async fn a_push_that_conflicts_with_another_client_is_retried() {
    let image = image();
    let half_written = || half_written(image.blobs()[0].digest());
    let refused = (Kind::ManifestPut, 400);
    let absent = (Kind::ManifestHead, 404);
    for action in [
        half_written(),
        Action::error(400, "DIGEST_INVALID", "invalid digest"),
        Action::error(409, "CONFLICT", "another push is under way"),
    ] {
        let kit = Kit::open(Profile::distribution()).await;
        with_blobs(&kit, &image);
        let repository = kit.repository("a/b");
        kit.server
            .fault(Fault::on(Kind::ManifestPut).times(2), action);
        kit.client
            .put_manifest(&repository, &tag("v1"), &manifest(&image))
            .await
            .unwrap();
        let took = kit.took();
        assert_eq!(took.len(), 5, "{took:?}");
        assert_eq!(
            took[1..],
            [
                absent,
                (took[0].0, took[0].1),
                absent,
                (Kind::ManifestPut, 201)
            ]
        );
        kit.server.verify_complete("a/b", "v1").unwrap();
    }
    // Where it does not pass, what is named is missing; the other one may have pushed the same meanwhile.
    let kit = Kit::open(Profile::distribution()).await;
    let repository = kit.repository("a/b");
    kit.server
        .fault(Fault::on(Kind::ManifestPut), half_written());
    let push = || {
        let (repository, manifest) = (repository.clone(), manifest(&image));
        let client = kit.client.clone();
        async move {
            client
                .put_manifest(&repository, &tag("v1"), &manifest)
                .await
        }
    };
    let error = push().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.tries()),
        (ErrorKind::MissingContent, 4)
    );
    assert_eq!(error.missing()[0].as_str(), image.blobs()[0].digest());
    let turn = [refused, absent];
    assert_eq!(kit.took(), [turn, turn, turn, turn].concat());
    kit.server.push("a/b", Some("v1"), &image);
    push().await.unwrap();
    assert_eq!(kit.took(), [refused, (Kind::ManifestHead, 200)]);
}

#[tokio::test]
async fn a_digest_of_an_algorithm_that_a_registry_does_not_know_is_refused_for_good() {
    let kit = Kit::open(Profile::distribution()).await;
    let image = image();
    let bytes = image.root().bytes.clone();
    let digest = Digest::compute(image_syncer_registry::Algorithm::Sha512, &bytes);
    let manifest =
        image_syncer_registry::Manifest::new(bytes, Some(&image.root().media_type), digest.clone())
            .unwrap();
    let refusal = Action::error(400, "DIGEST_INVALID", "sha256 only");
    kit.server.fault(Fault::on(Kind::ManifestPut), refusal);
    let error = kit
        .client
        .put_manifest(
            &kit.repository("a/b"),
            &by_digest(digest.as_str()),
            &manifest,
        )
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.tries()), (ErrorKind::Rejected, 1));
    assert_eq!(kit.took().len(), 1);
}

#[tokio::test]
async fn a_registry_that_rewrites_is_found_out() {
    let kit = Kit::open(Profile {
        rewrites_manifests: true,
        ..Profile::distribution()
    })
    .await;
    let image = image();
    with_blobs(&kit, &image);
    let error = kit
        .client
        .put_manifest(&kit.repository("a/b"), &tag("v1"), &manifest(&image))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.message().contains("rewrote"), "{error}");
    assert_eq!(kit.took().len(), 1);
}

#[tokio::test]
async fn a_lost_reply_is_settled_before_a_second_push() {
    // Quay refuses to set a tag again, even to what it is.
    let kit = Kit::open(Profile {
        immutable_tags: Some(Immutable::Quay),
        ..Profile::distribution()
    })
    .await;
    let image = image();
    with_blobs(&kit, &image);
    kit.server.fault(
        Fault::on(Kind::ManifestPut).nth(1),
        Action::LoseReply(Cut::Reset),
    );
    kit.client
        .put_manifest(&kit.repository("a/b"), &tag("v1"), &manifest(&image))
        .await
        .unwrap();
    assert_eq!(
        kit.took(),
        [(Kind::ManifestPut, 0), (Kind::ManifestHead, 200)]
    );
    kit.server.fault(
        Fault::on(Kind::ManifestPut).nth(1),
        Action::CutBeforeAnswer(Cut::Reset),
    );
    kit.client
        .put_manifest(&kit.repository("a/b"), &tag("v2"), &manifest(&image))
        .await
        .unwrap();
    assert_eq!(
        kit.took(),
        [
            (Kind::ManifestPut, 0),
            (Kind::ManifestHead, 404),
            (Kind::ManifestPut, 201)
        ]
    );
}

#[tokio::test]
async fn a_failure_of_the_server_is_settled_before_a_second_push_and_after_the_last() {
    for status in [408, 500, 502, 503, 504] {
        let kit = Kit::open(Profile::distribution()).await;
        let image = image();
        with_blobs(&kit, &image);
        let repository = kit.repository("a/b");
        let (tag, manifest) = (tag("v1"), manifest(&image));
        let push = || kit.client.put_manifest(&repository, &tag, &manifest);
        let failed = (Kind::ManifestPut, status);
        let absent = (Kind::ManifestHead, 404);
        kit.server
            .fault(Fault::on(Kind::ManifestPut), Action::status(status));
        let error = push().await.unwrap_err();
        assert_eq!((error.kind(), error.tries()), (ErrorKind::Server, 4));
        assert_eq!(kit.took(), [failed, absent].repeat(4), "{status}");
        // It arrived all the same.
        kit.server.push("a/b", Some("v1"), &image);
        push().await.unwrap();
        assert_eq!(kit.took(), [failed, (Kind::ManifestHead, 200)], "{status}");
    }
    // A server that asks for time has not looked at it.
    let kit = Kit::open(Profile::distribution()).await;
    let image = image();
    with_blobs(&kit, &image);
    let busy = Answer::new(503).retry_after(0);
    kit.server.fault(Fault::on(Kind::ManifestPut).nth(1), busy);
    kit.client
        .put_manifest(&kit.repository("a/b"), &tag("v1"), &manifest(&image))
        .await
        .unwrap();
    assert_eq!(
        kit.took(),
        [(Kind::ManifestPut, 503), (Kind::ManifestPut, 201)]
    );
}

#[tokio::test]
async fn a_push_that_arrives_late_is_found_when_its_repetition_is_refused() {
    for (status, code) in [
        (409, "TAG_IMMUTABLE"),
        (400, "TAG_INVALID"),
        (403, "DENIED"),
    ] {
        let kit = Kit::open(Profile::distribution()).await;
        let image = image();
        with_blobs(&kit, &image);
        kit.server
            .fault(Fault::on(Kind::ManifestPut).nth(1), Action::status(504));
        let refusal = Action::error(status, code, "the tag exists");
        kit.server
            .fault(Fault::on(Kind::ManifestPut).nth(2), refusal);
        let absent = Action::error(404, "MANIFEST_UNKNOWN", "not yet");
        kit.server
            .fault(Fault::on(Kind::ManifestHead).nth(1), absent);
        kit.server.push("a/b", Some("v1"), &image);
        kit.client
            .put_manifest(&kit.repository("a/b"), &tag("v1"), &manifest(&image))
            .await
            .unwrap();
        let took = [
            (Kind::ManifestPut, 504),
            (Kind::ManifestHead, 404),
            (Kind::ManifestPut, status),
            (Kind::ManifestHead, 200),
        ];
        assert_eq!(kit.took(), took);
    }
}

#[tokio::test]
async fn an_immutable_tag_is_refused_for_good() {
    for rule in [Immutable::Ecr, Immutable::Harbor, Immutable::Quay] {
        let kit = Kit::open(Profile {
            immutable_tags: Some(rule),
            ..Profile::distribution()
        })
        .await;
        let (old, new) = (image(), Image::oci().layer(Layer::tar("new", 7)).build());
        kit.server.push("a/b", Some("v1"), &old);
        with_blobs(&kit, &new);
        let error = kit
            .client
            .put_manifest(&kit.repository("a/b"), &tag("v1"), &manifest(&new))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
        assert_eq!(kit.took().len(), 1);
    }
}

#[tokio::test]
async fn a_registry_that_names_no_digests_is_confirmed_once() {
    let kit = Kit::open(Profile {
        content_digest: false,
        ..Profile::distribution()
    })
    .await;
    let image = image();
    with_blobs(&kit, &image);
    let repository = kit.repository("a/b");
    kit.client
        .put_manifest(&repository, &tag("v1"), &manifest(&image))
        .await
        .unwrap();
    kit.client
        .put_manifest(&repository, &tag("v2"), &manifest(&image))
        .await
        .unwrap();
    assert_eq!(
        kit.took(),
        [
            (Kind::ManifestPut, 201),
            (Kind::ManifestGet, 200),
            (Kind::ManifestPut, 201)
        ]
    );
}

#[tokio::test]
async fn a_web_server_that_accepts_everything_is_no_registry() {
    let kit = Kit::open(Profile {
        web_server: Some((200, 200)),
        ..Profile::distribution()
    })
    .await;
    let repository = kit.repository("a/b");
    for target in [tag("v1"), by_digest(image().digest())] {
        let error = kit
            .client
            .put_manifest(&repository, &target, &manifest(&image()))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        let says = "does not answer like a registry: it answered 200 OK to `GET /v2/`";
        assert!(error.message().contains(says), "{error}");
    }
}

/// Refuses as soon as the registry has seen a request of this kind.
struct UntilSeen(Arc<testkit::Registry>, Kind);

impl std::fmt::Debug for UntilSeen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("UntilSeen").field(&self.1).finish()
    }
}

impl RequestGuard for UntilSeen {
    fn refusal(&self) -> Option<String> {
        let is_seen = self.0.count(|request| request.kind == self.1) > 0;
        is_seen.then(|| "its time is over".to_owned())
    }
}

#[tokio::test]
async fn a_tag_is_not_pushed_again_after_its_permission_ended() {
    let kit = Kit::open(Profile::distribution()).await;
    let image = image();
    with_blobs(&kit, &image);
    let repository = kit.repository("a/b");
    let server = Arc::new(kit.server);
    let guard = |kind| Arc::new(UntilSeen(server.clone(), kind));
    let client = kit.client.with_tag_guard(guard(Kind::ManifestPut));
    let took = || {
        let requests = server.requests();
        server.clear_requests();
        requests
            .iter()
            .map(|it| (it.kind, it.status))
            .collect::<Vec<_>>()
    };
    // The registry asks for a pause, and the permission ends meanwhile.
    server.fault(
        Fault::on(Kind::ManifestPut).nth(1),
        Answer::new(429).retry_after(1),
    );
    let (v1, manifest) = (tag("v1"), manifest(&image));
    let push = client.put_manifest(&repository, &v1, &manifest);
    let error = push.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot push manifest a/b:v1 at {}: its time is over, after 2 tries",
            server.host()
        )
    );
    assert_eq!(took(), [(Kind::ManifestPut, 429)]);
    assert!(server.state().manifest("a/b", "v1").is_none());
    // A manifest without a tag moves none, and a deletion may.
    let digest = by_digest(image.digest());
    let pushed = client.put_manifest(&repository, &digest, &manifest);
    pushed.await.unwrap();
    let error = client.delete_manifest(&repository, &digest).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(took(), [(Kind::ManifestPut, 201)]);
}

#[tokio::test]
async fn a_list_of_referrers_is_not_pushed_without_permission() {
    let kit = Kit::open(Profile::distribution()).await;
    let image = image();
    let repository = kit.repository("a/b");
    kit.server.push("a/b", Some("v1"), &image);
    let referrer = Image::referrer_of(&image, "application/vnd.example", "signed");
    kit.server.push("a/b", None, &referrer);
    let server = Arc::new(kit.server);
    let client = (kit.client).with_tag_guard(Arc::new(UntilSeen(server.clone(), Kind::Referrers)));
    let subject = Digest::parse(image.digest()).unwrap();
    let listed = [manifest(&referrer).referrer_descriptor().unwrap()];
    let listing = client.update_referrers_index(&repository, &subject, &listed);
    assert_eq!(listing.await.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(server.count(|request| request.kind == Kind::ManifestPut), 0);
}

/// Refuses from its second check on.
#[derive(Debug, Default)]
struct OnlyOnce(AtomicUsize);

impl RequestGuard for OnlyOnce {
    fn refusal(&self) -> Option<String> {
        let is_first = self.0.fetch_add(1, Ordering::SeqCst) == 0;
        (!is_first).then(|| "its time is over".to_owned())
    }
}

#[tokio::test]
async fn a_tag_is_not_pushed_if_its_permission_ends_before_its_body_is_sent() {
    let kit = Kit::open(Profile::distribution()).await;
    let image = image();
    with_blobs(&kit, &image);
    let client = kit.client.with_tag_guard(Arc::new(OnlyOnce::default()));
    let repository = Repository::new(client.registry().clone(), "a/b").unwrap();
    let error = client
        .put_manifest(&repository, &tag("v1"), &manifest(&image))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let host = kit.server.host();
    let why = format!("cannot push manifest a/b:v1 at {host}: its time is over");
    assert_eq!(error.to_string(), why);
    assert!(kit.server.state().manifest("a/b", "v1").is_none());
}
