//! Opening: mounts, questions, locations.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use image_syncer_registry::transport::{TransportOptions, WindowBounds};
use image_syncer_registry::{BlobSource, BlobStream, Error, ErrorKind, OpenedUpload};
use testkit::profile::{Existence, LocationForm, MountRule, Unknown};
use testkit::{Action, Answer, Auth, Blob, Fault, Kind, Profile};
use tokio::sync::Notify;

use crate::client::kit::{Given, Kit, MIB, descriptor, descriptor_of, tag};

async fn open(kit: &Kit, path: &str, blob: &Blob, from: Option<&str>) -> &'static str {
    let from = from.map(|from| kit.repository(from));
    let opened = kit
        .client
        .open_upload(&kit.repository(path), &descriptor(blob), from.as_ref())
        .await;
    match opened.unwrap() {
        OpenedUpload::Present { mounted: true } => "mounted",
        OpenedUpload::Present { mounted: false } => "present",
        OpenedUpload::Session(_) => "session",
    }
}

#[tokio::test]
async fn a_missing_blob_costs_a_post_and_a_put() {
    let kit = Kit::open(Profile::distribution()).await;
    let blob = Blob::synthetic(3 * MIB, 1);
    assert!(kit.send("a/b", &blob).await.unwrap());
    kit.assert_arrived("a/b", &blob);
    assert_eq!(kit.server.bytes_received(), 3 * MIB);
    let lines = kit.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let hex = blob.digest().trim_start_matches("sha256:");
    assert_eq!(
        lines[0],
        format!("POST /v2/a/b/blobs/uploads/?mount=sha256%3A{hex}&from=a%2Fb")
    );
    assert!(
        lines[1].starts_with("PUT /v2/a/b/blobs/uploads/"),
        "{lines:?}"
    );
    assert!(
        lines[1].ends_with(&format!("&digest=sha256%3A{hex}")),
        "{lines:?}"
    );
}

#[tokio::test]
async fn an_existing_blob_costs_a_post() {
    let kit = Kit::open(Profile::distribution()).await;
    let blob = Blob::synthetic(1000, 1);
    kit.server.state().put_blob("a/b", &blob);
    assert!(!kit.send("a/b", &blob).await.unwrap());
    assert_eq!(kit.took(), [(Kind::Mount, 201)]);
}

#[tokio::test]
async fn a_plain_session_accepts_a_blob_that_is_claimed_to_exist() {
    let kit = Kit::open(Profile::distribution()).await;
    let blob = Blob::synthetic(1000, 1);
    kit.server.state().put_blob("a/b", &blob);
    let repository = kit.repository("a/b");
    let upload = kit
        .client
        .start_upload(&repository, &descriptor(&blob))
        .await;
    let given = Given::of(&blob);
    kit.client.upload(upload.unwrap(), &given).await.unwrap();
    assert_eq!(
        kit.took(),
        [(Kind::UploadPost, 202), (Kind::UploadPut, 201)]
    );
}

#[tokio::test]
async fn a_blob_that_is_elsewhere_is_mounted() {
    let kit = Kit::open(Profile::distribution()).await;
    let blob = Blob::synthetic(1000, 1);
    kit.server.state().put_blob("c/d", &blob);
    assert_eq!(open(&kit, "a/b", &blob, Some("c/d")).await, "mounted");
    assert_eq!(kit.took(), [(Kind::Mount, 201)]);
    kit.assert_arrived("a/b", &blob);
    // A mount that is declined is a session.
    assert_eq!(
        open(&kit, "a/b", &Blob::synthetic(10, 2), Some("c/d")).await,
        "session"
    );
    assert_eq!(kit.took(), [(Kind::Mount, 202)]);
}

#[tokio::test]
async fn a_mount_asks_for_both_repositories_push_first() {
    let kit = Kit::guarded(Profile::distribution(), Auth::bearer("ada", "pw")).await;
    let blob = Blob::synthetic(1000, 1);
    kit.server.state().put_blob("c/d", &blob);
    assert_eq!(open(&kit, "a/b", &blob, Some("c/d")).await, "mounted");
    let tokens = kit.server.token_requests();
    assert_eq!(tokens.len(), 1);
    assert_eq!(
        tokens[0].parameters("scope"),
        ["repository:a/b:pull,push", "repository:c/d:pull"]
    );
    assert_eq!(kit.took(), [(Kind::Mount, 401), (Kind::Mount, 201)]);
}

