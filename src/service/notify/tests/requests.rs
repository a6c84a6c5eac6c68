//! Requests over real connections: private addresses, redirects, and answers without an end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse as _;
use axum::routing::post;
use image_syncer_registry::AllowedHosts;
use image_syncer_registry::auth::Secret;
use image_syncer_registry::transport::{Transport, TransportOptions};
use image_syncer_sync::config::{NotifyConfig, NotifyKind, SecretPlace, ServiceConfig};
use url::Url;

use super::{MemoryQueue, notifier, receiver, run};
use crate::service::clock::Clock;
use crate::service::notify::Notifier;
use crate::service::observer::RunObserver as _;
use crate::service::run::RunState;
use crate::service::secret::tests::hmac_sha256;

type Requests = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// Starts a server. Returns its URL and the requests that it gets at `/hook`.
async fn server() -> (String, Requests) {
    let requests = Requests::default();
    let seen = Arc::clone(&requests);
    let hook = move |headers: HeaderMap, body: Bytes| async move {
        seen.lock().unwrap().push((headers, body));
        StatusCode::NO_CONTENT
    };
    let endless = || async {
        let zeros =
            futures_util::stream::repeat(Ok::<_, std::fmt::Error>(Bytes::from(vec![0; 4096])));
        Body::from_stream(zeros).into_response()
    };
    let moved = || async {
        (
            StatusCode::TEMPORARY_REDIRECT,
            [(header::LOCATION, "/hook")],
        )
    };
    let router = Router::new()
        .route("/hook", post(hook))
        .route("/endless", post(endless))
        .route("/moved", post(moved));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (format!("http://{address}"), requests)
}

fn transport(allowed: &[&str]) -> Transport {
    let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
    let options = TransportOptions::default().with_private_hosts(AllowedHosts::from(allowed));
    Transport::new(options).unwrap()
}

#[tokio::test]
async fn a_message_arrives_with_its_signature() {
    let (url, requests) = server().await;
    let clock = Clock::default();
    let queue = MemoryQueue::new(clock);
    let mut config = receiver(NotifyKind::CloudEvents, &format!("{url}/hook"), &[]);
    config.secret = Some(image_syncer_sync::config::SecretPlace::Text(
        image_syncer_registry::auth::Secret::new("secret22"),
    ));
    let (notifier, _) = notifier(vec![config], Arc::new(queue.clone()), clock);
    notifier.changed(&run("app", RunState::Failed));
    let transport = transport(&["127.0.0.1"]);
    let delivered = async {
        while !queue.state.lock().unwrap().waiting.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    let delivered = async {
        tokio::select! {
            () = notifier.drive(&transport) => unreachable!(),
            () = delivered => {}
        }
    };
    tokio::time::timeout(Duration::from_secs(20), delivered)
        .await
        .unwrap();
    let requests = requests.lock().unwrap();
    let [(headers, body)] = &requests[..] else {
        panic!("{} requests", requests.len());
    };
    let signature = format!("sha256={}", hmac_sha256(b"secret22", body));
    assert_eq!(headers["x-image-syncer-signature-256"], signature);
    assert_eq!(
        headers["content-type"],
        "application/cloudevents+json; charset=utf-8"
    );
    let agent = headers["user-agent"].to_str().unwrap();
    assert!(agent.starts_with("image-syncer/"), "{agent}");
    let body: serde_json::Value = serde_json::from_slice(body).unwrap();
    assert_eq!(body["type"], "image-syncer.rule.failing");
}

#[tokio::test]
async fn private_addresses_need_a_permission() {
    let (url, requests) = server().await;
    let port = Url::parse(&url).unwrap().port().unwrap();
    let post = async |transport: &Transport, url: &str| {
        let url = Url::parse(url).unwrap();
        let posted = transport.post(&url, HeaderMap::new(), Bytes::new()).await;
        posted
            .map(|answer| answer.status.as_u16())
            .map_err(|error| error.to_string())
    };
    let none = transport(&[]);
    for (address, host) in [
        (format!("{url}/hook?token=T0KEN"), "127.0.0.1"),
        (format!("http://localhost:{port}/T0KEN"), "localhost"),
        (format!("http://[::1]:{port}/T0KEN"), "[::1]"),
        ("http://169.254.169.254/T0KEN".to_owned(), "169.254.169.254"),
        ("https://10.0.0.1/T0KEN".to_owned(), "10.0.0.1"),
        (
            "https://metadata.google.internal/T0KEN".to_owned(),
            "metadata.google.internal",
        ),
    ] {
        let error = post(&none, &address).await.unwrap_err();
        let why = format!(
            "its address is in a private network. To allow it, add --allow-private {host}."
        );
        assert!(error.contains(&why), "{error}");
        assert!(!error.contains("T0KEN"), "{error}");
    }
    assert_eq!(requests.lock().unwrap().len(), 0);
    let allowed = transport(&[&format!("127.0.0.1:{port}")]);
    assert_eq!(post(&allowed, &format!("{url}/hook")).await, Ok(204));
    assert!(
        post(&allowed, &format!("http://127.0.0.2:{port}/hook"))
            .await
            .is_err()
    );
    // A redirect is an answer, and a body without an end is cut.
    assert_eq!(post(&allowed, &format!("{url}/moved")).await, Ok(307));
    let error = post(&allowed, &format!("{url}/endless")).await.unwrap_err();
    assert!(error.contains("larger than the 65536 bytes"), "{error}");
    assert_eq!(requests.lock().unwrap().len(), 1);
}

#[test]
fn receivers_that_cannot_be_used_have_their_remedy() {
    let clock = Clock::default();
    for (url, why) in [
        (
            SecretPlace::Variable("UNSET".to_owned()),
            "the variable UNSET is not set",
        ),
        (
            SecretPlace::Text(Secret::new("ftp://chat.example/T0KEN")),
            "its `url` is not a URL that begins with https:// or http://",
        ),
    ] {
        let mut config = ServiceConfig::default();
        config.notify = vec![NotifyConfig {
            url,
            ..receiver(NotifyKind::Slack, "", &[])
        }];
        let queue = Arc::new(MemoryQueue::new(clock));
        let report = Arc::new(|_, _: &str| {});
        let error = Notifier::new(&config, &|_| None, queue, clock, Default::default(), report);
        assert_eq!(
            error.err().unwrap(),
            format!(
                "the receiver slack-1 of notifications cannot be used: {why}. Correct `service.notify`."
            )
        );
    }
}
