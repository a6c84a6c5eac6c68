//! The registry of this crate, as its users see it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod auth;
mod faults;
mod images;
mod judges;
mod listing;
mod quirks;
mod referrers;
mod registry;
mod tags;
mod uploads;
mod vendors;

use http::Method;
use testkit::raw::{Client, Payload, RawResponse};
use testkit::{Blob, Manifest, Profile, Registry};

/// Starts a registry of this profile, and returns it with a client.
async fn start(profile: Profile) -> (Registry, Client) {
    let registry = Registry::start(profile).await;
    let client = Client::new(registry.url());
    (registry, client)
}

async fn post(client: &Client, url: &str) -> RawResponse {
    let send = client.send(Method::POST, url, &[], Payload::empty());
    send.await.unwrap()
}

async fn put_manifest(client: &Client, url: &str, manifest: &Manifest) -> RawResponse {
    let kind = [("content-type", manifest.media_type.as_str())];
    let send = client.send(Method::PUT, url, &kind, manifest.into());
    send.await.unwrap()
}

/// Opens a session in the repository `team/app`. Returns its URL.
async fn open(client: &Client) -> String {
    let start = "/v2/team/app/blobs/uploads/";
    let answer = post(client, start).await;
    assert_eq!(answer.status, 202);
    client.resolve_from(start, answer.header("location"))
}

async fn patch(client: &Client, url: &str, range: Option<&str>, part: &str) -> RawResponse {
    let headers: Vec<_> = range.map(|r| ("content-range", r)).into_iter().collect();
    let payload = Payload::Bytes(part.to_owned().into());
    let send = client.send(Method::PATCH, url, &headers, payload);
    send.await.unwrap()
}

async fn close(client: &Client, url: &str, blob: &Blob, payload: Payload) -> RawResponse {
    let joint = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{joint}digest={}", blob.digest());
    client.send(Method::PUT, &url, &[], payload).await.unwrap()
}
