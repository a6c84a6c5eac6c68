//! One request learns the challenge of a registry, whatever the requests that start with it are about.

use std::time::Duration;

use futures_util::future::join_all;
use image_syncer_registry::auth::Credential;
use image_syncer_registry::transport::{TransportOptions, WindowBounds};
use image_syncer_registry::{Client, Repository};
use testkit::real::DockerRegistry;
use testkit::{Action, Auth, Blob, Cut, Fault, Image, Kind, Profile};
use tokio::time::Instant;

use super::kit::{Given, Kit, basic, client_of, client_over, descriptor, tag};
use image_syncer_registry::OpenedUpload;

const MANY: usize = 40;

async fn head_all(client: &Client) {
    let heads = (0..MANY).map(|index| async move {
        let path = format!("r{index}");
        let repository = Repository::new(client.registry().clone(), &path).unwrap();
        let head = client.head_manifest_for_push(&repository, &tag("v1")).await;
        head.unwrap_or_else(|error| panic!("{error}"))
    });
    join_all(heads).await;
}

async fn send_all(client: &Client) {
    let sends = (0..MANY).map(|index| async move {
        let path = format!("r{index}");
        let repository = Repository::new(client.registry().clone(), &path).unwrap();
        let blob = Blob::synthetic(1_000, u64::try_from(index).unwrap());
        let opened = client
            .open_upload(&repository, &descriptor(&blob), None)
            .await
            .unwrap();
        let OpenedUpload::Session(upload) = opened else {
            panic!("nothing is there");
        };
        client.upload(upload, &Given::of(&blob)).await.unwrap();
    });
    join_all(sends).await;
}

#[tokio::test]
async fn the_next_one_asks_when_the_first_gets_no_answer() {
    for action in [
        Action::CutBeforeAnswer(Cut::Reset),
        Action::status(502),
        Action::error(429, "TOOMANYREQUESTS", "later"),
    ] {
        let kit = Kit::guarded(Profile::distribution(), Auth::bearer("ada", "pw")).await;
        kit.server.push("r1", Some("v1"), &Image::single([]));
        kit.server
            .fault(Fault::on(Kind::ManifestHead).nth(1), action);
        head_all(&kit.client).await;
        assert_eq!(kit.heard.sent_away(), 1);
        assert_eq!(kit.heard.retries(), 1);
    }
}

#[tokio::test]
async fn uploads_that_start_together_pass_the_narrowest_window() {
    for (auth, credential, sent_away) in [
        (Auth::bearer("ada", "pw"), basic("ada", "pw"), 1),
        (Auth::basic("ada", "pw"), basic("ada", "pw"), 1),
        (Auth::Anonymous, Credential::Anonymous, 0),
    ] {
        let server = testkit::Registry::builder().auth(auth).start().await;
        let options = TransportOptions::default()
            .with_calls_per_host(WindowBounds::at_most(1))
            .with_transfers_per_host(WindowBounds::at_most(1));
        let (client, heard) = client_over(&server.host(), credential, options);
        send_all(&client).await;
        assert_eq!(heard.sent_away(), sent_away);
        let uploads = server.count(|request| request.kind == Kind::UploadPut);
        assert_eq!((uploads, heard.retries()), (MANY, 0));
    }
}

#[tokio::test]
async fn a_real_registry_sends_one_away() {
    testkit::needs!("docker-registry");
    for (auth, credential, sent_away) in [
        (Auth::basic("ada", "pw"), basic("ada", "pw"), 1),
        (Auth::bearer("ada", "pw"), basic("ada", "pw"), 1),
        (Auth::Anonymous, Credential::Anonymous, 0),
    ] {
        let server = DockerRegistry::builder().auth(auth).start().unwrap();
        let (client, heard) = client_of(&server.host(), credential);
        head_all(&client).await;
        send_all(&client).await;
        assert_eq!(heard.sent_away(), sent_away);
    }
}

