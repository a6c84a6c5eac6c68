//! Deletion of manifests, tags and blobs.

use image_syncer_registry::{Cause, Error, ErrorKind, Target};
use testkit::auth::Access;
use testkit::profile::DeleteRule;
use testkit::{Action, Auth, Cut, Fault, Grant, Kind, Profile, TokenRules};

use super::kit::{Kit, basic, by_digest, descriptor, tag};
use super::manifests::image;

async fn with_rule(delete: DeleteRule) -> Kit {
    let kit = Kit::open(Profile {
        delete,
        ..Profile::distribution()
    })
    .await;
    for tag in ["v1", "v2"] {
        kit.server.push("a/b", Some(tag), &image());
    }
    kit
}

async fn delete(kit: &Kit, target: &Target) -> Result<(), Error> {
    kit.client
        .delete_manifest(&kit.repository("a/b"), target)
        .await
}

#[tokio::test]
async fn a_digest_deletes_the_manifest_with_all_tags_of_it() {
    let kit = with_rule(DeleteRule::All).await;
    let digest = image().digest().to_owned();
    delete(&kit, &by_digest(&digest)).await.unwrap();
    assert_eq!(kit.lines(), [format!("DELETE /v2/a/b/manifests/{digest}")]);
    assert_eq!(kit.server.state().tags("a/b"), [""; 0]);
    let error = delete(&kit, &by_digest(&digest)).await.unwrap_err();
    assert_eq!((error.kind(), error.tries()), (ErrorKind::NotFound, 1));
    let host = kit.server.host();
    let begins = format!("cannot delete manifest a/b@{digest} at {host}: ");
    assert!(error.to_string().starts_with(&begins), "{error}");
}

#[tokio::test]
async fn a_tag_deletes_itself_alone() {
    let kit = with_rule(DeleteRule::All).await;
    delete(&kit, &tag("v1")).await.unwrap();
    assert_eq!(kit.lines(), ["DELETE /v2/a/b/manifests/v1"]);
    assert_eq!(kit.server.state().tags("a/b"), ["v2"]);
    let error = delete(&kit, &tag("v1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_registry_that_does_not_delete_is_named_as_such() {
    let digest = by_digest(image().digest());
    let settings = "it does not delete manifests: allow that in its settings (distribution: \
                    `REGISTRY_STORAGE_DELETE_ENABLED=true`)";
    let tags = "it does not delete tags alone, or nothing at all: delete the manifest by its digest, which deletes its \
                other tags as well";
    for (rule, target, advice) in [
        (DeleteRule::Nothing, &digest, settings),
        (DeleteRule::Nothing, &tag("v1"), tags),
        (DeleteRule::ByDigest(400), &tag("v1"), tags),
        (DeleteRule::ByDigest(405), &tag("v1"), tags),
    ] {
        let kit = with_rule(rule).await;
        let error = delete(&kit, target).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
        assert_eq!(error.cause(), Cause::Policy, "{error}");
        assert!(error.message().ends_with(advice), "{error}");
        assert_eq!(kit.took().len(), 1);
        assert_eq!(kit.server.state().tags("a/b"), ["v1", "v2"]);
    }
    let kit = with_rule(DeleteRule::Nothing).await;
    let blob = &image().blobs()[0].clone();
    let (repository, digest) = (kit.repository("a/b"), descriptor(blob).digest);
    let error = kit
        .client
        .delete_blob(&repository, &digest)
        .await
        .unwrap_err();
    let advice = "it does not delete blobs: delete the manifests that name it, and let the registry collect its garbage";
    assert!(error.message().ends_with(advice), "{error}");
}

#[tokio::test]
async fn a_blob_is_deleted() {
    let kit = with_rule(DeleteRule::All).await;
    let blob = &image().blobs()[0].clone();
    let (repository, digest) = (kit.repository("a/b"), descriptor(blob).digest);
    kit.client.delete_blob(&repository, &digest).await.unwrap();
    assert_eq!(kit.lines(), [format!("DELETE /v2/a/b/blobs/{digest}")]);
    assert!(!kit.server.state().has_blob("a/b", blob.digest()));
    let error = kit
        .client
        .delete_blob(&repository, &digest)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_deletion_whose_answer_was_lost_is_done() {
    let kit = with_rule(DeleteRule::All).await;
    let fault = Fault::on(Kind::ManifestDelete).nth(1);
    kit.server.fault(fault, Action::LoseReply(Cut::Reset));
    delete(&kit, &tag("v1")).await.unwrap();
    let kinds: Vec<Kind> = kit.took().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [Kind::ManifestDelete; 2]);
    assert_eq!(kit.server.state().tags("a/b"), ["v2"]);
}

#[tokio::test]
async fn the_token_permits_deletion() {
    let kit = Kit::guarded(
        Profile {
            delete: DeleteRule::All,
            ..Profile::distribution()
        },
        Auth::bearer("ada", "pw"),
    )
    .await;
    kit.server.push("a/b", Some("v1"), &image());
    delete(&kit, &tag("v1")).await.unwrap();
    let tokens = kit.server.token_requests();
    let scopes: Vec<_> = tokens
        .iter()
        .filter_map(|token| token.parameter("scope"))
        .collect();
    assert_eq!(scopes, ["repository:a/b:delete"]);
    let statuses: Vec<u16> = kit.took().into_iter().map(|(_, status)| status).collect();
    assert_eq!(statuses, [401, 202]);
}

#[tokio::test]
async fn a_login_without_the_right_is_told_apart() {
    let access = Access::new().user_with("ada", "pw", [Grant::new("*", "pull,push")]);
    let server = testkit::Registry::builder().auth(Auth::Bearer(access, TokenRules::default()));
    let kit = Kit::of(server.start().await, basic("ada", "pw"));
    kit.server.push("a/b", Some("v1"), &image());
    let error = delete(&kit, &by_digest(image().digest()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
    assert_eq!(error.cause(), Cause::NoPushRight, "{error}");
    assert!(
        error
            .message()
            .contains("lacks the right repository:a/b:delete"),
        "{error}"
    );
}
