//! HEAD and GET of manifests, and what registries make of them.

use image_syncer_registry::{Digest, ErrorKind, Manifest, ManifestPresence};
use testkit::auth::Access;
use testkit::profile::Unknown;
use testkit::{Action, Auth, Cut, Fault, Image, Kind, Layer, Profile};

use super::kit::{Kit, by_digest, tag};

pub(super) fn image() -> Image {
    Image::oci().layer(Layer::tar("layer", 100)).build()
}

/// The root of `image` as the client would have fetched it.
pub(super) fn manifest(image: &Image) -> Manifest {
    let root = image.root();
    let digest = Digest::parse(&root.digest).unwrap();
    Manifest::new(root.bytes.clone(), Some(&root.media_type), digest).unwrap()
}

/// A registry that holds the blobs of `image` in `a/b`, and nothing more.
pub(super) fn with_blobs(kit: &Kit, image: &Image) {
    for blob in image.blobs() {
        kit.server.state().put_blob("a/b", blob);
    }
}

#[tokio::test]
async fn a_head_is_one_request() {
    let kit = Kit::open(Profile::distribution()).await;
    let image = image();
    kit.server.push("a/b", Some("v1"), &image);
    let repository = kit.repository("a/b");
    let head = kit
        .client
        .head_manifest(&repository, &tag("v1"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(head.digest.as_str(), image.digest());
    assert_eq!(head.size, Some(image.root().size()));
    assert_eq!(
        head.media_type.as_deref(),
        Some(image.root().media_type.as_str())
    );
    assert_eq!(kit.took(), [(Kind::ManifestHead, 200)]);
    assert_eq!(
        kit.client
            .head_manifest(&repository, &tag("v2"))
            .await
            .unwrap(),
        None
    );
    let found = kit
        .client
        .head_manifest_for_push(&repository, &tag("v2"))
        .await;
    assert!(matches!(found, Ok(ManifestPresence::Absent)), "{found:?}");
    assert_eq!(kit.took(), [(Kind::ManifestHead, 404); 2]);
    assert_eq!(kit.server.problems(), [""; 0]);
}

#[tokio::test]
async fn where_a_head_does_not_do_a_get_does() {
    let image = image();
    for (profile, head) in [
        (
            Profile {
                content_digest: false,
                ..Profile::distribution()
            },
            200,
        ),
        (
            Profile {
                manifest_head: Some(405),
                ..Profile::distribution()
            },
            405,
        ),
        (
            Profile {
                manifest_head: Some(501),
                ..Profile::distribution()
            },
            501,
        ),
        (
            Profile {
                manifest_head: Some(403),
                ..Profile::distribution()
            },
            403,
        ),
    ] {
        let kit = Kit::open(profile).await;
        kit.server.push("a/b", Some("v1"), &image);
        let repository = kit.repository("a/b");
        let found = kit
            .client
            .head_manifest(&repository, &tag("v1"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.digest.as_str(), image.digest());
        assert_eq!(
            kit.took(),
            [(Kind::ManifestHead, head), (Kind::ManifestGet, 200)]
        );
    }
}

async fn with_heads(status: u16) -> Kit {
    let kit = Kit::open(Profile {
        manifest_head: Some(status),
        ..Profile::distribution()
    })
    .await;
    kit.server.push("a/b", Some("v1"), &image());
    kit
}

/// Number of times that a HEAD which is answered so is sent.
fn heads(status: u16) -> usize {
    if [500, 502].contains(&status) { 4 } else { 1 }
}

#[tokio::test]
async fn a_head_that_fails_is_believed_when_a_get_fails_too_and_is_not_sent_again() {
    for status in [400, 404, 406, 405, 410, 412, 501, 500, 502] {
        let kit = with_heads(status).await;
        let repository = kit.repository("a/b");
        let mut expected = vec![(Kind::ManifestHead, status); heads(status)];
        expected.push((Kind::ManifestGet, 200));
        for requests in [expected, vec![(Kind::ManifestGet, 200)]] {
            let found = kit.client.find_manifest(&repository, &tag("v1")).await;
            assert_eq!(found.unwrap().unwrap().digest.as_str(), image().digest());
            assert_eq!(kit.took(), requests, "{status}");
        }
        // Whoever asks for what need not exist, or is about to push, knows as well.
        let found = kit.client.head_manifest(&repository, &tag("v1")).await;
        assert!(found.unwrap().is_some());
        let found = kit
            .client
            .head_manifest_for_push(&repository, &tag("v1"))
            .await;
        assert!(matches!(found, Ok(ManifestPresence::Present(_))));
        assert_eq!(kit.took(), [(Kind::ManifestGet, 200); 2], "{status}");
    }
}

#[tokio::test]
async fn absence_is_confirmed_by_get_only_if_the_manifest_should_exist() {
    let kit = Kit::open(Profile::distribution()).await;
    let repository = kit.repository("a/b");
    for _ in 0..2 {
        let found = kit.client.find_manifest(&repository, &tag("v1")).await;
        assert_eq!(found.unwrap(), None);
        let both = [(Kind::ManifestHead, 404), (Kind::ManifestGet, 404)];
        assert_eq!(kit.took(), both);
    }
    let found = kit.client.head_manifest(&repository, &tag("v1")).await;
    assert_eq!(found.unwrap(), None);
    assert_eq!(kit.took(), [(Kind::ManifestHead, 404)]);
}

#[tokio::test]
async fn a_server_that_fails_always_gets_one_get() {
    let kit = with_heads(500).await;
    kit.server
        .fault(Fault::on(Kind::ManifestGet), Action::status(500));
    let repository = kit.repository("a/b");
    let error = kit.client.find_manifest(&repository, &tag("v1")).await;
    let error = error.unwrap_err();
    assert_eq!((error.kind(), error.tries()), (ErrorKind::Server, 4));
    assert_eq!(kit.took().len(), 5);
}

#[tokio::test]
async fn a_destination_that_hides_its_content_is_pushed_to() {
    // Before a push: a GET where HEAD fails, and where that fails too, the push is to tell.
    for status in [400, 405, 406, 412, 501, 500, 502] {
        let kit = with_heads(status).await;
        let repository = kit.repository("a/b");
        let v1 = tag("v1");
        let look = || kit.client.head_manifest_for_push(&repository, &v1);
        let get = kit
            .server
            .fault(Fault::on(Kind::ManifestGet), Action::status(status));
        let Ok(ManifestPresence::Unknown(why)) = look().await else {
            panic!("{status}");
        };
        assert_eq!(why.status().unwrap().as_u16(), status);
        assert_eq!((kit.took().len(), get.hits()), (heads(status) + 1, 1));
        kit.server.clear_faults();
        assert!(matches!(look().await, Ok(ManifestPresence::Present(_))));
        assert_eq!(kit.took().len(), heads(status) + 1, "{status}");
    }
    // What is about the moment is no answer.
    for status in [503, 504, 429] {
        let kit = with_heads(status).await;
        let repository = kit.repository("a/b");
        let found = kit
            .client
            .head_manifest_for_push(&repository, &tag("v1"))
            .await;
        assert!(found.is_err(), "{status}");
        let took = kit.took();
        assert!(took.iter().all(|(kind, _)| *kind == Kind::ManifestHead));
    }
}

#[tokio::test]
async fn a_head_by_digest_needs_no_header() {
    let kit = Kit::open(Profile {
        content_digest: false,
        ..Profile::distribution()
    })
    .await;
    let image = image();
    kit.server.push("a/b", None, &image);
    let repository = kit.repository("a/b");
    let found = kit
        .client
        .head_manifest(&repository, &by_digest(image.digest()))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.digest.as_str(), image.digest());
    assert_eq!(kit.took(), [(Kind::ManifestHead, 200)]);
}

#[tokio::test]
async fn a_refused_head_for_push_means_try_it() {
    // 401 as Docker Hub and Harbor, 403 as Artifactory say for what does not exist yet.
    for (unknown, status) in [
        (Unknown::Unauthorized, 401),
        (Unknown::ProjectNotFound, 401),
        (Unknown::Denied, 403),
    ] {
        let profile = Profile {
            unknown_repository: unknown,
            ..Profile::distribution()
        };
        let kit = Kit::guarded(profile, Auth::bearer("ada", "pw")).await;
        let repository = kit.repository("a/b");
        let head = kit
            .client
            .head_manifest_for_push(&repository, &tag("v1"))
            .await;
        let Ok(ManifestPresence::Unknown(refusal)) = head else {
            panic!("{unknown:?}: {head:?}");
        };
        assert_eq!(refusal.status().unwrap().as_u16(), status);
        assert_eq!(kit.took().last(), Some(&(Kind::ManifestHead, status)));
        // Read from, the same is an error.
        let error = kit
            .client
            .head_manifest(&repository, &tag("v1"))
            .await
            .unwrap_err();
        let kind = if status == 401 {
            ErrorKind::Unauthorized
        } else {
            ErrorKind::Denied
        };
        assert_eq!(error.kind(), kind, "{error}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_an_error_at_once() {
    let access = Access::new().user("ada", "another");
    let auth = Auth::Bearer(access, testkit::TokenRules::default());
    let kit = Kit::guarded(Profile::distribution(), auth).await;
    let repository = kit.repository("a/b");
    let error = kit
        .client
        .head_manifest_for_push(&repository, &tag("v1"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
    assert_eq!(kit.took(), [(Kind::ManifestHead, 401)]);
}

#[tokio::test]
async fn one_token_serves_the_head_and_the_push() {
    let kit = Kit::guarded(Profile::distribution(), Auth::bearer("ada", "pw")).await;
    let image = image();
    with_blobs(&kit, &image);
    let repository = kit.repository("a/b");
    kit.client
        .head_manifest_for_push(&repository, &tag("v1"))
        .await
        .unwrap();
    kit.client
        .put_manifest(&repository, &tag("v1"), &manifest(&image))
        .await
        .unwrap();
    assert_eq!(
        kit.took(),
        [
            (Kind::ManifestHead, 401),
            (Kind::ManifestHead, 404),
            (Kind::ManifestPut, 201)
        ]
    );
    assert_eq!(
        kit.server.token_requests().len(),
        0,
        "cleared with the others"
    );
    kit.server.verify_complete("a/b", "v1").unwrap();
}

#[tokio::test]
async fn bytes_come_back_untouched() {
    let kit = Kit::open(Profile {
        content_type_suffix: "; charset=utf-8",
        ..Profile::distribution()
    })
    .await;
    let image = Image::oci()
        .pretty()
        .without_media_type()
        .layer(Layer::tar("x", 10))
        .build();
    kit.server.push("a/b", Some("v1"), &image);
    let repository = kit.repository("a/b");
    for target in [tag("v1"), by_digest(image.digest())] {
        let fetched = kit.client.get_manifest(&repository, &target).await.unwrap();
        assert_eq!(fetched.bytes(), &image.root().bytes);
        assert_eq!(fetched.digest().as_str(), image.digest());
        assert_eq!(fetched.media_type(), image.root().media_type);
    }
    assert_eq!(kit.took(), [(Kind::ManifestGet, 200); 2]);
}

#[tokio::test]
async fn a_manifest_that_is_not_there_is_not_found() {
    let kit = Kit::open(Profile::distribution()).await;
    let repository = kit.repository("a/b");
    let error = kit
        .client
        .get_manifest(&repository, &tag("v1"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(kit.took(), [(Kind::ManifestGet, 404)]);
    let host = kit.server.host();
    assert!(
        error.to_string().starts_with(&format!(
            "cannot fetch manifest a/b:v1 at {host}: the registry answered 404 Not Found"
        )),
        "{error}"
    );
}

#[tokio::test]
async fn by_tag_a_wrong_header_is_a_warning() {
    let kit = Kit::open(Profile::distribution()).await;
    let image = image();
    kit.server.push("a/b", Some("v1"), &image);
    let wrong = Digest::sha256(b"wrong").to_string();
    kit.server.fault(
        Fault::on(Kind::ManifestGet),
        Action::WithHeaders(vec![("docker-content-digest", wrong)]),
    );
    let fetched = kit
        .client
        .get_manifest(&kit.repository("a/b"), &tag("v1"))
        .await
        .unwrap();
    assert_eq!(fetched.digest().as_str(), image.digest());
    let warnings = kit.heard.warnings();
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].contains("a/b") && warnings[0].contains("v1"),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn by_digest_other_bytes_are_corrupt() {
    let kit = Kit::open(Profile::distribution()).await;
    let image = image();
    kit.server.push("a/b", None, &image);
    let repository = kit.repository("a/b");
    let target = by_digest(image.digest());
    let flipped = Action::Corrupt { offset: 3 };
    // Once is forgiven.
    kit.server
        .fault(Fault::on(Kind::ManifestGet).nth(1), flipped.clone());
    assert!(kit.client.get_manifest(&repository, &target).await.is_ok());
    assert_eq!(kit.took().len(), 2);
    kit.server.clear_faults();
    kit.server.fault(Fault::on(Kind::ManifestGet), flipped);
    let error = kit
        .client
        .get_manifest(&repository, &target)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(kit.took().len(), 2);
    let text = error.to_string();
    let host = kit.server.host();
    assert!(
        text.contains(image.digest()) && text.contains(&host) && text.contains("sha256:"),
        "{text}"
    );
}

#[tokio::test]
async fn an_answer_that_is_no_manifest_is_reported() {
    let kit = Kit::open(Profile::distribution()).await;
    kit.server.push("a/b", Some("v1"), &image());
    kit.server.fault(Fault::on(Kind::ManifestGet), Action::Html);
    let error = kit
        .client
        .get_manifest(&kit.repository("a/b"), &tag("v1"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    assert_eq!(kit.took().len(), 1);
}

#[tokio::test]
async fn broken_and_overloaded_requests_are_retried() {
    let kit = Kit::open(Profile::distribution()).await;
    let image = image();
    kit.server.push("a/b", Some("v1"), &image);
    kit.server
        .fault(Fault::on(Kind::ManifestGet).nth(1), Action::status(502));
    kit.server.fault(
        Fault::on(Kind::ManifestGet).nth(2),
        Action::CutResponse {
            after: 5,
            how: Cut::Reset,
        },
    );
    let fetched = kit
        .client
        .get_manifest(&kit.repository("a/b"), &tag("v1"))
        .await
        .unwrap();
    assert_eq!(fetched.bytes(), &image.root().bytes);
    assert_eq!(kit.took().len(), 3);
    assert_eq!(kit.heard.retries(), 2);
    kit.server
        .fault(Fault::on(Kind::ManifestGet), Action::status(500));
    let error = kit
        .client
        .get_manifest(&kit.repository("a/b"), &tag("v1"))
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.tries()), (ErrorKind::Server, 4));
    assert_eq!(kit.took().len(), 4);
}

#[tokio::test]
async fn sha512_and_schema_1_are_fetched_under_their_own_digests() {
    let kit = Kit::open(Profile::distribution()).await;
    let image = Image::schema1("a/b", "v1", [Layer::tar("x", 10)]);
    kit.server.push("a/b", Some("v1"), &image);
    let fetched = kit
        .client
        .get_manifest(&kit.repository("a/b"), &tag("v1"))
        .await
        .unwrap();
    assert_eq!(fetched.bytes(), &image.root().bytes);
    assert_eq!(fetched.digest().as_str(), image.digest());
    assert_eq!(kit.heard.warnings(), [""; 0]);
}

#[tokio::test]
async fn a_repository_of_another_registry_is_refused() {
    let kit = Kit::open(Profile::distribution()).await;
    let elsewhere = image_syncer_registry::Repository::parse("r.example/a/b").unwrap();
    let error = kit
        .client
        .head_manifest(&elsewhere, &tag("v1"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert_eq!(kit.took().len(), 0);
}
