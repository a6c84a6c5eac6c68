//! Raw HTTP against the registry of this crate and against the real `docker-registry`.
//!
//! Each check sends its requests, asserts the important facts of the answers, and leaves a transcript of everything:
//! statuses, header fields and bodies. The transcripts of the two registries must be equal.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod auth;
mod blobs;
mod lists;
mod manifests;
mod negotiation;
mod real;
mod transcript;
mod uploads;

use http::Method;
use testkit::raw::Payload;
use testkit::real::DockerRegistry;
use testkit::{Auth, Profile, Registry};
use transcript::{Session, compare};

/// Starts both registries and runs a check against each.
async fn both(check: impl AsyncFn(&mut Session)) {
    Box::pin(both_with(Auth::Anonymous, check)).await;
}

async fn both_with(auth: Auth, check: impl AsyncFn(&mut Session)) {
    testkit::needs!("docker-registry");
    let real = DockerRegistry::builder()
        .auth(auth.clone())
        .start()
        .unwrap();
    let fake = Registry::builder()
        .profile(Profile::distribution())
        .auth(auth)
        .start()
        .await;
    let mut on_fake = Session::new(fake.url(), &[fake.token_host()]);
    check(&mut on_fake).await;
    let token_host = real.token_server().map(Registry::token_host);
    let mut on_real = Session::new(real.url(), token_host.as_slice());
    check(&mut on_real).await;
    compare(&on_fake, &on_real);
}

#[tokio::test]
async fn ping_and_unknown_paths() {
    both(async |s| {
        assert_eq!(s.get("/v2/").await.status, 200);
        s.get("/v2").await;
        s.get("/").await;
        s.get("/v2/nope").await;
        s.get("/v2/A/tags/list").await;
        s.get("/v2/A/b/tags/list").await;
        s.get("/v2/a/_b/tags/list").await;
        assert_eq!(s.get("/v2/a/referrers/sha256:0").await.status, 404);
        let digest = testkit::digest::EMPTY;
        for path in [
            "/v2/a/tags/list".to_owned(),
            "/v2/a/manifests/v1".to_owned(),
            format!("/v2/a/blobs/{digest}"),
        ] {
            let answer = s.send(Method::PATCH, &path, &[], Payload::empty()).await;
            assert_eq!(answer.status, 405);
        }
        let uploads = "/v2/a/blobs/uploads/";
        s.send(Method::PATCH, uploads, &[], Payload::empty()).await;
    })
    .await;
}