#[tokio::test]
async fn refused_mounts_are_requested_once() {
    for status in [400, 401, 403, 404, 405, 500] {
        let profile = Profile {
            mount: MountRule::Refuse(status),
            ..Profile::distribution()
        };
        let kit = Kit::open(profile).await;
        let blob = Blob::synthetic(1000, 1);
        assert_eq!(open(&kit, "a/b", &blob, None).await, "session", "{status}");
        assert_eq!(open(&kit, "a/b", &blob, None).await, "session", "{status}");
        let posts = [
            (Kind::Mount, status),
            (Kind::UploadPost, 202),
            (Kind::UploadPost, 202),
        ];
        let took: Vec<(Kind, u16)> = kit
            .took()
            .into_iter()
            .filter(|(kind, _)| *kind != Kind::Ping)
            .collect();
        assert_eq!(took, posts, "{status}");
    }
}

#[tokio::test]
async fn a_refused_repository_is_no_reason_to_stop_mounting() {
    let kit = Kit::open(Profile::distribution()).await;
    let blob = Blob::synthetic(1000, 1);
    kit.server.state().put_blob("c/d", &blob);
    kit.server.fault(
        Fault::on(Kind::Mount).matching(|r| r.parameter("from").as_deref() == Some("no/one")),
        Action::error(403, "DENIED", "no"),
    );
    assert_eq!(open(&kit, "a/b", &blob, Some("no/one")).await, "session");
    assert_eq!(kit.took(), [(Kind::Mount, 403), (Kind::UploadPost, 202)]);
    // Next time the repository itself is mounted from, and other repositories still are.
    assert_eq!(open(&kit, "a/b", &blob, Some("no/one")).await, "session");
    assert_eq!(open(&kit, "a/b", &blob, Some("c/d")).await, "mounted");
    assert_eq!(kit.took(), [(Kind::Mount, 202), (Kind::Mount, 201)]);
}

#[tokio::test]
async fn a_token_server_that_refuses_the_mount_scope_gets_a_request_without_it() {
    // Docker Hub fails the whole request when one of the repositories is unknown to it.
    let access = testkit::Access::new()
        .user("eve", "x")
        .anonymous(testkit::Grant::new("a/*", "pull,push"));
    let auth = Auth::Bearer(access, testkit::TokenRules::default())
        .rules(|rules| rules.denied = testkit::auth::Denied::FailsAmongOthers(401));
    let server = testkit::Registry::builder().auth(auth).start().await;
    let kit = Kit::of(server, image_syncer_registry::auth::Credential::Anonymous);
    let blob = Blob::synthetic(1000, 1);
    assert_eq!(open(&kit, "a/b", &blob, Some("c/d")).await, "session");
    let took = kit.took();
    assert_eq!(took.last(), Some(&(Kind::UploadPost, 202)), "{took:?}");
}

/// Returns whether the registry opened the session in place of a mount from `from`.
async fn is_instead_of_mount(kit: &Kit, blob: &Blob, from: Option<&str>) -> bool {
    let from = from.map(|from| kit.repository(from));
    let repository = kit.repository("a/b");
    let blob = descriptor(blob);
    let opened = kit.client.open_upload(&repository, &blob, from.as_ref());
    match opened.await.unwrap() {
        OpenedUpload::Session(upload) => upload.is_instead_of_mount(),
        OpenedUpload::Present { .. } => panic!("it is not there"),
    }
}

#[tokio::test]
async fn a_session_in_place_of_a_mount_is_recognised() {
    let blob = Blob::synthetic(1000, 1);
    for (mount, expected) in [
        (MountRule::Decline, [true, true]),
        // It is that repository, or the right to read it.
        (MountRule::Refuse(401), [false, false]),
        (MountRule::Refuse(403), [false, false]),
        (MountRule::Refuse(404), [false, false]),
        // It is mounting as such.
        (MountRule::Refuse(405), [true, true]),
    ] {
        let kit = Kit::open(Profile {
            mount,
            ..Profile::distribution()
        })
        .await;
        assert!(!is_instead_of_mount(&kit, &blob, None).await);
        let mut found = Vec::new();
        for _ in 0..2 {
            found.push(is_instead_of_mount(&kit, &blob, Some("c/d")).await);
        }
        assert_eq!(found, expected, "{mount:?}");
    }
}

#[tokio::test]
async fn a_mount_without_the_right_to_pull_tells_nothing_of_mounts() {
    let access = testkit::Access::new().anonymous(testkit::Grant::new("a/*", "pull,push"));
    let auth = Auth::Bearer(access, testkit::TokenRules::default());
    let server = testkit::Registry::builder().auth(auth).start().await;
    let kit = Kit::of(server, image_syncer_registry::auth::Credential::Anonymous);
    let blob = Blob::synthetic(1000, 1);
    kit.server.state().put_blob("c/d", &blob);
    assert!(!is_instead_of_mount(&kit, &blob, Some("c/d")).await);
}

