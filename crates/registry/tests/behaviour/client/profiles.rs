//! The same work at every registry that the testkit models, as guest and as host of what is copied.

use image_syncer_registry::OpenedUpload;
use image_syncer_registry::auth::Credential;
use testkit::auth::{Access, TokenRules};
use testkit::{Action, Auth, Blob, Cut, Fault, Kind, Profile};

use super::copy::{copy, end, index};
use super::kit::{Given, Kit, MIB, basic, tag};

/// Every profile with the way in that the real one has.
fn registries() -> Vec<(Profile, Auth)> {
    let bearer = |rules: TokenRules| Auth::Bearer(Access::new().user("ada", "pw"), rules);
    vec![
        (Profile::distribution(), Auth::Anonymous),
        (Profile::distribution3(), bearer(TokenRules::default())),
        (Profile::strict(), Auth::basic("ada", "pw")),
        (Profile::zot(), Auth::basic("ada", "pw")),
        (Profile::gitea(), bearer(TokenRules::gitea())),
        (Profile::harbor(), bearer(TokenRules::harbor())),
        (Profile::acr_aliyun(), bearer(TokenRules::acr_aliyun())),
        (Profile::docker_hub(), bearer(TokenRules::docker_hub())),
        (Profile::ecr(), Auth::basic("ada", "pw")),
        (Profile::google(), bearer(TokenRules::default())),
        (Profile::ghcr(), bearer(TokenRules::ghcr())),
        (Profile::quay(), bearer(TokenRules::quay())),
    ]
}

/// A registry where `team/app` may be pushed to.
async fn start(profile: Profile, auth: Auth) -> Kit {
    let server = testkit::Registry::builder()
        .profile(profile)
        .auth(auth)
        .start()
        .await;
    server.state().create_namespace("team");
    server.state().create_repository("team/app");
    Kit::of(server, basic("ada", "pw"))
}

#[tokio::test]
async fn an_image_arrives_and_comes_back() {
    let image = index();
    let source = testkit::Registry::start(Profile::strict()).await;
    source.push("team/app", Some("v1"), &image);
    for (profile, auth) in registries() {
        let name = profile.name;
        let kit = start(profile, auth).await;
        let back = testkit::Registry::start(Profile::strict()).await;
        let from = end(&source.host(), Credential::Anonymous, "team/app");
        let middle = end(&kit.server.host(), basic("ada", "pw"), "team/app");
        let to = end(&back.host(), Credential::Anonymous, "team/app");
        for step in [
            copy(&from, &middle, tag("v1")),
            copy(&middle, &to, tag("v1")),
        ] {
            step.await.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        back.verify_complete("team/app", "v1").unwrap();
        assert_eq!(
            back.state().digest("team/app", "v1").as_deref(),
            Some(image.digest()),
            "{name}"
        );
        let sent = kit.server.bytes_received();
        assert_eq!(sent, image.blob_bytes(), "{name}: no byte was sent twice");
        let mut pages = middle.client.tags(&middle.repository);
        let tags = pages
            .next()
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(tags.unwrap().len(), 1, "{name}");
        assert_eq!(kit.server.problems(), [""; 0], "{name}");
        for request in kit.server.storage_requests() {
            assert_eq!(request.header("authorization"), None, "{name}");
        }
    }
}

#[tokio::test]
async fn a_blob_that_is_there_is_one_question() {
    for (profile, auth) in registries() {
        let name = profile.name;
        // Amazon mounts what a manifest names, and there is none here.
        let present = name != "ecr";
        let kit = start(profile, auth).await;
        let blob = Blob::synthetic(100_000, 1);
        kit.send("team/app", &blob).await.unwrap();
        kit.took();
        let opened = kit
            .client
            .open_upload(
                &kit.repository("team/app"),
                &super::kit::descriptor(&blob),
                None,
            )
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            matches!(opened, OpenedUpload::Present { mounted: false }),
            present,
            "{name}"
        );
        assert_eq!(kit.took().len(), 1, "{name}");
    }
}

#[tokio::test]
async fn uploads_survive_breaks_lost_replies_and_refused_puts() {
    for (profile, auth) in registries() {
        let name = profile.name;
        let kit = start(profile, auth).await;
        let mut blobs = (1..).map(|seed| Blob::synthetic(6 * MIB, seed));
        for (kinds, action) in [
            (
                Kind::UploadPut,
                Action::CutRequest {
                    after: 3 * MIB,
                    how: Cut::Reset,
                },
            ),
            (Kind::UploadPut, Action::LoseReply(Cut::Close)),
            (Kind::UploadPut, Action::status(503)),
            (Kind::UploadPut, Action::status(405)),
            (
                Kind::UploadPatch,
                Action::CutRequest {
                    after: 2 * MIB,
                    how: Cut::Reset,
                },
            ),
            (Kind::UploadPatch, Action::LoseReply(Cut::Reset)),
            (
                Kind::UploadPatch,
                Action::error(413, "SIZE_INVALID", "too large"),
            ),
            (
                Kind::UploadPatch,
                Action::CutRequest {
                    after: 100_000,
                    how: Cut::Reset,
                },
            ),
            (Kind::UploadPatch, Action::ExpireTokens),
        ] {
            // Google accepts only one PUT and one PATCH: nothing is left without both.
            if name == "google" && matches!(action, Action::Answer(_)) && kinds == Kind::UploadPatch
            {
                continue;
            }
            let blob = blobs.next().unwrap();
            let what = format!("{name}: {kinds:?} {action:?}");
            let fault = kit.server.fault(Fault::on(kinds).nth(1), action);
            let source = Given::of(&blob);
            let sent = kit.send_from("team/app", &blob, &source).await;
            assert!(
                sent.unwrap_or_else(|error| panic!("{what}: {error}")),
                "{what}"
            );
            assert_eq!(fault.hits(), 1, "{what}");
            kit.assert_arrived("team/app", &blob);
            kit.server.clear_faults();
        }
    }
}
