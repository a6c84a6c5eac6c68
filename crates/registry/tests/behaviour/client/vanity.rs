//! A vanity name that redirects every request to a registry with a login of its own.

use std::sync::Arc;

use futures_util::future::join_all;
use image_syncer_registry::auth::{Credential, Keychain, KeychainEntry};
use image_syncer_registry::transport::{Transport, TransportOptions};
use image_syncer_registry::{
    Cause, Client, ErrorKind, OpenedUpload, Options, Presence, Registries, Registry, Repository,
};
use testkit::{Auth, Authorization, Blob, Image, Layer, Profile};

use super::kit::{Given, basic, descriptor, retry, tag};
use crate::server::{Reply, Server};

/// A vanity name, the registry that it redirects to, and a client of the vanity name.
struct Vanity {
    name: Server,
    server: testkit::Registry,
    client: Client,
}

impl Vanity {
    /// The login of the vanity name is `vanity`; `credential` is that of the registry behind it.
    async fn new(auth: Auth, credential: Credential) -> Self {
        let server = testkit::Registry::builder().auth(auth).start().await;
        Self::before(server, credential).await
    }
    async fn before(server: testkit::Registry, credential: Credential) -> Self {
        let host = server.host();
        let name = Server::plain(move |request| {
            let path = request.line().split(' ').nth(1).unwrap();
            let head = format!(
                "HTTP/1.1 307 Go\r\nLocation: http://{host}{path}\r\nContent-Length: 0\r\n\r\n"
            );
            Reply::Keep(head.into_bytes())
        })
        .await;
        let vanity = format!("127.0.0.1:{}", name.port);
        let entries = [
            (vanity.clone(), basic("vanity", "other")),
            (server.host(), credential),
        ];
        let entries = entries.map(|(prefix, credential)| {
            KeychainEntry::new(prefix, credential, "the test").with_insecure(true)
        });
        let registries = Registries::new(
            Options::new(
                Arc::new(Transport::new(TransportOptions::default()).unwrap()),
                Arc::new(Keychain::new(entries.into(), None).unwrap()),
            )
            .with_retry(retry()),
        );
        let client = registries.client(&Registry::parse(&vanity).unwrap());
        Self {
            name,
            server,
            client,
        }
    }
    fn repository(&self, path: &str) -> Repository {
        Repository::new(self.client.registry().clone(), path).unwrap()
    }
    /// The numbers of requests since the last call: at the vanity name, at the registry, at its token server.
    fn counts(&self, before: &mut usize) -> (usize, usize, usize) {
        let heard = self.heard();
        let vanity = heard - std::mem::replace(before, heard);
        let server = self
            .server
            .count(|request| request.kind != testkit::Kind::Ping);
        let counts = (vanity, server, self.server.token_requests().len());
        self.server.clear_requests();
        counts
    }
    /// Requests at the vanity name; those by which the transport finds out about TLS left aside.
    fn heard(&self) -> usize {
        let heard = self.name.heard();
        let heard = heard
            .iter()
            .filter(|request| !request.line().contains(" /v2/ "));
        heard.count()
    }
    /// Asserts that the login of neither was shown to the other.
    fn assert_logins_are_kept(&self) {
        for request in self.name.heard() {
            assert_eq!(request.header("authorization"), None, "{}", request.line());
        }
        let requests = self.server.requests().into_iter();
        for request in requests.chain(self.server.token_requests()) {
            if let Authorization::Basic { user, .. } = &request.authorization {
                assert_eq!(user, "ada");
            }
        }
    }
}

#[tokio::test]
async fn a_redirected_request_is_authorized_for_the_host_that_answers() {
    for (auth, tokens) in [
        (Auth::bearer("ada", "pw"), 1),
        (Auth::basic("ada", "pw"), 0),
    ] {
        let vanity = Vanity::new(auth, basic("ada", "pw")).await;
        vanity.server.push("a/b", Some("v1"), &Image::single([]));
        vanity.server.push("a/b", Some("v2"), &Image::single([]));
        let repository = vanity.repository("a/b");
        let mut heard = 0;
        for (version, counts) in [("v1", (1, 2, tokens)), ("v2", (1, 1, 0)), ("v1", (1, 1, 0))] {
            let tag = tag(version);
            let head = vanity.client.head_manifest(&repository, &tag).await;
            assert!(head.unwrap().is_some());
            vanity.assert_logins_are_kept();
            assert_eq!(vanity.counts(&mut heard), counts, "{version}");
        }
        let tags = vanity.client.tags(&repository).next().await.unwrap();
        assert_eq!(tags.unwrap().len(), 2);
        assert_eq!(vanity.counts(&mut heard), (1, 1, 0));
    }
}

#[tokio::test]
async fn images_are_pushed_through_a_vanity_name() {
    let vanity = Vanity::new(Auth::bearer("ada", "pw"), basic("ada", "pw")).await;
    let repository = vanity.repository("a/b");
    let image = Image::single([Layer::synthetic(200_000, 1)]);
    for blob in image.blobs() {
        let opened = vanity
            .client
            .open_upload(&repository, &descriptor(blob), None)
            .await
            .unwrap();
        let OpenedUpload::Session(upload) = opened else {
            panic!("it is not there yet");
        };
        vanity
            .client
            .upload(upload, &Given::of(blob))
            .await
            .unwrap();
        let stored = vanity.server.state().blob("a/b", blob.digest());
        assert!(stored == blob.bytes());
        let blob = descriptor(blob);
        let found = vanity.client.head_blob(&repository, &blob).await;
        assert_eq!(found.unwrap(), Presence::Present);
    }
    vanity.assert_logins_are_kept();
    assert_eq!(vanity.server.problems(), [""; 0]);
}

#[tokio::test]
async fn a_redirect_to_a_registry_does_not_prove_that_a_blob_exists() {
    let server = testkit::Registry::start(Profile::distribution()).await;
    let vanity = Vanity::before(server, Credential::Anonymous).await;
    let repository = vanity.repository("a/b");
    let blob = descriptor(&Blob::synthetic(1_000, 1));
    let found = vanity.client.head_blob(&repository, &blob);
    assert_eq!(found.await.unwrap(), Presence::Absent);
}

#[tokio::test]
async fn a_wrong_password_of_the_host_that_answers_is_sent_three_times_at_most() {
    let vanity = Vanity::new(Auth::bearer("ada", "pw"), basic("ada", "old")).await;
    let heads = (0..40).map(|index| {
        let repository = vanity.repository(&format!("r{index}"));
        let client = vanity.client.clone();
        async move { client.head_manifest(&repository, &tag("v1")).await }
    });
    for outcome in join_all(heads).await {
        let error = outcome.unwrap_err();
        assert_eq!(error.cause(), Cause::LoginRefused, "{error}");
        assert!(error.to_string().contains("user \"ada\""), "{error}");
    }
    let sent = vanity.server.token_requests().len();
    assert!((1..=3).contains(&sent), "{sent}");
    vanity.assert_logins_are_kept();
}

#[tokio::test]
async fn a_login_that_is_missing_is_that_of_the_host_that_answers() {
    let vanity = Vanity::new(Auth::bearer("ada", "pw"), Credential::Anonymous).await;
    let repository = vanity.repository("a/b");
    let error = vanity.client.head_manifest(&repository, &tag("v1")).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(error.cause(), Cause::NoLogin, "{error}");
    let clause = format!("no login is given for {}", vanity.server.host());
    assert!(error.to_string().contains(&clause), "{error}");
    assert_eq!(error.repository(), Some(&repository));
    vanity.assert_logins_are_kept();
}