#[tokio::test]
async fn preparation_costs_no_request_and_spares_the_first_one_its_challenge() {
    // The ping of the preparation or the refused HEAD, the HEAD, and the token.
    for (auth, credential, refused, total) in [
        (Auth::bearer("ada", "pw"), basic("ada", "pw"), [1, 0], 2 + 1),
        (Auth::basic("ada", "pw"), basic("ada", "pw"), [1, 0], 2),
        (Auth::Anonymous, Credential::Anonymous, [0, 0], 1),
    ] {
        for (prepares, refused) in [false, true].into_iter().zip(refused) {
            let server = testkit::Registry::builder()
                .auth(auth.clone())
                .start()
                .await;
            let kit = Kit::of(server, credential.clone());
            let repository = kit.repository("r1");
            if prepares {
                kit.client.prepare_push(&repository).await;
            }
            let tag = tag("v1");
            let head = kit.client.head_manifest_for_push(&repository, &tag);
            head.await.unwrap();
            assert_eq!(kit.heard.sent_away(), refused);
            let tokens = kit.server.token_requests().len();
            assert_eq!(kit.server.requests().len() + tokens, total, "{prepares}");
        }
    }
}

async fn prepare_all(kit: &Kit) {
    let prepare = (0..MANY).map(|index| {
        let (client, repository) = (&kit.client, kit.repository(&format!("r{index}")));
        async move { client.prepare_push(&repository).await }
    });
    join_all(prepare).await;
}

#[tokio::test(start_paused = true)]
async fn preparations_that_start_together_share_the_challenge_and_the_tokens() {
    for (readable, tokens, round_trips) in [
        // One alone, and nine, ten, ten and ten; with these, each repository is requested at once.
        (true, 1 + 4, 1),
        // One alone, two, and ten, ten, ten and seven; one request proves that these serve all repositories.
        (false, 1 + 1 + 4, 2),
    ] {
        let auth = Auth::bearer("ada", "pw").rules(|rules| rules.readable = readable);
        let kit = Kit::guarded(Profile::distribution(), auth).await;
        prepare_all(&kit).await;
        let pings = kit.server.count(|request| request.kind == Kind::Ping);
        assert_eq!((pings, kit.server.requests().len()), (1, 1));
        assert_eq!(kit.server.token_requests().len(), tokens, "{readable}");
        kit.server.clear_requests();
        let latency = Duration::from_millis(100);
        kit.server.set_latency(latency);
        let start = Instant::now();
        head_all(&kit.client).await;
        let elapsed = start.elapsed().as_millis() / latency.as_millis();
        assert_eq!(elapsed, round_trips, "{readable}");
        assert_eq!(kit.server.requests().len(), MANY);
        assert_eq!(kit.server.token_requests().len(), 0);
        assert_eq!(kit.heard.sent_away(), 0);
    }
}

#[tokio::test]
async fn prepared_tokens_that_grant_their_first_repository_alone_are_replaced() {
    let auth = Auth::bearer("ada", "pw").rules(|rules| rules.first_scope_only = true);
    let kit = Kit::guarded(Profile::distribution(), auth).await;
    prepare_all(&kit).await;
    assert_eq!(kit.server.token_requests().len(), 6);
    head_all(&kit.client).await;
    // One request shows it. The other 34 repositories that share a token with another get one of their own at once.
    assert_eq!(kit.heard.sent_away(), 1);
    assert_eq!(kit.server.token_requests().len(), 6 + 34);
}

#[tokio::test(start_paused = true)]
async fn a_prepared_repository_that_is_never_requested_delays_no_other() {
    let kit = Kit::guarded(Profile::distribution(), Auth::bearer("ada", "pw")).await;
    prepare_all(&kit).await;
    let latency = Duration::from_millis(100);
    kit.server.set_latency(latency);
    let start = Instant::now();
    let heads = (20..30).map(|index| {
        let (client, repository) = (&kit.client, kit.repository(&format!("r{index}")));
        async move { client.head_manifest_for_push(&repository, &tag("v1")).await }
    });
    for head in join_all(heads).await {
        head.unwrap();
    }
    assert_eq!(start.elapsed().as_millis() / latency.as_millis(), 2);
    assert_eq!(kit.heard.sent_away(), 0);
}