#[tokio::test]
async fn a_mount_with_a_transient_error_is_retried() {
    let kit = Kit::open(Profile::distribution()).await;
    let blob = Blob::synthetic(1000, 1);
    kit.server
        .fault(Fault::on(Kind::Mount).nth(1), Action::status(503));
    assert!(kit.send("a/b", &blob).await.unwrap());
    assert_eq!(
        kit.took(),
        [
            (Kind::Mount, 503),
            (Kind::Mount, 202),
            (Kind::UploadPut, 201)
        ]
    );
}

#[tokio::test]
async fn locations_are_followed_in_every_form() {
    for form in [
        LocationForm::Absolute,
        LocationForm::SchemeRelative,
        LocationForm::HostAbsolute,
        LocationForm::Relative,
        LocationForm::Storage,
    ] {
        let profile = Profile {
            location: form.clone(),
            ..Profile::distribution()
        };
        let kit = Kit::guarded(profile, Auth::basic("ada", "pw")).await;
        let blob = Blob::synthetic(MIB, 1);
        kit.send("a/b", &blob).await.unwrap();
        kit.assert_arrived("a/b", &blob);
        let elsewhere = kit.server.storage_requests();
        assert_eq!(
            elsewhere.len(),
            usize::from(form == LocationForm::Storage),
            "{form:?}"
        );
    }
}

