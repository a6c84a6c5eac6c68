//! Runs that share a session, over the real client.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use image_syncer_registry::Options;
use image_syncer_registry::auth::{Credential, Keychain, KeychainEntry, Secret};
use image_syncer_registry::transport::{Transport, TransportOptions};
use image_syncer_sync::Outcome;
use image_syncer_sync::report::Report;
use image_syncer_sync::session::{CopyError, RunHandle, Session, SessionOptions};

use testkit::{Action, Auth, Fault, Gate, Image, Kind, Layer, Registry};

use crate::kit::{assert_good, server};
use crate::run::rule;

/// Creates a session with a login for these registries.
fn session(servers: &[&Registry], credential: &Credential) -> Session {
    let entry = |server: &&Registry| {
        KeychainEntry::new(server.host(), credential.clone(), "the test").with_insecure(true)
    };
    let entries = servers.iter().map(entry).collect();
    let transport = Arc::new(Transport::new(TransportOptions::default()).unwrap());
    let keychain = Arc::new(Keychain::new(entries, None).unwrap());
    Session::new(Options::new(transport, keychain), SessionOptions::default())
}

/// Starts a run of one rule.
fn start(session: &Session, source: &str, destination: &str) -> (RunHandle, Arc<Report>) {
    let report = Arc::new(Report::new());
    let rules = vec![rule(source, &[destination.to_owned()])];
    (session.run(rules, report.clone()), report)
}

