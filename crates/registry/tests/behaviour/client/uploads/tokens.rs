//! Tokens that run out, and places where they may not go.

use testkit::profile::LocationForm;
use testkit::{Action, Answer, Auth, Blob, Fault, Kind, Profile};

use crate::client::kit::{Kit, MIB};

async fn guarded(profile: Profile) -> Kit {
    Kit::guarded(profile, Auth::bearer("ada", "pw")).await
}

#[tokio::test]
async fn one_token_serves_a_whole_upload() {
    let kit = guarded(Profile::distribution()).await;
    let blob = Blob::synthetic(MIB, 1);
    kit.send("a/b", &blob).await.unwrap();
    assert_eq!(kit.server.token_requests().len(), 1);
    assert_eq!(
        kit.took(),
        [
            (Kind::Mount, 401),
            (Kind::Mount, 202),
            (Kind::UploadPut, 201)
        ]
    );
    kit.send("a/b", &Blob::synthetic(MIB, 2)).await.unwrap();
    assert_eq!(kit.server.token_requests().len(), 0);
    assert_eq!(kit.took(), [(Kind::Mount, 202), (Kind::UploadPut, 201)]);
}

#[tokio::test]
async fn a_token_that_ran_out_before_the_put_is_renewed() {
    for profile in [Profile::distribution(), Profile::distribution3()] {
        let kit = guarded(profile).await;
        let blob = Blob::synthetic(MIB, 1);
        let upload = kit.session("a/b", &blob).await;
        kit.server.expire_tokens();
        kit.client
            .upload(upload, &crate::client::kit::Given::of(&blob))
            .await
            .unwrap();
        kit.assert_arrived("a/b", &blob);
        assert_eq!(kit.server.token_requests().len(), 1);
        let took = kit.took();
        assert_eq!(took[0], (Kind::UploadPut, 401));
        assert_eq!(took.last(), Some(&(Kind::UploadPut, 201)), "{took:?}");
    }
}

#[tokio::test]
async fn a_token_that_runs_out_between_chunks_is_renewed() {
    let profile = Profile {
        put_limit: Some(4 * MIB),
        patch_limit: Some((4 * MIB, 413)),
        ..Profile::distribution3()
    };
    let kit = guarded(profile).await;
    kit.send("a/b", &Blob::synthetic(5 * MIB, 9)).await.unwrap();
    kit.took();
    let blob = Blob::synthetic(12 * MIB, 1);
    kit.server
        .fault(Fault::on(Kind::UploadPatch).nth(2), Action::ExpireTokens);
    kit.send("a/b", &blob).await.unwrap();
    kit.assert_arrived("a/b", &blob);
    let patches: Vec<u16> = kit
        .took()
        .into_iter()
        .filter(|(kind, _)| *kind == Kind::UploadPatch)
        .map(|(_, status)| status)
        .collect();
    assert_eq!(patches, [202, 401, 202, 202]);
}

#[tokio::test]
async fn an_early_401_is_found_out_even_when_it_is_lost() {
    let kit = guarded(Profile::distribution3()).await;
    let blob = Blob::synthetic(8 * MIB, 1);
    let upload = kit.session("a/b", &blob).await;
    kit.server.expire_tokens();
    kit.server.fault(
        Fault::on(Kind::UploadPut).nth(1),
        Action::CutRequest {
            after: 0,
            how: testkit::Cut::Reset,
        },
    );
    kit.client
        .upload(upload, &crate::client::kit::Given::of(&blob))
        .await
        .unwrap();
    kit.assert_arrived("a/b", &blob);
    assert_eq!(kit.server.token_requests().len(), 1);
}

#[tokio::test]
async fn a_token_that_never_suffices_is_final() {
    let kit = guarded(Profile::distribution()).await;
    let blob = Blob::synthetic(MIB, 1);
    let upload = kit.session("a/b", &blob).await;
    kit.server.fault(
        Fault::on(Kind::UploadPut),
        Answer::new(401).error("UNAUTHORIZED", "no"),
    );
    let error = kit
        .client
        .upload(upload, &crate::client::kit::Given::of(&blob))
        .await
        .unwrap_err();
    assert_eq!(
        error.kind(),
        image_syncer_registry::ErrorKind::Unauthorized,
        "{error}"
    );
    let puts = kit
        .took()
        .iter()
        .filter(|(kind, _)| *kind == Kind::UploadPut)
        .count();
    assert!(puts <= 4, "{puts}");
}

#[tokio::test]
async fn a_location_elsewhere_gets_no_token() {
    let kit = guarded(Profile {
        location: LocationForm::Storage,
        ..Profile::distribution()
    })
    .await;
    let blob = Blob::synthetic(MIB, 1);
    kit.send("a/b", &blob).await.unwrap();
    kit.assert_arrived("a/b", &blob);
    let elsewhere = kit.server.storage_requests();
    assert_eq!(elsewhere.len(), 1);
    assert_eq!(elsewhere[0].header("authorization"), None);
}