#[tokio::test]
async fn a_repository_that_must_be_there_first_is_an_error_that_says_so() {
    let profile = Profile {
        existence: Existence::Repository,
        unknown_repository: Unknown::NotFound,
        ..Profile::distribution()
    };
    let kit = Kit::open(profile).await;
    let error = kit.send("a/b", &Blob::synthetic(10, 1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert_eq!(error.code(), Some("NAME_UNKNOWN"));
    assert_eq!(kit.server.bytes_received(), 0);
}

#[tokio::test]
async fn a_session_without_a_location_is_no_session() {
    let kit = Kit::open(Profile::distribution()).await;
    kit.server.fault(
        Fault::on([Kind::Mount, Kind::UploadPost]),
        Action::WithoutHeaders(vec!["location"]),
    );
    let error = kit.send("a/b", &Blob::synthetic(10, 1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
}

#[tokio::test]
async fn other_digests_are_announced() {
    let kit = Kit::open(Profile::distribution()).await;
    let bytes = b"sixty-four bytes of digest";
    let digest =
        image_syncer_registry::Digest::compute(image_syncer_registry::Algorithm::Sha512, bytes);
    let blob = Blob::with_digest(digest.as_str(), &bytes[..]);
    kit.send("a/b", &blob).await.unwrap();
    kit.assert_arrived("a/b", &blob);
    assert!(kit.lines()[0].ends_with("&digest-algorithm=sha512"));
    kit.server.fault(
        Fault::on(Kind::UploadPut),
        Action::error(400, "DIGEST_INVALID", "sha256 only"),
    );
    let other = Blob::with_digest(
        image_syncer_registry::Digest::compute(image_syncer_registry::Algorithm::Sha512, b"x")
            .as_str(),
        &b"x"[..],
    );
    let error = kit.send("a/b", &other).await.unwrap_err();
    assert!(
        error
            .message()
            .contains("sha512 digest, which few registries accept"),
        "{error}"
    );
    assert_eq!(
        error.cause(),
        image_syncer_registry::Cause::MediaTypeRefused
    );
}

#[tokio::test]
async fn a_blob_of_unknown_size_is_not_sent() {
    let kit = Kit::open(Profile::distribution()).await;
    let blob = Blob::synthetic(10, 1);
    let opened = kit
        .client
        .open_upload(
            &kit.repository("a/b"),
            &descriptor_of(blob.digest(), None),
            None,
        )
        .await;
    let Ok(OpenedUpload::Session(upload)) = opened else {
        panic!("no session");
    };
    let error = kit
        .client
        .upload(upload, &Given::of(&blob))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert_eq!(kit.took(), [(Kind::Mount, 202)]);
}

#[tokio::test]
async fn a_registry_that_misses_a_claimed_blob_gets_the_bytes() {
    // As a Nexus group: it tells of a blob that the repository cannot use.
    let kit = Kit::open(Profile::distribution()).await;
    let image = testkit::Image::single([testkit::Layer::tar("x", 100)]);
    let root = image.root();
    let manifest = image_syncer_registry::Manifest::new(
        root.bytes.clone(),
        Some(&root.media_type),
        image_syncer_registry::Digest::parse(&root.digest).unwrap(),
    )
    .unwrap();
    let lie = kit
        .server
        .fault(Fault::on(Kind::Mount), Action::status(201));
    for blob in image.blobs() {
        assert!(!kit.send("a/b", blob).await.unwrap());
    }
    let repository = kit.repository("a/b");
    let name = tag("v1");
    let push = || kit.client.put_manifest(&repository, &name, &manifest);
    let error = push().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MissingContent);
    for blob in image.blobs() {
        assert!(kit.send("a/b", blob).await.unwrap());
    }
    assert_eq!(lie.hits(), 2, "it was not asked again");
    push().await.unwrap();
    kit.server.verify_complete("a/b", "v1").unwrap();
}

#[tokio::test]
async fn the_source_is_opened_when_the_destination_has_room() {
    let server = testkit::Registry::start(Profile::distribution()).await;
    let narrow = TransportOptions::default().with_transfers_per_host(WindowBounds::at_most(1));
    let kit = Kit::over(server, narrow);
    let (first, second) = (Blob::synthetic(MIB, 1), Blob::synthetic(MIB, 2));
    let held = Held {
        given: Given::of(&first),
        opened: Notify::new(),
        gate: Notify::new(),
    };
    let waiting = Given::of(&second);
    let one = kit.send_from("a/b", &first, &held);
    let two = async {
        // By the time that its source is opened the first has the only place.
        held.opened.notified().await;
        kit.send_from("a/b", &second, &waiting).await
    };
    let watch = async {
        while kit
            .server
            .count(|r| r.kind == Kind::Mount && r.status == 202)
            < 2
        {
            tokio::task::yield_now().await;
        }
        // Time enough for the second to go on from its answer as far as it may.
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(waiting.opened(), [0; 0]);
        held.gate.notify_one();
    };
    let (one, two, ()) = futures_util::join!(one, two, watch);
    assert!(one.unwrap() && two.unwrap());
    assert_eq!(waiting.opened(), [0]);
}

#[tokio::test]
async fn requests_that_are_redirected_are_sent_again_with_their_bodies() {
    let kit = Kit::guarded(Profile::distribution(), Auth::basic("ada", "pw")).await;
    kit.server.fault(
        Fault::on(Kind::Mount).nth(1),
        Answer::new(308).header("location", "/v2/a/b/blobs/uploads/"),
    );
    let blob = Blob::synthetic(MIB, 1);
    let upload = kit.session("a/b", &blob).await;
    let moved = kit.server.fault(
        Fault::on(Kind::UploadPut).nth(1),
        Answer::new(307).header("location", "/v2/a/b/blobs/uploads/moved?digest=x"),
    );
    let source = Given::of(&blob);
    kit.client.upload(upload, &source).await.unwrap();
    kit.assert_arrived("a/b", &blob);
    assert_eq!(moved.hits(), 1);
    let lines = kit.lines();
    assert_eq!(lines[1], "PUT /v2/a/b/blobs/uploads/moved?digest=x");
    assert!(source.opened().len() >= 2, "the bytes are read again");
}

/// A source that gives nothing until it is let.
struct Held {
    given: Given,
    opened: Notify,
    gate: Notify,
}

impl BlobSource for Held {
    fn open(&self, offset: u64) -> BoxFuture<'_, Result<BlobStream, Error>> {
        async move {
            self.opened.notify_one();
            self.gate.notified().await;
            self.given.open(offset).await
        }
        .boxed()
    }
}

#[tokio::test]
async fn an_upload_in_chunks_and_one_that_waits_for_its_source_do_not_wait_for_each_other() {
    let server = testkit::Registry::start(Profile {
        patch_limit: Some((MIB, 413)),
        refuses_whole_put: Some(405),
        ..Profile::distribution()
    })
    .await;
    let narrow = TransportOptions::default()
        .with_calls_per_host(WindowBounds::at_most(1))
        .with_transfers_per_host(WindowBounds::at_most(1));
    let kit = Kit::over(server, narrow);
    let blobs = [1, 2, 3].map(|seed| Blob::synthetic(3 * MIB, seed));
    for blob in &blobs {
        kit.server.state().put_blob("from", blob);
    }
    // Between two chunks the upload permit goes to another upload, which needs the download permit.
    let copies = blobs.iter().map(|blob| async {
        let source = Through {
            client: kit.client.clone(),
            repository: kit.repository("from"),
            blob: descriptor(blob),
        };
        assert!(kit.send_from("to", blob, &source).await.unwrap());
    });
    futures_util::future::join_all(copies).await;
    for blob in &blobs {
        kit.assert_arrived("to", blob);
    }
}

/// A blob of a registry, read through a client.
struct Through {
    client: image_syncer_registry::Client,
    repository: image_syncer_registry::Repository,
    blob: image_syncer_registry::Descriptor,
}

impl BlobSource for Through {
    fn open(&self, offset: u64) -> BoxFuture<'_, Result<BlobStream, Error>> {
        let open = self.client.open_blob(&self.repository, &self.blob, offset);
        async move { Ok(open.await?.into_stream()) }.boxed()
    }
}
