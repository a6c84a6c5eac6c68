//! Challenges, passwords and tokens.

use http::Method;
use testkit::raw::{Login, Payload};
use testkit::{Access, Auth, Blob, Grant, Image};

use crate::both_with;
use crate::transcript::Session;

async fn some_requests(s: &mut Session) {
    s.get("/v2/").await;
    s.get("/v2/team/app/tags/list").await;
    s.head("/v2/team/app/manifests/v1").await;
    s.post("/v2/team/app/blobs/uploads/").await;
    let mount = format!("mount={}&from=team/base", testkit::digest::EMPTY);
    s.post(&format!("/v2/team/app/blobs/uploads/?{mount}"))
        .await;
    s.delete("/v2/team/app/manifests/v1").await;
    s.get("/v2/_catalog").await;
}

#[tokio::test]
async fn user_and_password() {
    both_with(Auth::basic("user", "secret"), async |s| {
        some_requests(s).await;
        s.client = s
            .client
            .clone()
            .login(Login::Basic("user".into(), "wrong".into()));
        some_requests(s).await;
        s.client = s
            .client
            .clone()
            .login(Login::Basic("user".into(), "secret".into()));
        some_requests(s).await;
    })
    .await;
}

#[tokio::test]
async fn challenges_for_tokens() {
    both_with(Auth::bearer("user", "secret"), async |s| {
        some_requests(s).await;
        for junk in ["junk", "a.b.c"] {
            s.client = s.client.clone().login(Login::Token(junk.into()));
            some_requests(s).await;
        }
    })
    .await;
}

#[tokio::test]
async fn tokens_open_what_they_say() {
    let access =
        Access::new()
            .user("user", "secret")
            .user_with("reader", "secret", [Grant::pull()]);
    both_with(
        Auth::Bearer(access, testkit::TokenRules::default()),
        async |s| {
            let image = Image::oci().build();
            s.client = s
                .client
                .clone()
                .login(Login::Exchange("user".into(), "secret".into()));
            s.push("team/app", Some("v1"), &image).await;
            s.client = s
                .client
                .clone()
                .login(Login::Exchange("reader".into(), "secret".into()));
            assert_eq!(s.get("/v2/team/app/tags/list").await.status, 200);
            let refused = s.post("/v2/team/app/blobs/uploads/").await;
            assert_eq!(refused.status, 401);
            assert!(
                refused
                    .header("www-authenticate")
                    .contains("insufficient_scope")
            );
            let blob = Blob::new("x");
            let url = format!("/v2/team/app/blobs/{}", blob.digest());
            s.send(Method::DELETE, &url, &[], Payload::None).await;
        },
    )
    .await;
}
