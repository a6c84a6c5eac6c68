//! A source that stops answering delays only its own images.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use image_syncer_sync::engine::Engine;
use image_syncer_sync::{Event, Listener, Outcome};
use testkit::{Action, Auth, Fault, Image, Kind, Layer, Profile, Registry};
use tokio_util::sync::CancellationToken;

use crate::registry_pair::{SHORT_STALL, retries, rule, settings, stores_with};

/// The images in the order in which they ended, with the messages of failures.
#[derive(Default)]
struct Endings(Mutex<Vec<(String, Option<String>)>>);

impl Listener for Endings {
    fn event(&self, event: &Event) {
        if let Event::ImageFinished { image, outcome, .. } = event {
            let failed = match outcome {
                Outcome::Failed(failure) => Some(failure.reason.clone()),
                _ => None,
            };
            let source = image.source.to_string();
            self.0.lock().unwrap().push((source, failed));
        }
    }
}

async fn start(seed: u64) -> Registry {
    let server = Registry::builder()
        .profile(Profile::distribution())
        .auth(Auth::bearer_anonymous())
        .token_hostname("localhost")
        .start()
        .await;
    for number in 0..4 {
        let image = Image::single([Layer::synthetic(20_000, seed + number)]);
        server.push("from/app", Some(&format!("v{number}")), &image);
    }
    server
}

/// Copies one image from the silent host and four from another. Returns the outcome of the first, and the number of the
/// others that ended before it.
async fn ending_of(silent: &str, stall: Duration) -> (Option<String>, usize) {
    let (source, destination) = (start(10).await, start(20).await);
    let rules = vec![
        rule(
            &format!("{silent}/from/app:v0"),
            &[format!("{}/to/silent", destination.host())],
        ),
        rule(
            &format!("{}/from/app:v0,v1,v2,v3", source.host()),
            &[format!("{}/to/app", destination.host())],
        ),
    ];
    let hosts = [silent.to_owned(), source.host(), destination.host()];
    let endings = Arc::new(Endings::default());
    let stores = Arc::new(stores_with(&hosts, stall, retries()));
    let engine = Engine::new(stores, settings(16), endings.clone());
    let run = engine.run(rules, CancellationToken::new());
    tokio::time::timeout(Duration::from_secs(60), run)
        .await
        .expect("it hangs");
    for number in 0..4 {
        let tag = format!("v{number}");
        destination.verify_complete("to/app", &tag).unwrap();
    }
    let endings = endings.0.lock().unwrap().clone();
    assert_eq!(endings.len(), 5);
    let of_silent = |(source, _): &(String, Option<String>)| source.starts_with(silent);
    let place = endings.iter().position(of_silent).unwrap();
    let failed = endings[place].1.clone();
    if failed.is_none() {
        destination.verify_complete("to/silent", "v0").unwrap();
    }
    (failed, place)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_finish_while_a_source_is_silent() {
    for (kinds, action) in [
        (Kind::BlobGet, Action::StallResponse { after: 1_000 }),
        (Kind::BlobGet, Action::StallBeforeAnswer),
        (Kind::ManifestHead, Action::StallBeforeAnswer),
        (Kind::Token, Action::StallBeforeAnswer),
        (Kind::Token, Action::StallResponse { after: 5 }),
    ] {
        let silent = start(30).await;
        silent.fault(Fault::on(kinds).nth(1), action.clone());
        let (failed, _) = ending_of(&silent.host(), SHORT_STALL).await;
        assert_eq!(failed, None, "{kinds:?} {action:?}, once");

        let silent = start(30).await;
        silent.fault(Fault::on(kinds), action.clone());
        // The silence lasts longer than the copies of the others take.
        let (failed, before) = ending_of(&silent.host(), 2 * SHORT_STALL).await;
        let failed = failed.unwrap_or_else(|| panic!("{kinds:?} {action:?}"));
        assert!(failed.contains("after 4 tries"), "{failed}");
        assert_eq!(before, 4, "{kinds:?} {action:?}, always");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_host_fails_within_its_bounds() {
    // Neither the TLS handshake nor plain HTTP is ever answered.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = mute.local_addr().unwrap().to_string();
    let (failed, before) = ending_of(&host, 2 * SHORT_STALL).await;
    let failed = failed.unwrap();
    assert!(failed.contains(&host), "{failed}");
    assert_eq!(before, 4, "{failed}");
}