fn image() -> Image {
    Image::single([Layer::synthetic(300_000, 1), Layer::synthetic(200_000, 2)])
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_at_the_same_time_share_a_download_and_a_token() {
    let auth = || Auth::bearer("me", "secret");
    let source = Registry::builder().auth(auth()).start().await;
    let destination = Registry::builder().auth(auth()).start().await;
    let image = image();
    source.push("from/app", Some("v1"), &image);
    let me = Credential::Basic {
        username: "me".to_owned(),
        password: Secret::new("secret"),
    };
    let session = session(&[&source, &destination], &me);
    let from = format!("{}/from/app:v1", source.host());
    let to = |tag| format!("{}/to/app:{tag}", destination.host());
    let (one, first) = start(&session, &from, &to("one"));
    let (two, second) = start(&session, &from, &to("two"));
    let (one, two) = tokio::join!(one.wait(), two.wait());
    assert_eq!((first.summary().copied, second.summary().copied), (1, 1));
    for tag in ["one", "two"] {
        destination.verify_complete("to/app", tag).unwrap();
    }
    // Two layers and a config, once.
    assert_eq!(source.count(|r| r.kind == Kind::BlobGet), 3);
    assert_eq!(destination.count(|r| r.kind == Kind::UploadPut), 3);
    assert_eq!(source.token_requests().len(), 1);
    assert_eq!(destination.token_requests().len(), 1);
    assert_eq!(one.fetched + two.fetched, image.blob_bytes());
    assert_eq!(one.sent + two.sent, image.blob_bytes());
    assert_good(&[&source, &destination]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_to_different_registries_read_the_source_once() {
    let (source, here, there) = (server().await, server().await, server().await);
    let image = image();
    source.push("from/app", Some("v1"), &image);
    let session = session(&[&source, &here, &there], &Credential::Anonymous);
    let from = format!("{}/from/app:v1", source.host());
    let gates = [&here, &there].map(|server| {
        let gate = Gate::new();
        server.fault(Fault::on(Kind::Mount), Action::Hold(gate.clone()));
        gate
    });
    let (one, first) = start(&session, &from, &format!("{}/to/app", here.host()));
    let (two, second) = start(&session, &from, &format!("{}/to/app", there.host()));
    let opening = tokio::task::spawn_blocking(move || {
        for gate in &gates {
            gate.wait(3, Duration::from_secs(20)).unwrap();
        }
        gates.iter().for_each(Gate::open);
    });
    let (_, _, opened) = tokio::join!(one.wait(), two.wait(), opening);
    opened.unwrap();
    assert_eq!((first.summary().copied, second.summary().copied), (1, 1));
    assert_eq!(source.count(|r| r.kind == Kind::BlobGet), 3);
    assert_eq!(source.bytes_sent(), image.blob_bytes());
    for server in [&here, &there] {
        server.verify_complete("to/app", "v1").unwrap();
        assert_eq!(server.bytes_received(), image.blob_bytes());
    }
    assert_good(&[&source, &here, &there]);
}

#[tokio::test]
async fn a_copy_returns_the_outcome_of_each_image() {
    let (source, destination) = (server().await, server().await);
    source.push("from/app", Some("v1"), &image());
    source.push(
        "from/app",
        Some("v2"),
        &Image::single([Layer::synthetic(1_000, 3)]),
    );
    let session = session(&[&source, &destination], &Credential::Anonymous);
    let from = format!("{}/from/app", source.host());
    let to = format!("{}/to/app", destination.host());
    let copied = session.copy(&format!("{from}:v1,v2"), &to).await.unwrap();
    let names: BTreeSet<_> = copied
        .iter()
        .map(|image| image.destination.as_str())
        .collect();
    assert_eq!(
        names,
        [format!("{to}:v1"), format!("{to}:v2")]
            .iter()
            .map(String::as_str)
            .collect()
    );
    assert!(
        copied
            .iter()
            .all(|image| matches!(image.outcome, Outcome::Copied(_)))
    );
    let again = session.copy(&format!("{from}:v1"), &to).await.unwrap();
    assert!(matches!(again[0].outcome, Outcome::Unchanged { .. }));
    assert_eq!(again[0].source, format!("{from}:v1"));
    assert_good(&[&source, &destination]);
}

#[tokio::test]
async fn a_copy_that_is_impossible_says_why() {
    let (source, destination) = (server().await, server().await);
    source.push("from/app", Some("v1"), &image());
    let session = session(&[&source, &destination], &Credential::Anonymous);
    let from = format!("{}/from/app", source.host());
    let to = format!("{}/to/app", destination.host());
    let error = session.copy(&from, &to).await.unwrap_err().to_string();
    let expected = format!(
        "{from} has neither tag nor digest. Write {from}:TAG, or use a rule to copy every tag."
    );
    assert_eq!(error, expected);
    let error = session.copy(&format!("{from}:v1"), "").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the destination is empty. Write a repository."
    );
    let error = session.copy(&format!("{from}:v9"), &to).await.unwrap_err();
    assert!(matches!(&error, CopyError::Images(images) if images.len() == 1));
    let start = format!("cannot copy {from}:v9 to {to}:v9: ");
    assert!(error.to_string().starts_with(&start), "{error}");
    let error = session
        .copy(&format!("{from}:/^x/"), &to)
        .await
        .unwrap_err();
    assert!(matches!(error, CopyError::Empty { .. }), "{error}");
    let missing = format!("{}/from/missing", source.host());
    let error = session
        .copy(&format!("{missing}:/^x/"), &to)
        .await
        .unwrap_err();
    let start = format!("cannot list the tags of {missing}:/^x/: ");
    assert!(error.to_string().starts_with(&start), "{error}");
}

#[tokio::test]
async fn a_refused_login_is_tried_again_after_five_minutes() {
    let auth = Auth::bearer("me", "secret");
    let source = Registry::builder().auth(auth).start().await;
    let destination = server().await;
    source.push("from/app", Some("v1"), &image());
    let wrong = Credential::Basic {
        username: "me".to_owned(),
        password: Secret::new("wrong"),
    };
    let session = session(&[&source, &destination], &wrong);
    let from = format!("{}/from/app:v1", source.host());
    let to = format!("{}/to/app", destination.host());
    let mut tries = Vec::new();
    for waits in [false, false, true, false] {
        if waits {
            // Nothing is in flight between two runs.
            tokio::time::pause();
            tokio::time::advance(Duration::from_secs(5 * 60)).await;
            tokio::time::resume();
        }
        let (run, report) = start(&session, &from, &to);
        run.wait().await;
        assert_eq!(report.summary().failed, 1);
        tries.push(source.token_requests().len());
        source.clear_requests();
    }
    assert_eq!(tries, [1, 0, 1, 0]);
}
